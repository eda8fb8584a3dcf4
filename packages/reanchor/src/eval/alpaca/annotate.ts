/** Making the annotations of AlpacaEval 2 with a judge. */
import { createHash } from 'node:crypto';
import { UserError } from '../../errors.js';
import { exactJson, requireWritable, writeFileAtomic } from '../../formats/index.js';
import { type Answer, readAnswers } from '../answers.js';
import { mapConcurrently } from '../judge/gate.js';
import type { PairJudge, Verdict } from '../judge/judge.js';
import { placesOf, promptKeys, promptText } from '../prompts.js';

export interface AnnotateOptions {
  judge: PairJudge;
  /** The model's answers. */
  outputs: string;
  /** The baseline's answers in AlpacaEval's order. */
  referenceOutputs: string;
  /** The annotations to write, a JSON list. */
  out: string;
  /**
   * `random` (default): each instruction is judged once, in an order that its text decides, as AlpacaEval does. `both`:
   * in both orders, and the preference is the mean.
   */
  orders?: 'random' | 'both' | undefined;
  /** Pairs judged at once. */
  concurrency: number;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface AnnotateResult {
  rows: number;
  /** Rows without a verdict; their preference is null. */
  unparsed: number;
  /** Rows whose answers are equal: a draw that nobody is asked about. */
  identical: number;
  /** Instructions of the baseline that the model has no answer to. */
  missing: number;
}

/**
 * Judges a model's answers against the baseline's and writes AlpacaEval's annotations: `preference` is 1 + the share of
 * the model's answer, 1.5 for equal answers, null without a verdict. The file appears whole or not at all; what the
 * judge has said is kept by the judge. Errors: UserError, FormatError, those of the judge.
 */
export async function annotateAlpaca(options: AnnotateOptions): Promise<AnnotateResult> {
  const { judge, out, orders = 'random', concurrency, onProgress } = options;
  await requireWritable(out, 0);
  const [outputs, reference] = [await readAnswers(options.outputs), await readAnswers(options.referenceOutputs)];
  const [wanted, among] = [outputs, reference].map((some) => some.map(({ prompt }) => promptKeys(prompt)));
  const places = placesOf(wanted!, among!);
  const stray = places.indexOf(-1);
  if (stray !== -1) {
    throw new UserError(
      `${options.outputs}:${outputs[stray]!.line}: its instruction is not (or not so often) among those of ${options.referenceOutputs}`,
    );
  }
  const pairs = outputs
    .map((model, i) => ({ model, base: reference[places[i]!]!, place: places[i]! }))
    .sort((a, b) => a.place - b.place);
  let done = 0;
  const rows = await mapConcurrently(pairs, concurrency, async ({ model, base }) => {
    const row = await annotation(judge, model, base, orders);
    onProgress?.(++done, pairs.length);
    return row;
  });
  await writeFileAtomic(out, `${exactJson(rows, 1)}\n`);
  return {
    rows: rows.length,
    unparsed: rows.filter(({ preference }) => preference === null).length,
    identical: rows.filter(({ raw_completion }) => raw_completion === null).length,
    missing: reference.length - pairs.length,
  };
}

async function annotation(judge: PairJudge, model: Answer, base: Answer, orders: 'random' | 'both') {
  const row = {
    instruction: base.prompt,
    output_1: base.text,
    generator_1: base.model ?? 'baseline',
    output_2: model.text,
    generator_2: model.model ?? 'model',
    annotator: judge.name,
  };
  if (model.text === base.text) return { ...row, preference: 1.5, raw_completion: null };
  const prompt = base.prompt;
  const ask = async (isModelFirst: boolean) => {
    const [first, second] = isModelFirst ? [model.text, base.text] : [base.text, model.text];
    const verdict = await judge.judge({ prompt, first, second });
    return { isModelFirst, verdict };
  };
  const asked = await Promise.all(orders === 'both' ? [ask(false), ask(true)] : [ask(isSwapped(promptText(prompt)))]);
  const shares = asked.map(({ isModelFirst, verdict: { first } }) =>
    first === undefined ? Number.NaN : isModelFirst ? first : 1 - first,
  );
  const share = shares.reduce((sum, one) => sum + one, 0) / shares.length;
  return {
    ...row,
    preference: Number.isNaN(share) ? null : 1 + share,
    raw_completion: asked.map(({ isModelFirst, verdict }) => ({ model_first: isModelFirst, ...plain(verdict) })),
  };
}

/** A coin that an instruction always throws alike. */
const isSwapped = (instruction: string) => createHash('sha256').update(instruction).digest()[0]! % 2 === 1;

const plain = ({ first, label, text, unparsed }: Verdict) => ({ first, label, text, unparsed });
