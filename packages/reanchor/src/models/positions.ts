import type { CausalLM } from './causal-lm.js';

/** What is to be said of a longest row that has more tokens than the model was made for; `advice` says what to do. */
export function positionsNote(
  { configJson }: Pick<CausalLM, 'configJson'>,
  longest: number,
  advice: (positions: number) => string,
): string | undefined {
  const positions = configJson.max_position_embeddings;
  if (typeof positions !== 'number' || longest <= positions) return undefined;
  return `the longest row has ${longest} tokens and the model was made for ${positions} (max_position_embeddings): ${advice(positions)}`;
}
