/** Several models' answers to the same prompts. */
import type { Content } from '../data/index.js';
import { UsageError, UserError } from '../errors.js';
import { shuffled } from '../random.js';
import { fewClusters } from '../stats/index.js';
import { type Answer, readAnswers } from './answers.js';
import { placesOf, promptKeys } from './prompts.js';

export interface AnswerSets {
  names: string[];
  /** The prompts that every file has an answer to: chats where a file has chats, else as the first file has them. */
  prompts: Content[];
  /** Per model, its answer to each of `prompts`. */
  answers: Answer[][];
  /** Per model, answers to prompts that some other file lacks, which are left out. */
  leftOut: number[];
}

/**
 * Reads files of answers, `file` or `name=file`, and matches them by prompt ({@link promptKeys}); a name that is not
 * given is that of the file. With `sample`, so many of the prompts are drawn, in the order of the first file. Errors:
 * UsageError for names that repeat, UserError for files without a common prompt, UserError and FormatError of the
 * files.
 */
export async function readAnswerSets(
  given: readonly string[],
  { sample, seed = 0 }: { sample?: number | undefined; seed?: number | undefined } = {},
): Promise<AnswerSets> {
  const files = namedFiles(given, 'answers');
  const names = files.map(({ name }) => name);
  const sets: Answer[][] = [];
  for (const { file } of files) sets.push(await readAnswers(file));
  const first = sets[0]!;
  const keys = sets.map((set) => set.map(({ prompt }) => promptKeys(prompt)));
  const places = keys.map((set) => placesOf(keys[0]!, set));
  const of = (i: number) => sets.map((set, model) => set[places[model]![i]!]!);
  const common = first.flatMap((_, i) => (places.every((list) => list[i] !== -1) ? [i] : []));
  if (common.length === 0) {
    throw new UserError(
      `${files.map(({ file }) => file).join(', ')} have no prompt in common: prompts have to be equal, white space apart; a text is as good as a chat of that one message`,
    );
  }
  const chosen =
    sample === undefined || sample >= common.length
      ? common
      : shuffled(common.length, seed, 2)
          .slice(0, sample)
          .sort((a, b) => a - b)
          .map((i) => common[i]!);
  return {
    names,
    prompts: chosen.map((i) => of(i).find(({ prompt }) => typeof prompt !== 'string')?.prompt ?? first[i]!.prompt),
    answers: sets.map((_, model) => chosen.map((i) => of(i)[model]!)),
    leftOut: sets.map((set) => set.length - common.length),
  };
}

/** What is to be said of answers that were left out. */
export const leftOutNotes = ({ names, leftOut }: Pick<AnswerSets, 'names' | 'leftOut'>): string[] =>
  leftOut.flatMap((count, i) => {
    const answers = count === 1 ? '1 answer is' : `${count} answers are`;
    return count > 0 ? [`${names[i]}: ${answers} left out, whose prompts another file lacks`] : [];
  });

/** What is to be said of intervals that draw so few prompts; nothing where they are enough. */
export const fewPromptsNotes = (subject: string, prompts: number): string[] =>
  prompts < fewClusters
    ? [
        `${subject}: the intervals of ${prompts} prompts are too narrow; the bootstrap is meant for ${fewClusters} or more`,
      ]
    : [];

/**
 * Files given as `file` or `name=file`; a name that is not given is that of the file. Errors: UsageError for names that
 * repeat, which says how the files of `option` are named.
 */
export function namedFiles(given: readonly string[], option?: string): NamedFile[] {
  const files = given.map(nameAndFile);
  const names = files.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return files;
  throw new UsageError((naming) => {
    const start = option === undefined ? '' : `${naming(option)} `;
    return `two files go by the name ${twice}: name them, as in ${start}a=${given[0]} b=...`;
  });
}

export interface NamedFile {
  name: string;
  file: string;
}

function nameAndFile(text: string): NamedFile {
  const at = text.indexOf('=');
  if (at > 0 && !text.slice(0, at).includes('/')) return { name: text.slice(0, at), file: text.slice(at + 1) };
  const name = text.split('/').at(-1)!;
  return { name: name.replace(/(\.jsonl|\.json|\.parquet)?(\.gz)?$/i, '') || name, file: text };
}
