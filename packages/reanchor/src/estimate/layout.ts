/** How many tokens a forward pass works on, and which of them see each other. */
import type { MicroBatch, PackedBatch } from '../data/index.js';
import { spanGroups } from '../nn/spans.js';
import type { Plan } from '../planning/plan.js';

/** The sizes of a packed batch. */
export interface PackLayout {
  /** Packed tokens, N. */
  tokens: number;
  /** Rows that are scored, M. */
  scored: number;
  /** Every prompt with the tokens of all completions that hang on it. */
  groups: readonly { prefix: number; completions: number }[];
}

/** The sizes of a micro-batch; `reference` and `partners` as in `MicroBatch`. */
export interface MicroBatchLayout {
  rows: number;
  policy: PackLayout;
  reference: PackLayout;
  partners?: PackLayout | undefined;
}

export function packLayout(packed: Pick<PackedBatch, 'tokens' | 'rows' | 'spans'>): PackLayout {
  return {
    tokens: packed.tokens.length,
    scored: packed.rows.length,
    groups: spanGroups(packed.spans).map(({ prefix, completions }) => ({
      prefix,
      completions: completions.reduce((sum, length) => sum + length, 0),
    })),
  };
}

/** Query-key pairs that attention computes: every prompt with itself, its completions with it and each other. */
export function attentionPairs({ groups }: PackLayout): number {
  return groups.reduce((sum, { prefix, completions }) => sum + prefix ** 2 + completions * (prefix + completions), 0);
}

/** Elements of the masks of completions. */
export function maskElements({ groups }: PackLayout): number {
  return groups.reduce((sum, { prefix, completions }) => sum + completions * (prefix + completions), 0);
}

/** A micro-batch of one of several processes. */
export interface OwnedLayout extends MicroBatchLayout {
  owner: number;
  /** Whether it counts nothing, and is made so that all processes make equally many. */
  isFiller: boolean;
}

/** The sizes of a plan's micro-batches, step by step. */
export function* layouts(plan: Plan): Generator<OwnedLayout[]> {
  for (const planned of plan.steps())
    yield plan.layOut(planned).map((batch) => layoutOf(plan.objective.rowsOf(batch), batch));
}

const layoutOf = (rows: number, { policy, reference, partners, owner = 0, isFiller }: MicroBatch): OwnedLayout => ({
  ...{ rows, owner, isFiller: isFiller === true },
  policy: packLayout(policy),
  reference: packLayout(reference),
  partners: partners && packLayout(partners),
});
