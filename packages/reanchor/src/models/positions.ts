import type { Group } from '../data/index.js';
import type { CausalLM } from './causal-lm.js';

/** What is to be said of rows that have more tokens than the model was made for, if any; `advice` says what to do. */
export function positionsNote(
  { configJson }: Pick<CausalLM, 'configJson'>,
  rows: readonly Group[],
  advice: (positions: number) => string,
): string | undefined {
  const positions = configJson.max_position_embeddings;
  const longest = rows.reduce(
    (n, { prompt, completions }) => Math.max(n, prompt.length + Math.max(...completions.map((ids) => ids.length))),
    0,
  );
  if (typeof positions !== 'number' || longest <= positions) return undefined;
  return `the longest row has ${longest} tokens and the model was made for ${positions} (max_position_embeddings): ${advice(positions)}`;
}
