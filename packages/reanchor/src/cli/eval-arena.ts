import { UsageError } from '../errors.js';
import { arenaRules, type Leaderboard } from '../eval/arena/leaderboard.js';
import { writeFileAtomic } from '../formats/index.js';
import { packageVersion } from '../version.js';
import type { JudgeFlags } from './commands/judge-options.js';
import { choiceFlag, numberFlag } from './flags.js';
import { openJudge } from './open-judge.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `eval arena` as commander gives them. */
export interface ArenaFlags extends JudgeFlags {
  judgments?: string[];
  questions?: string;
  baseline?: string;
  out?: string;
  answers?: string[];
  style?: string;
  styleAt: string;
  resample: string;
  resamples: string;
  level?: string;
  seed: string;
  json?: string;
}

/**
 * `reanchor eval arena`: prints a leaderboard for each category; `--json` writes all numbers. With a judge, the answers
 * are judged first.
 */
export async function arenaVerb(flags: ArenaFlags, terminal: Terminal): Promise<void> {
  const settings = {
    style: flags.style === undefined ? undefined : choiceFlag('--style', flags.style, ['length', 'markdown', 'both']),
    styleAt: choiceFlag('--style-at', flags.styleAt, ['equal', 'mean']),
    resample: choiceFlag('--resample', flags.resample, ['questions', 'battles']),
    resamples: numberFlag('--resamples', flags.resamples, { integer: true, min: 1 }),
    level: flags.level === undefined ? undefined : levelFlag(flags.level),
    seed: numberFlag('--seed', flags.seed, { integer: true }),
  };
  if ((flags.judgments === undefined) === (flags.judgeUrl === undefined)) {
    throw new UsageError('give either --judgments or a judge (--judge-url, --judge-model)');
  }
  const judgments = flags.judgments ?? [await judgeAnswers(flags, terminal)];
  const { evaluateArena } = await import('../eval/arena/evaluate.js');
  const leaderboards = await evaluateArena(judgments, { ...settings, answers: flags.answers });
  for (const board of leaderboards) printLeaderboard(board, settings.level, terminal);
  if (flags.json === undefined) return;
  const document = { benchmark: 'arena-hard', reanchor: packageVersion(), settings, leaderboards };
  await writeFileAtomic(flags.json, `${JSON.stringify(document, null, 1)}\n`);
  terminal.note(`wrote ${flags.json}`);
}

/** Judges the answers; gives the file of judgments. */
async function judgeAnswers(flags: ArenaFlags, terminal: Terminal): Promise<string> {
  const { questions: file, answers: files, out, baseline, template } = flags;
  if (file === undefined || files === undefined || out === undefined) {
    throw new UsageError(
      'a judge makes the judgments: give --questions, --answers (also of the baseline) and --out, the file of judgments to write',
    );
  }
  const { readQuestions, versionOf } = await import('../eval/arena/files.js');
  const { readAllAnswers } = await import('../eval/arena/evaluate.js');
  const { judgeArena } = await import('../eval/arena/judge.js');
  const { arenaJudge } = await import('../eval/judge/judges.js');
  const questions = await readQuestions(file);
  const version = versionOf(questions);
  const answers = await readAllAnswers(files, questions);
  await using session = await openJudge(flags, process.env, terminal);
  const judge = await arenaJudge(session.client, version, { ...session, template });
  const { concurrency, onProgress } = session;
  const rows = await judgeArena({ judge, version, questions, answers, baseline, out, concurrency, onProgress });
  terminal.endStatus();
  terminal.note(`wrote ${out}: ${rows} judgments`);
  return out;
}

/** Prints one leaderboard and what was left out of it. */
function printLeaderboard(
  { category, baseline, baseline_mean_length: length, length_unit: unit, models, unjudged, style }: Leaderboard,
  level: number | undefined,
  terminal: Terminal,
): void {
  const usual = category === 'arena-hard-v0.1' ? arenaRules['v0.1'].level : arenaRules['v2.0'].level;
  const interval = `${Number((100 * (level ?? usual)).toPrecision(4))} % interval`;
  const head = [
    `${category} against ${baseline}`,
    'score',
    interval,
    'questions',
    'wins',
    'ties',
    'losses',
    'no verdict',
  ];
  const hasLengths = models.some((one) => one.mean_length !== undefined);
  if (hasLengths) head.push('mean length');
  const rows = models.map((one) => [
    one.model,
    one.score.toFixed(2),
    `${one.low.toFixed(2)} to ${one.high.toFixed(2)}`,
    ...[one.questions, one.wins, one.ties, one.losses, one.unparsed].map(String),
    ...(hasLengths ? [one.mean_length?.toFixed(0) ?? '-'] : []),
  ]);
  for (const line of table([head, ...rows])) terminal.result(line);
  for (const { model, dropped } of unjudged) {
    terminal.note(`${category}: no verdict on ${model} counts, of ${dropped} questions`);
  }
  if (length !== undefined) terminal.note(`${baseline}: mean length ${length.toFixed(0)} ${unit}`);
  for (const [name, { coefficient, low, high }] of Object.entries(style ?? {})) {
    terminal.note(`style, ${name}: ${coefficient.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)}) log-odds`);
  }
  const sum = (pick: (one: (typeof models)[number]) => number) => models.reduce((total, one) => total + pick(one), 0);
  const [games, questions] = [sum((one) => one.unparsed), sum((one) => one.dropped)];
  if (games === 0) return;
  const left = questions === 1 ? '1 question is' : `${questions} questions are`;
  terminal.note(`${games} ${games === 1 ? 'game' : 'games'} without a verdict: ${left} left out`);
}

const levelFlag = (text: string) => numberFlag('--level', text, { above: true, max: 0.9999 });
