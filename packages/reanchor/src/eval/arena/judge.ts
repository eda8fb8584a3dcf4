/** Judging answers to Arena-Hard's questions, in both orders. */
import { UserError } from '../../errors.js';
import { requireWritable, writeJsonl } from '../../formats/index.js';
import { mapConcurrently } from '../judge/gate.js';
import type { PairJudge, Verdict } from '../judge/judge.js';
import type { ArenaAnswer, ArenaQuestion } from './files.js';
import { type ArenaVersion, arenaRules } from './leaderboard.js';
import { type ArenaVerdict, labelOf } from './verdict.js';

export interface JudgeArenaOptions {
  judge: PairJudge;
  version: ArenaVersion;
  questions: readonly ArenaQuestion[];
  /** By model, then by question; the baselines are among them. */
  answers: ReadonlyMap<string, ReadonlyMap<string, ArenaAnswer>>;
  /** The model that all others are compared with; default: the benchmark's own for each category. */
  baseline?: string | undefined;
  /** The JSONL file of judgments to write. */
  out: string;
  concurrency: number;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Judges every model but the baselines on every question, with the baseline's answer in place A and then in place B,
 * and writes judgments in the form of Arena-Hard, a game's `score` being null without a verdict. Returns their number.
 * The file appears whole or not at all. Errors: UserError for missing answers, those of the judge.
 */
export async function judgeArena(options: JudgeArenaOptions): Promise<number> {
  const { judge, version, questions, answers, out, concurrency, onProgress } = options;
  await requireWritable(out, 0);
  const baselines = arenaRules[version].baselines as Record<string, string>;
  const baselineOf = (category: string) => {
    const name = options.baseline ?? baselines[category];
    if (name !== undefined && answers.has(name)) return name;
    throw new UserError(
      (option) =>
        `the baseline of ${category} is ${name ?? 'unknown'}, and no file has its answers: give the file with ${option('answers')}, or another model of the files with ${option('baseline')}`,
    );
  };
  const names = new Set(questions.map(({ category }) => baselineOf(category)));
  const models = [...answers.keys()].filter((model) => !names.has(model));
  if (models.length === 0) throw new UserError(`no model to judge: the files have answers of ${[...names]} alone`);
  const tasks = models.flatMap((model) => questions.map((question) => ({ model, question })));
  const answerOf = (model: string, { uid }: ArenaQuestion) => {
    const answer = answers.get(model)!.get(uid);
    if (!answer) throw new UserError(`${model} has no answer to question ${uid}`);
    return answer.text;
  };
  const pairs = tasks.map(({ model, question }) => {
    const baseline = baselineOf(question.category);
    return { model, question, baseline, texts: [answerOf(baseline, question), answerOf(model, question)] as const };
  });
  let done = 0;
  const rows = await mapConcurrently(pairs, concurrency, async ({ model, question, baseline, texts: [base, own] }) => {
    const { uid, prompt, category } = question;
    const verdicts = await Promise.all([
      judge.judge({ prompt, first: base, second: own, category }),
      judge.judge({ prompt, first: own, second: base, category }),
    ]);
    onProgress?.(++done, pairs.length);
    return { uid, category, judge: judge.name, model, baseline, games: verdicts.map(game) };
  });
  await writeJsonl(out, rows);
  return rows.length;
}

/** A judge that has no labels of its own gives weak ones. */
function game(verdict: Verdict) {
  const { first, label, text, unparsed } = verdict;
  const weak: ArenaVerdict | undefined =
    first === undefined ? undefined : first > 0.5 ? 'A>B' : first < 0.5 ? 'B>A' : 'A=B';
  return {
    score: labelOf(label ?? '') ?? weak ?? null,
    judgment: text === undefined ? null : { answer: text },
    unparsed,
  };
}
