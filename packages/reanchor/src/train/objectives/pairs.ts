// Shapes: S sequences (two a pair: chosen, rejected), P pairs.
import { cat, type Device, type Tensor, tensor } from '@reanchor/torch';
import { pairGroup, pairMicroBatch, type TokenizedPair } from '../../data/index.js';
import type { PairMethod } from '../../losses/methods.js';
import type { Sides } from '../../losses/pair-batch.js';
import { accuracyOf, mean } from '../../stats/index.js';
import type { Metrics } from '../metrics.js';
import type { Objective } from './objective.js';

/**
 * The numbers of one pair in one step, from before the optimizer moved the policy. Log-probabilities are sums, in nats.
 */
export interface PairScores {
  loss: number;
  chosenReward: number;
  rejectedReward: number;
  chosenLogprob: number;
  rejectedLogprob: number;
  chosenReferenceLogprob: number;
  rejectedReferenceLogprob: number;
}

/** Preference pairs under a loss of the DPO family. */
export function pairObjective(
  method: PairMethod,
  { over = 'step' }: { over?: 'step' | 'microBatch' | undefined } = {},
): Objective<TokenizedPair, PairScores> {
  return {
    needsReference: true,
    scoresSameBatch: true,
    couplesRows: method.couplesPairs,
    over,
    columns: [
      ...(['loss', 'chosenReward', 'rejectedReward', 'chosenLogprob', 'rejectedLogprob'] as const),
      ...(['chosenReferenceLogprob', 'rejectedReferenceLogprob'] as const),
    ],
    rowsOf: ({ policy }) => policy.numSequences / 2,
    group: pairGroup,
    layOut: ({ microBatches }, pairs) => microBatches.map((positions) => pairMicroBatch(positions, pairs)),
    weight: ({ policy }) => policy.numSequences / 2,

    losses(policy_S, batches, context) {
      const chosenTokens = context.flatMap(({ microBatch }) => chosen(microBatch.policy.completionTokens));
      const batch = {
        policy: sides(policy_S),
        reference: sides(cat(batches.map(({ reference_S }) => reference_S!))),
        tokens: sides(
          cat(batches.map(({ microBatch }) => counts(microBatch.policy.completionTokens, policy_S.device))),
        ),
      };
      const loss_P = method.loss(batch, { meanChosenTokens: mean(chosenTokens) });
      const rewards = method.rewards(batch);
      return {
        loss_R: loss_P,
        columns: {
          loss: loss_P,
          chosenReward: rewards.chosen_P,
          rejectedReward: rewards.rejected_P,
          chosenLogprob: batch.policy.chosen_P,
          rejectedLogprob: batch.policy.rejected_P,
          chosenReferenceLogprob: batch.reference.chosen_P,
          rejectedReferenceLogprob: batch.reference.rejected_P,
        },
      };
    },

    metrics: (scores) => ({ loss: mean(scores.map(({ loss }) => loss)), ...pairMetrics(scores) }),
    evaluation: (_rows, now, initial) => pairMetrics(now.map((pair, i) => initialScores(method, pair, initial[i]!))),
    comparable: (score) => [
      [score.chosenLogprob, score.chosenReferenceLogprob],
      [score.rejectedLogprob, score.rejectedReferenceLogprob],
    ],
    atReference: () => method.atReference,
  };
}

/**
 * Means over pairs: `logps/chosen|rejected` (summed log-probabilities, nats), `rewards/chosen|rejected` (beta times
 * log-ratio to the reference), `rewards/margins` (chosen - rejected), `rewards/accuracies` (share of pairs whose chosen
 * reward is the larger one, ties counting half, so 1/2 while policy and reference are equal), `logps/accuracies` (the
 * same of log-probabilities).
 */
export function pairMetrics(pairs: readonly Omit<PairScores, 'loss'>[]): Metrics {
  return {
    'rewards/chosen': mean(pairs.map((p) => p.chosenReward)),
    'rewards/rejected': mean(pairs.map((p) => p.rejectedReward)),
    'rewards/margins': mean(pairs.map((p) => p.chosenReward - p.rejectedReward)),
    'rewards/accuracies': accuracyOf(pairs.map((p) => p.chosenReward - p.rejectedReward)),
    'logps/chosen': mean(pairs.map((p) => p.chosenLogprob)),
    'logps/rejected': mean(pairs.map((p) => p.rejectedLogprob)),
    'logps/accuracies': accuracyOf(pairs.map((p) => p.chosenLogprob - p.rejectedLogprob)),
  };
}

/** A pair's numbers with the initial policy as reference. */
function initialScores(method: PairMethod, now: readonly number[], initial: readonly number[]) {
  const [chosenLogprob, rejectedLogprob] = now as [number, number];
  const [chosenReferenceLogprob, rejectedReferenceLogprob] = initial as [number, number];
  return {
    chosenReward: method.beta * (chosenLogprob - chosenReferenceLogprob),
    rejectedReward: method.beta * (rejectedLogprob - rejectedReferenceLogprob),
    chosenLogprob,
    rejectedLogprob,
    chosenReferenceLogprob,
    rejectedReferenceLogprob,
  };
}

function sides(values_S: Tensor): Sides {
  const values_P2 = values_S.view([-1, 2]);
  return { chosen_P: values_P2.select(1, 0), rejected_P: values_P2.select(1, 1) };
}

const counts = (tokens_S: Int32Array, device: Device) => tensor(Float64Array.from(tokens_S), { device });
const chosen = (tokens_S: Int32Array) => [...tokens_S].filter((_, i) => i % 2 === 0);
