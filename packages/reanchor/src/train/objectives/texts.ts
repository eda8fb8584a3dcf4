// Shapes: S sequences, R rows, one sequence each.
import { cat, tensor } from '@reanchor/torch';
import { type Group, scoredTokens, type TokenizedText, textMicroBatch } from '../../data/index.js';
import type { Metrics } from '../metrics.js';
import type { Objective } from './objective.js';

/** The numbers of one text in one step, from before the optimizer moved the policy. */
export interface TextScores {
  /** -log p of its scored tokens, a sum in nats. */
  loss: number;
  /** How many tokens are scored. */
  tokens: number;
}

/** Texts to be imitated: the mean of -log p over all scored tokens of a step, each token counting the same. */
export function textObjective(): Objective<TokenizedText, TextScores> {
  return {
    needsReference: false,
    scoresSameBatch: true,
    couplesRows: false,
    over: 'step',
    columns: ['loss', 'tokens'],
    rowsOf: ({ policy }) => policy.numSequences,
    group,
    layOut: ({ microBatches }, texts) => microBatches.map((positions) => textMicroBatch(positions, texts)),
    weight: ({ policy }) => policy.targets.length,

    losses(policy_S, batches) {
      const loss_R = policy_S.neg();
      const tokens_R = cat(batches.map(({ microBatch }) => tokensOf(microBatch.policy)));
      return { loss_R, columns: { loss: loss_R, tokens: tokens_R } };
    },

    metrics: textMetrics,
    evaluation: (rows, now) =>
      textMetrics(rows.map((row, i) => ({ loss: -now[i]![0]!, tokens: scoredTokens(group(row)) }))),
    comparable: () => [],
    atReference: () => undefined,
  };
}

/** `loss`: the mean of -log p over all scored tokens, nats. */
function textMetrics(scores: readonly TextScores[]): Metrics {
  return { loss: scores.reduce((sum, s) => sum + s.loss, 0) / scores.reduce((sum, s) => sum + s.tokens, 0) };
}

const group = ({ prompt, completion, scored }: TokenizedText): Group => ({
  prompt,
  completions: [completion],
  scored: [scored],
});

function tokensOf({ sequences, numSequences }: { sequences: Int32Array; numSequences: number }) {
  const counts = new Float64Array(numSequences);
  for (const sequence of sequences) counts[sequence]! += 1;
  return tensor(counts);
}
