// Packed batches: every prompt once, no padding. Shapes: N packed tokens, M scored rows, S sequences (completions).
import { sum } from '../stats/index.js';
import type { TokenizedPair } from './tokenize.js';

/** A stretch of packed tokens that belong together; it sees the tokens of its prefix span and its own past. */
export interface Span {
  /** Index of the first token in the packed batch. */
  start: number;
  length: number;
  /** Index of the span that comes before this one in the text; -1 for a prompt, or a completion without one. */
  prefix: number;
}

/** Sequences laid out for one forward pass, as plain arrays. */
export interface PackedBatch {
  /** [N] */
  tokens: Int32Array;
  /** [N] The place of each token in its own text, from 0. */
  positions: Int32Array;
  /** In the order of the tokens, without gaps: each prompt, then the completions that hang on it. */
  spans: Span[];
  /** [M] Index of the token whose hidden state predicts the target. */
  rows: Int32Array;
  /** [M] */
  targets: Int32Array;
  /** [M] The sequence that each scored row belongs to, never decreasing. */
  sequences: Int32Array;
  /** S. Sequences are numbered group by group; for pairs 2i is the chosen, 2i + 1 the rejected one of pair i. */
  numSequences: number;
  /** [S] Tokens per completion, of those that may be scored. */
  completionTokens: Int32Array;
}

/** A prompt and the completions that hang on it, as token ids. */
export interface Group {
  prompt: Int32Array;
  completions: readonly Int32Array[];
  /**
   * Of each completion, which of its tokens are scored (1) and which only read (0); all of them when left out. What is
   * beyond the completion does not count.
   */
  scored?: readonly (Uint8Array | undefined)[] | undefined;
}

/**
 * Groups laid out one after the other, each prompt once.
 *
 * The last token of a completion is a target and no input, so it takes no place; a completion of one token has no span.
 * The first token of a completion is predicted by the prompt's last token; after an empty prompt nothing predicts it
 * and it is not scored (as when a padded batch is shifted by one).
 */
export function packGroups(groups: readonly Group[]): PackedBatch {
  const numTokens = sum(groups.map(groupTokens));
  const completions = groups.flatMap((group) => group.completions);
  const numRows = sum(groups.map(scoredTokens));
  const batch: PackedBatch = {
    tokens: new Int32Array(numTokens),
    positions: new Int32Array(numTokens),
    spans: [],
    rows: new Int32Array(numRows),
    targets: new Int32Array(numRows),
    sequences: new Int32Array(numRows),
    numSequences: completions.length,
    completionTokens: Int32Array.from(groups.flatMap(completionTokens)),
  };
  let end = 0;
  let row = 0;
  let sequence = 0;
  const addSpan = (ids: Int32Array, prefix: number, position: number) => {
    if (ids.length === 0) return;
    batch.spans.push({ start: end, length: ids.length, prefix });
    batch.tokens.set(ids, end);
    for (let i = 0; i < ids.length; i++) batch.positions[end + i] = position + i;
    end += ids.length;
  };
  for (const { prompt, completions, scored } of groups) {
    addSpan(prompt, -1, 0);
    const promptSpan = prompt.length > 0 ? batch.spans.length - 1 : -1;
    const promptEnd = end;
    for (const [c, ids] of completions.entries()) {
      const start = end;
      addSpan(ids.subarray(0, -1), promptSpan, prompt.length);
      for (let t = prompt.length > 0 ? 0 : 1; t < ids.length; t++) {
        if (scored?.[c]?.[t] === 0) continue;
        batch.rows[row] = t === 0 ? promptEnd - 1 : start + t - 1;
        batch.targets[row] = ids[t]!;
        batch.sequences[row] = sequence;
        row++;
      }
      sequence++;
    }
  }
  return batch;
}

/** Pairs laid out for one forward pass: sequence 2i is the chosen, 2i + 1 the rejected completion of pair i. */
export function packPairs(pairs: readonly PairIds[]): PackedBatch {
  return packGroups(pairs.map(pairGroup));
}

/** The tokens that a pair takes in a packed batch. */
export function pairTokens(pair: PairIds): number {
  return groupTokens(pairGroup(pair));
}

type PairIds = Pick<TokenizedPair, 'prompt' | 'chosen' | 'rejected' | 'chosenScored' | 'rejectedScored'>;

/** A pair as a prompt with its two completions. */
export const pairGroup = ({ prompt, chosen, rejected, chosenScored, rejectedScored }: PairIds): Group => ({
  prompt,
  completions: [chosen, rejected],
  scored: [chosenScored, rejectedScored],
});

/** The tokens of each completion of a group that are to be scored. */
export const completionTokens = ({ completions, scored }: Group): number[] =>
  completions.map(
    (ids, c) => scored?.[c]?.subarray(0, ids.length).reduce((n, isScored) => n + isScored, 0) ?? ids.length,
  );

/**
 * The scored tokens of a group that have a probability: after an empty prompt, the first one of a completion has none.
 */
export const scoredTokens = (group: Group) =>
  sum(completionTokens(group)) -
  (group.prompt.length > 0
    ? 0
    : sum(group.completions.map((ids, c) => (ids.length === 0 ? 0 : (group.scored?.[c]?.[0] ?? 1)))));

/** The tokens that a group takes in a packed batch. */
export const groupTokens = ({ prompt, completions }: Group) =>
  prompt.length + sum(completions.map((ids) => Math.max(0, ids.length - 1)));
