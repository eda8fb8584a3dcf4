/** Rows laid out for one forward and backward pass, and what else their loss needs. */
import { type PackedBatch, packGroups, packPairs } from './pack.js';
import type { Rows } from './row.js';
import type { TokenizedExample, TokenizedPair, TokenizedText } from './tokenize.js';

export interface MicroBatch {
  /** The rank of the process that computes it; this one when left out. */
  owner?: number | undefined;
  /** Whether it counts nothing: a pass for a process that has fewer of them than others. */
  isFiller?: boolean | undefined;
  /** The completions whose log-probabilities are trained. */
  policy: PackedBatch;
  /** Those that the reference scores. */
  reference: PackedBatch;
  /** A name for each sequence of `reference`; equal names mean equal prompt and completion. */
  keys: string[];
  /** KTO: every prompt with a completion of another row. Their reference log-probabilities follow each row's own. */
  partners?: PackedBatch | undefined;
  /** KTO: 1 for a desirable completion, 0 for an undesirable one. */
  isDesirable?: Uint8Array | undefined;
}

/** Pairs at these positions: two sequences a pair, chosen before rejected. */
export function pairMicroBatch(positions: readonly number[], pairs: Rows<TokenizedPair>): MicroBatch {
  const packed = packPairs(positions.map((i) => pairs.at(i)!));
  return { policy: packed, reference: packed, keys: positions.flatMap((i) => [`${i}+`, `${i}-`]) };
}

/**
 * KTO's examples at these positions: own completions for the policy; for the reference each own one and the partner's,
 * which is cut so that prompt and completion have at most `maxLength` tokens.
 */
export function exampleMicroBatch(
  positions: readonly number[],
  partners: readonly number[],
  examples: Rows<TokenizedExample>,
  maxLength: number,
): MicroBatch {
  const rows = positions.map((i, k) => {
    const [row, lender] = [examples.at(i)!, examples.at(partners[k]!)!];
    const other = (lender.uncut ?? lender.completion).subarray(0, maxLength - row.prompt.length);
    const groupOf = (completions: Int32Array[], scored: (Uint8Array | undefined)[]) => ({
      prompt: row.prompt,
      completions,
      scored,
    });
    return {
      own: groupOf([row.completion], [row.scored]),
      mismatched: groupOf([other], [lender.scored]),
      both: groupOf([row.completion, other], [row.scored, lender.scored]),
      isDesirable: row.label ? 1 : 0,
    };
  });
  return {
    policy: packGroups(rows.map(({ own }) => own)),
    partners: packGroups(rows.map(({ mismatched }) => mismatched)),
    reference: packGroups(rows.map(({ both }) => both)),
    keys: positions.flatMap((i, k) => [`${i}`, `${i}/${partners[k]!}`]),
    isDesirable: Uint8Array.from(rows, ({ isDesirable }) => isDesirable),
  };
}

/** Texts to be imitated, at these positions: one sequence each, scored where its mask says so. */
export function textMicroBatch(positions: readonly number[], texts: Rows<TokenizedText>): MicroBatch {
  const rows = positions.map((i) => texts.at(i)!);
  const packed = packGroups(
    rows.map(({ prompt, completion, scored }) => ({ prompt, completions: [completion], scored: [scored] })),
  );
  return { policy: packed, reference: packed, keys: positions.map(String) };
}
