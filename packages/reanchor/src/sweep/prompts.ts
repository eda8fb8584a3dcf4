/** The prompts that a study names. */
import type { PromptText } from '../data/index.js';
import { UserError } from '../errors.js';
import { readPrompts } from '../generate/index.js';
import { loadCorpus } from '../quickstart/index.js';
import { shuffled } from '../random.js';
import { textHere } from '../recipe/index.js';

/** Keeps the draws here apart from others of the same seed. */
const drawKey = 11;

export interface DrawnPrompts {
  prompts: string;
  rows?: number | undefined;
  seed: number;
}

/**
 * Prompts of a file, or of the quickstart's sentences: `rows` of them that the seed draws, or all. Errors: UserError
 * where there are not so many.
 */
export async function drawPrompts({ prompts: name, rows, seed }: DrawnPrompts): Promise<PromptText[]> {
  const all = await promptsOf(name, rows ?? Number.POSITIVE_INFINITY, seed);
  if (rows === undefined) return all;
  if (all.length < rows) throw new UserError(`${name} has ${all.length} prompts, and rows asks for ${rows}`);
  if (isCorpus(name)) return all;
  return shuffled(all.length, drawKey, seed)
    .slice(0, rows)
    .map((i) => all[i]!);
}

const isCorpus = (name: string) => name === 'sotu' || name === 'sotu-heldout';

async function promptsOf(name: string, count: number, seed: number): Promise<PromptText[]> {
  if (!isCorpus(name)) return readPrompts(textHere('data.train', name));
  const { prompts, heldOutPrompts } = await loadCorpus({ prompts: count, heldOut: count, seed });
  return (name === 'sotu' ? prompts : heldOutPrompts).map((prompt) => ({ prompt }));
}
