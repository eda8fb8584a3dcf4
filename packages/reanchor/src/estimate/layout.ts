/** How many tokens a forward pass works on, and which of them see each other. */
import type { PackedBatch } from '../data/index.js';
import { spanGroups } from '../nn/spans.js';

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

/** What a row of a kind is made of: completions that the policy sees, and those that the reference scores. */
const completionsOf = { pairs: [2, 2], unpaired: [1, 2], sft: [1, 1] } as const;

/**
 * The micro-batches of a step whose rows nobody has seen: every row has a prompt and completions of the same lengths,
 * and every token of the completions is scored.
 */
export function assumedStep(
  kind: keyof typeof completionsOf,
  options: {
    /** Tokens of the prompt, and of each completion. */
    prefix: number;
    completion: number;
    batchSize: number;
    tokensPerMicroBatch: number;
    rowsPerMicroBatch?: number | undefined;
  },
): MicroBatchLayout[] {
  const { prefix, completion, batchSize, tokensPerMicroBatch, rowsPerMicroBatch = Number.POSITIVE_INFINITY } = options;
  const pack = (rows: number, completions: number): PackLayout => ({
    tokens: rows * (prefix + completions * (completion - 1)),
    scored: rows * completions * completion,
    groups: Array.from({ length: rows }, () => ({ prefix, completions: completions * (completion - 1) })),
  });
  const [trained, scored] = completionsOf[kind];
  const fitting = Math.max(1, Math.floor(tokensPerMicroBatch / pack(1, trained).tokens));
  const most = Math.min(batchSize, fitting, rowsPerMicroBatch);
  const microBatch = (rows: number): MicroBatchLayout => ({
    rows,
    policy: pack(rows, trained),
    reference: pack(rows, scored),
    ...(kind === 'unpaired' ? { partners: pack(rows, 1) } : {}),
  });
  const full = Math.floor(batchSize / most);
  const rest = batchSize - full * most;
  return [...Array.from({ length: full }, () => microBatch(most)), ...(rest > 0 ? [microBatch(rest)] : [])];
}
