// Shapes: R rows (a completion each), S the same of policy_S; of the reference 2R (own, partner's).
import { cat, type Tensor, tensor, tidy } from '@reanchor/torch';
import { choosePartners, exampleMicroBatch, type PartnerOptions, type TokenizedExample } from '../../data/index.js';
import { type KtoOptions, kto, ktoKl } from '../../losses/kto.js';
import { mean } from '../../stats/index.js';
import type { Metrics } from '../metrics.js';
import type { KnownBatch, Objective } from './objective.js';

/** The numbers of one completion in one step, from before the optimizer moved the policy. */
export interface ExampleScores {
  loss: number;
  /** 1 or 0. */
  isDesirable: number;
  /** beta times the log-ratio to the reference. */
  reward: number;
  /** Sums, in nats. */
  logprob: number;
  referenceLogprob: number;
  /** The reference point of the loss: the estimate of KL(policy || reference), clamped at 0, nats. */
  kl: number;
  /** The same estimate before the clamp. */
  rawKl: number;
}

export interface ExampleObjectiveOptions extends KtoOptions, Pick<PartnerOptions, 'partners' | 'seed'> {
  over?: 'step' | 'microBatch' | undefined;
  /** Tokens of a prompt with a partner's completion at most. Default: no limit. */
  maxLength?: number | undefined;
}

/**
 * Desirable and undesirable completions under KTO, whose KL is estimated on mismatched completions without gradient.
 */
export function exampleObjective(options: ExampleObjectiveOptions): Objective<TokenizedExample, ExampleScores> {
  const { beta, desirableWeight, undesirableWeight, partners, seed, over = 'step' } = options;
  const { maxLength = Number.POSITIVE_INFINITY } = options;
  return {
    needsReference: true,
    scoresSameBatch: false,
    couplesRows: false,
    over,
    columns: ['loss', 'isDesirable', 'reward', 'logprob', 'referenceLogprob', 'kl', 'rawKl'],
    rowsOf: ({ policy }) => policy.numSequences,
    group: ({ prompt, completion, scored }) => ({ prompt, completions: [completion], scored: [scored] }),
    layOut({ step, microBatches }, examples) {
      const lenders = choosePartners(microBatches, examples, { partners, seed, step });
      return microBatches.map((positions, i) => exampleMicroBatch(positions, lenders[i]!, examples, maxLength));
    },
    weight: ({ policy }) => policy.numSequences,

    losses(policy_S, batches, context) {
      const { kl, rawKl } = stepKl(context);
      const batch = {
        policy_R: policy_S,
        reference_R: cat(batches.map(({ reference_S }) => ofPair(reference_S!, 0))),
        isDesirable_R: tensor(Float64Array.from(batches.flatMap(({ microBatch }) => [...microBatch.isDesirable!])), {
          device: policy_S.device,
        }),
      };
      const loss_R = kto(batch, kl, options);
      return {
        loss_R,
        columns: {
          loss: loss_R,
          isDesirable: batch.isDesirable_R,
          reward: policy_S.detach().sub(batch.reference_R).mul(beta),
          logprob: policy_S,
          referenceLogprob: batch.reference_R,
          kl: policy_S.detach().zerosLike().add(kl),
          rawKl: policy_S.detach().zerosLike().add(rawKl),
        },
      };
    },

    metrics: (scores) => ({
      loss: mean(scores.map((s) => s.loss)),
      ...exampleMetrics(scores),
      kl: mean(scores.map((s) => s.kl)),
      'kl/raw': mean(scores.map((s) => s.rawKl)),
    }),
    evaluation: (rows, now, initial) =>
      exampleMetrics(
        rows.map(({ label }, i) => {
          const [logprob, referenceLogprob] = [now[i]![0]!, initial[i]![0]!];
          return { isDesirable: label ? 1 : 0, logprob, reward: beta * (logprob - referenceLogprob) };
        }),
      ),
    comparable: ({ logprob, referenceLogprob }) => [[logprob, referenceLogprob]],
    atReference: ({ isDesirable }) => (isDesirable === 1 ? desirableWeight : undesirableWeight) / 2,
  };
}

/**
 * Means over the desirable (`chosen`) and the undesirable (`rejected`) completions: `rewards/*` (beta times log-ratio
 * to the reference), `logps/*`; a side without a row has no metric. `rewards/margins` is the difference of the two
 * means.
 */
function exampleMetrics(scores: readonly Pick<ExampleScores, 'isDesirable' | 'reward' | 'logprob'>[]): Metrics {
  const sides = {
    chosen: scores.filter((s) => s.isDesirable === 1),
    rejected: scores.filter((s) => s.isDesirable !== 1),
  };
  const metrics: Metrics = {};
  for (const [name, side] of Object.entries(sides)) {
    if (side.length === 0) continue;
    metrics[`rewards/${name}`] = mean(side.map((s) => s.reward));
    metrics[`logps/${name}`] = mean(side.map((s) => s.logprob));
  }
  if (sides.chosen.length === 0 || sides.rejected.length === 0) return metrics;
  return { ...metrics, 'rewards/margins': metrics['rewards/chosen']! - metrics['rewards/rejected']! };
}

function stepKl(context: readonly KnownBatch[]): { kl: number; rawKl: number } {
  return tidy(() => {
    const policy_R = cat(context.map(({ partners_R }) => partners_R!));
    const reference_R = cat(context.map(({ reference_S }) => ofPair(reference_S!, 1)));
    return ktoKl(policy_R, reference_R);
  });
}

/** Every second sequence: 0 for the rows' own completions, 1 for their partners'. */
const ofPair = (values_S: Tensor, which: 0 | 1) => values_S.view([-1, 2]).select(1, which);
