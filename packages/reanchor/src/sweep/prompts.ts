/** The prompts that a study names. */
import type { PromptText } from '../data/index.js';
import { UserError } from '../errors.js';
import { readPrompts } from '../generate/index.js';
import { shuffled } from '../random.js';
import { textHere } from '../recipe/index.js';
import { loadBeginnings, type Part } from './corpus.js';

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
  if (corpusParts.has(name)) return all;
  return shuffled(all.length, drawKey, seed)
    .slice(0, rows)
    .map((i) => all[i]!);
}

/** The prompts that an npm package has, by their names in a study. */
const corpusParts: ReadonlyMap<string, Part> = new Map([
  ['sotu', 'trained'],
  ['sotu-heldout', 'heldOut'],
]);

async function promptsOf(name: string, count: number, seed: number): Promise<PromptText[]> {
  const part = corpusParts.get(name);
  if (!part) return readPrompts(textHere('data.train', name));
  return (await loadBeginnings(part, { count, seed })).map((prompt) => ({ prompt }));
}
