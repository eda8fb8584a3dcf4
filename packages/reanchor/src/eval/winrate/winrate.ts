/** Win rates of several models, judged side by side in both orders. */
import { UsageError, UserError } from '../../errors.js';
import { requireWritable, writeJsonl } from '../../formats/index.js';
import { type AnswerSets, readAnswerSets } from '../answer-sets.js';
import { mapConcurrently } from '../judge/gate.js';
import { type ComparedTexts, judgeBothOrders, type PairJudge } from '../judge/judge.js';
import { promptText } from '../prompts.js';
import { type ComparedRow, type Comparison, compare, comparedRow } from './compare.js';

/** What {@link winRate} compares, by which judge, and how its intervals are drawn. */
export interface WinRateOptions {
  /** Files of answers, `file` or `name=file`; two or more. */
  answers: readonly string[];
  judge: PairJudge;
  /** Compare all others with this one, instead of everyone with everyone. */
  baseline?: string | undefined;
  /** Draw so many prompts. */
  sample?: number | undefined;
  seed?: number | undefined;
  level?: number | undefined;
  resamples?: number | undefined;
  /** The JSONL file of verdicts, one line a prompt and pair of models. */
  out?: string | undefined;
  concurrency: number;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface ModelPair {
  model: string;
  other: string;
  comparison: Comparison;
  rows: ComparedRow[];
}

/** How often each model wins against the others, on the prompts that all of them answered. */
export interface WinRateResult {
  names: string[];
  prompts: number;
  /** Per model, answers that were left out because another file lacks their prompts. */
  leftOut: number[];
  pairs: ModelPair[];
  /** Pairs without a single verdict. */
  unjudged: Pick<ModelPair, 'model' | 'other'>[];
}

/**
 * Judges the models of the files against each other on the prompts they have in common: each pair in both orders,
 * disagreement being a tie; equal answers are ties that nobody is asked about. Errors: UsageError, FormatError, those
 * of the judge; UserError of the files, and where no pair has a verdict.
 */
export async function winRate(options: WinRateOptions): Promise<WinRateResult> {
  const { answers: files, judge, baseline, sample, seed = 0, level, resamples, out, concurrency, onProgress } = options;
  if (files.length < 2)
    throw new UsageError((option) => `${option('answers')} needs two or more files: the answers of each model`);
  if (out !== undefined) await requireWritable(out, 0);
  const sets = await readAnswerSets(files, { sample, seed });
  const pairs = modelPairs(sets.names, baseline);
  const tasks = pairs.flatMap((pair) => sets.prompts.map((_, i) => ({ pair, i })));
  let done = 0;
  const rows = await mapConcurrently(tasks, concurrency, async ({ pair, i }) => {
    const texts = textsOf(sets, pair, i);
    const { answer, other } = texts;
    const judged = answer === other ? undefined : await judgeBothOrders(judge, texts);
    onProgress?.(++done, tasks.length);
    return comparedRow({ prompt: promptText(texts.prompt), answer, other }, judged);
  });
  if (out !== undefined)
    await writeJsonl(
      out,
      tasks.map(({ pair, i }, t) => line(sets, pair, i, rows[t]!)),
    );
  const count = sets.prompts.length;
  const judged = pairs.map(([a, b], p) => ({
    ...{ model: sets.names[a]!, other: sets.names[b]! },
    rows: rows.slice(p * count, (p + 1) * count),
  }));
  const isJudged = (own: readonly ComparedRow[]) => own.some(({ outcome }) => outcome !== undefined);
  const unjudged = judged.filter((pair) => !isJudged(pair.rows)).map(({ model, other }) => ({ model, other }));
  if (unjudged.length === pairs.length) {
    const [{ model, other }] = unjudged as [(typeof unjudged)[number]];
    throw new UserError(`${model} and ${other}: ${noVerdict(count)}`);
  }
  return {
    names: sets.names,
    prompts: count,
    leftOut: sets.leftOut,
    pairs: judged
      .filter((pair) => isJudged(pair.rows))
      .map((pair) => ({ ...pair, comparison: compare(pair.rows, { level: level ?? 0.95, resamples, seed }) })),
    unjudged,
  };
}

/** What is said of a pair of models that the judge has not compared. */
export const noVerdict = (prompts: number) => `the judge gave no verdict that can be read on any of ${prompts} prompts`;

type Indices = readonly [model: number, other: number];

function modelPairs(names: readonly string[], baseline: string | undefined): Indices[] {
  const all = names.map((_, i) => i);
  if (baseline === undefined) return all.flatMap((i) => all.filter((j) => j > i).map((j): Indices => [i, j]));
  const base = names.indexOf(baseline);
  if (base === -1)
    throw new UsageError((option) => `${option('baseline')} ${baseline} is none of the models ${names.join(', ')}`);
  return all.filter((i) => i !== base).map((i): Indices => [i, base]);
}

function textsOf({ prompts, answers }: AnswerSets, [a, b]: Indices, i: number): ComparedTexts {
  const [answer, other] = [answers[a]![i]!, answers[b]![i]!];
  const isCut = [answer.finish === 'length', other.finish === 'length'] as const;
  return { prompt: prompts[i]!, answer: answer.text, other: other.text, isCut };
}

function line({ names, answers }: AnswerSets, [a, b]: Indices, i: number, { outcome, agree, verdicts }: ComparedRow) {
  return {
    model: names[a],
    other: names[b],
    lines: [answers[a]![i]!.line, answers[b]![i]!.line],
    outcome: outcome ?? null,
    agree,
    verdicts,
  };
}
