/** What is said once where models are used beyond the positions that they were made for. */
import type { Group } from '../data/index.js';
import type { CausalLM } from './causal-lm.js';

type Configured = Pick<CausalLM, 'configJson'>;

/** What is to be said of rows that have more tokens than the model was made for, if any; `advice` says what to do. */
export function positionsNote(
  model: Configured,
  rows: Iterable<Group>,
  advice: (positions: number) => string,
): string | undefined {
  let longest = 0;
  for (const { prompt, completions } of rows) {
    longest = Math.max(longest, prompt.length + Math.max(...completions.map((ids) => ids.length)));
  }
  const positions = positionsOf(model);
  if (longest <= positions) return undefined;
  return beyond(`the longest row has ${longest} tokens`, positions, advice(positions));
}

/** What is to be said before so many tokens are written to prompts, where that leads beyond the model's positions. */
export function writingNote(
  model: Configured,
  prompts: readonly ArrayLike<number>[],
  maxNewTokens: number,
): string | undefined {
  const longest = prompts.reduce((n, { length }) => Math.max(n, length), 0);
  const positions = positionsOf(model);
  if (longest + maxNewTokens <= positions) return undefined;
  const room = positions - longest;
  const what = `the longest prompt has ${longest} tokens, up to ${longest + maxNewTokens} with what is written to it,`;
  const shorter = room > 0 ? `write ${room} new tokens at most` : 'take shorter prompts';
  return beyond(what, positions, `what is written beyond them means little; ${shorter}`);
}

/** Of models that work on the same rows, the one made for the fewest positions: one note is enough. */
export function shortestOf([first, ...others]: readonly [Configured, ...Configured[]]): Configured {
  return others.reduce((a, b) => (positionsOf(b) < positionsOf(a) ? b : a), first);
}

/** The tokens of a text that the model was made for, infinitely many where its config.json does not say. */
export function positionsOf({ configJson }: Configured): number {
  const positions = configJson.max_position_embeddings;
  return typeof positions === 'number' ? positions : Number.POSITIVE_INFINITY;
}

const beyond = (what: string, positions: number, advice: string) =>
  `${what} and the model was made for ${positions} (max_position_embeddings): ${advice}`;
