/** Arena-Hard from judgments that exist already. */
import { UsageError, UserError } from '../../errors.js';
import { type ArenaAnswer, type ArenaQuestion, readArenaAnswers, readJudgments } from './files.js';
import {
  type ArenaJudgment,
  type ArenaVersion,
  arenaLeaderboards,
  type Leaderboard,
  type LeaderboardOptions,
} from './leaderboard.js';

export interface ArenaOptions extends Omit<LeaderboardOptions, 'version' | 'styleOf'> {
  /** Default: told by the categories of the judgments. */
  version?: ArenaVersion | undefined;
  /** Answers of the models and of the baselines, for their lengths and for style control. */
  answers?: readonly string[] | undefined;
}

/**
 * The leaderboards of files of judgments. A question that is judged twice for a model is an error: it would count twice.
 * Errors: UsageError, UserError, FormatError.
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
export function scoreArena(
  judgments: readonly ArenaJudgment[],
  answers: ReadonlyMap<string, ReadonlyMap<string, ArenaAnswer>>,
  { version, ...options }: Omit<ArenaOptions, 'answers'>,
): Leaderboard[] {
  if (options.style && answers.size === 0) {
    throw new UsageError('--style needs --answers: the files of answers of the models and of the baselines');
  }
  requireOnce(judgments);
  const isV2 = judgments.every(({ category }) => category !== 'arena-hard-v0.1');
  return arenaLeaderboards(judgments, {
    ...options,
    version: version ?? (isV2 ? 'v2.0' : 'v0.1'),
    styleOf: answers.size === 0 ? undefined : (model, uid) => answers.get(model)?.get(uid)?.style,
  });
}

/** The answers of files, by model and question. A model may have several files. */
export async function readAllAnswers(
  files: readonly string[],
  questions: readonly ArenaQuestion[] = [],
): Promise<Map<string, Map<string, ArenaAnswer>>> {
  const all = new Map<string, Map<string, ArenaAnswer>>();
  for (const file of files) {
    for (const answer of (await readArenaAnswers(file, questions, modelOfFile(file))).values()) {
      const own = all.get(answer.model) ?? new Map<string, ArenaAnswer>();
      own.set(answer.uid, answer);
      all.set(answer.model, own);
    }
  }
  return all;
}

/** A file's name without folders and endings, the model of rows that name none. */
export const modelOfFile = (file: string) =>
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
