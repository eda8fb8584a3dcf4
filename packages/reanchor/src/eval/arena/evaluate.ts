/** Arena-Hard from judgments that exist already. */
import { UsageError, UserError } from '../../errors.js';
import { characters } from '../answers.js';
import { type ArenaAnswer, type ArenaQuestion, readArenaAnswers, readJudgments, versionOf } from './files.js';
import {
  type ArenaJudgment,
  type ArenaVersion,
  arenaLeaderboards,
  type Leaderboard,
  type LeaderboardOptions,
  type Styles,
} from './leaderboard.js';
import type { Style } from './style.js';

/** The files that {@link evaluateArena} reads beside the judgments, and how ratings are fitted. */
export interface ArenaOptions extends Omit<LeaderboardOptions, 'version' | 'styles'> {
  /** Default: told by the categories of the judgments. */
  version?: ArenaVersion | undefined;
  /** Answers of the models and of the baselines, for their lengths and for style control. */
  answers?: readonly string[] | undefined;
}

/**
 * The leaderboards of files of judgments. A question that is judged twice for a model is an error: it would count
 * twice. Errors: UsageError, UserError, FormatError.
 */
export async function evaluateArena(
  files: readonly string[],
  { answers = [], version, ...options }: ArenaOptions,
): Promise<Leaderboard[]> {
  const judgments: ArenaJudgment[] = [];
  for (const file of files) judgments.push(...(await readJudgments(file, version)));
  return scoreArena(judgments, await readAllAnswers(answers), { version, ...options });
}

/** The leaderboards of judgments; `answers` by model, then by question. Errors: UsageError, UserError. */
function scoreArena(
  judgments: readonly ArenaJudgment[],
  answers: ReadonlyMap<string, ReadonlyMap<string, ArenaAnswer>>,
  { version, ...options }: Omit<ArenaOptions, 'answers'>,
): Leaderboard[] {
  if (options.style && answers.size === 0) {
    throw new UsageError(
      (option) =>
        `${option('style')} needs ${option('answers')}: the files of answers of the models and of the baselines`,
    );
  }
  requireOnce(judgments);
  return arenaLeaderboards(judgments, {
    ...options,
    version: version ?? versionOf(judgments),
    styles: answers.size === 0 ? undefined : stylesOf(answers),
  });
}

/** The styles of answers, whose lengths are in tokens only where all have them: characters / 4 are no tokens. */
function stylesOf(answers: ReadonlyMap<string, ReadonlyMap<string, ArenaAnswer>>): Styles {
  const all = [...answers.values()].flatMap((own) => [...own.values()]);
  const lengthUnit = all.every(({ tokens }) => tokens !== undefined) ? 'tokens' : 'characters / 4';
  const of = (model: string, uid: string): Style | undefined => {
    const answer = answers.get(model)?.get(uid);
    if (answer === undefined || lengthUnit === 'tokens') return answer?.style;
    return { ...answer.style, length: characters(answer.text) / 4 };
  };
  return { lengthUnit, of };
}

/**
 * The answers of files, by model and question. A model may have several files. Errors: UserError for a second answer of
 * a model to a question; UserError and FormatError of the files.
 */
export async function readAllAnswers(
  files: readonly string[],
  questions: readonly ArenaQuestion[] = [],
): Promise<Map<string, Map<string, ArenaAnswer>>> {
  const all = new Map<string, Map<string, ArenaAnswer>>();
  for (const file of files) {
    for (const answer of await readArenaAnswers(file, questions, modelOfFile(file))) {
      const own = all.get(answer.model) ?? new Map<string, ArenaAnswer>();
      if (own.has(answer.uid)) {
        throw new UserError(
          `${file}: a second answer of ${answer.model} to question ${answer.uid}: leave one file out, or name the models`,
        );
      }
      own.set(answer.uid, answer);
      all.set(answer.model, own);
    }
  }
  return all;
}

/** A file's name without folders and endings, the model of rows that name none. */
const modelOfFile = (file: string) =>
  file
    .split('/')
    .at(-1)!
    .replace(/(\.jsonl|\.json|\.parquet)?(\.gz)?$/i, '');

function requireOnce(judgments: readonly ArenaJudgment[]): void {
  const seen = new Set<string>();
  for (const { uid, model, baseline } of judgments) {
    const key = JSON.stringify([uid, model, baseline]);
    if (seen.has(key)) throw new UserError(`question ${uid} is judged twice for ${model}: take one judgment out`);
    seen.add(key);
  }
}
