/** Win rates of several models, judged side by side in both orders. */
import { UsageError, UserError } from '../../errors.js';
import { requireWritable, writeJsonl } from '../../formats/index.js';
import { type AnswerSets, readAnswerSets } from '../answer-sets.js';
import { mapConcurrently } from '../judge/gate.js';
import { judgeBothOrders, type PairJudge } from '../judge/judge.js';
import { type ComparedRow, type Comparison, compare, comparedRow } from './compare.js';

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

export interface WinRateResult {
  names: string[];
  prompts: number;
  /** Per model, answers that were left out because another file lacks their prompts. */
  leftOut: number[];
  pairs: ModelPair[];
}

/**
 * Judges the models of the files against each other on the prompts they have in common: each pair in both orders,
 * disagreement being a tie; equal answers are ties that nobody is asked about. Errors: UsageError, UserError, FormatError,
 * those of the judge.
 */
export async function winRate(options: WinRateOptions): Promise<WinRateResult> {
  const { answers: files, judge, baseline, sample, seed = 0, level, resamples, out, concurrency, onProgress } = options;
  if (files.length < 2) throw new UsageError('--answers needs two or more files: the answers of each model');
  if (out !== undefined) await requireWritable(out, 0);
  const sets = await readAnswerSets(files, { sample, seed });
  const pairs = modelPairs(sets.names, baseline);
  const tasks = pairs.flatMap((pair) => sets.prompts.map((_, i) => ({ pair, i })));
  let done = 0;
  const rows = await mapConcurrently(tasks, concurrency, async ({ pair, i }) => {
    const texts = textsOf(sets, pair, i);
    const judged = texts.answer === texts.other ? undefined : await judgeBothOrders(judge, texts);
    onProgress?.(++done, tasks.length);
    return comparedRow(texts, judged);
  });
  if (out !== undefined)
    await writeJsonl(
      out,
      tasks.map(({ pair, i }, t) => line(sets, pair, i, rows[t]!)),
    );
  const count = sets.prompts.length;
  return {
    names: sets.names,
    prompts: count,
    leftOut: sets.leftOut,
    pairs: pairs.map(([a, b], p) => {
      const own = rows.slice(p * count, (p + 1) * count);
      const [model, other] = [sets.names[a]!, sets.names[b]!];
      if (own.every(({ outcome }) => outcome === undefined)) {
        throw new UserError(
          `${model} and ${other}: the judge gave no verdict that can be read on any of ${count} prompts`,
        );
      }
      return { model, other, comparison: compare(own, { level: level ?? 0.95, resamples, seed }), rows: own };
    }),
  };
}

type Indices = readonly [model: number, other: number];

function modelPairs(names: readonly string[], baseline: string | undefined): Indices[] {
  const all = names.map((_, i) => i);
  if (baseline === undefined) return all.flatMap((i) => all.filter((j) => j > i).map((j): Indices => [i, j]));
  const base = names.indexOf(baseline);
  if (base === -1) throw new UsageError(`--baseline ${baseline} is none of the models ${names.join(', ')}`);
  return all.filter((i) => i !== base).map((i): Indices => [i, base]);
}

function textsOf({ prompts, answers }: AnswerSets, [a, b]: Indices, i: number) {
  return { prompt: prompts[i]!, answer: answers[a]![i]!.text, other: answers[b]![i]!.text };
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
