/** AlpacaEval 2 from judgements that exist already. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UsageError, UserError } from '../../errors.js';
import { type Answer, readAnswers } from '../answers.js';
import { readAnnotations } from './annotations.js';
import {
  type Expected,
  type JudgedModel,
  readDifficulty,
  readExpected,
  readGamedBaselines,
  readLcInputs,
} from './files.js';
import {
  fitLengthControl,
  type GamedBaselines,
  type LengthControlWeights,
  lengthControlledWinRate,
  usualC,
  type WinRates,
  winRates,
} from './length-control.js';
import { requireOrder } from './order.js';

/** The files that {@link evaluateAlpaca} reads, and what of them counts. */
export interface AlpacaOptions {
  /** JSONL of models with lengths and preferences; or else `annotations`. */
  lcInputs?: string | undefined;
  /** Files of AlpacaEval's own annotations. */
  annotations?: readonly string[] | undefined;
  /** The model's answers, checked against the annotations. */
  outputs?: string | undefined;
  /** The baseline's answers in AlpacaEval's order. */
  referenceOutputs?: string | undefined;
  /** CSV of the instructions' difficulty; without it there is no length control. */
  difficulty?: string | undefined;
  /** JSON of the gamed baselines; default: gamed-baselines.json beside `difficulty`. */
  baselines?: string | undefined;
  /** C of every fit; default: that of `expected`, else {@link usualC}. */
  c?: number | undefined;
  /** CSV of published numbers to compare with. */
  expected?: string | undefined;
}

/** The win rates of a model against the baseline of AlpacaEval 2, in percent. */
export interface AlpacaResult extends WinRates {
  model: string;
  /** Percent; null without a file of difficulties, and where lengths cannot be controlled for. */
  lc_win_rate: number | null;
  c: number | null;
  weights: LengthControlWeights | null;
  /** Why a number is missing. */
  problem?: string | undefined;
  expected?: Expected | undefined;
  /** Ours minus the published number, in points. */
  difference?: AlpacaDifference | undefined;
}

interface AlpacaDifference {
  win_rate?: number | undefined;
  standard_error?: number | undefined;
  lc_win_rate?: number | undefined;
  /** The win rate that the published weights give here, minus the published one. */
  lc_from_published_weights?: number | undefined;
  /** Ours minus the optimum listed for C; only where our C is the listed one. */
  refit_lc?: number | undefined;
}

/**
 * Win rate, standard error and length-controlled win rate of every model in the files; a model without a single judged
 * row has n = 0 and no numbers. Errors: UsageError for files that do not go together, UserError where no model was
 * judged; UserError and FormatError of the files.
 */
export async function evaluateAlpaca(options: AlpacaOptions): Promise<AlpacaResult[]> {
  const { models, reference } = await judgedModels(options);
  const expected = options.expected === undefined ? undefined : await readExpected(options.expected);
  const control = await lengthControl(options, models, reference);
  const results = models.map((judged): AlpacaResult => {
    const published = expected?.get(judged.model);
    const c = options.c ?? published?.c ?? usualC;
    const rates = winRates(judged);
    const { weights, problem } = rates.n === 0 ? { problem: 'no row was judged' } : fitted(judged, control, c);
    const lc = control && weights ? lengthControlledWinRate(weights, control.difficulty, judged.index) : null;
    return {
      model: judged.model,
      ...rates,
      lc_win_rate: lc,
      c: control ? c : null,
      weights: weights ?? null,
      problem,
      expected: published,
      difference: published && rates.n > 0 ? differences(published, { ...rates, lc, c }, judged, control) : undefined,
    };
  });
  if (results.every(({ n }) => n === 0)) throw new UserError(`${results[0]!.model}: no row was judged`);
  return results;
}

interface Control {
  difficulty: number[];
  gamed: GamedBaselines;
}

interface Judged {
  models: JudgedModel[];
  /** The baseline's answers, where they are given. */
  reference: readonly Answer[] | undefined;
}

async function judgedModels(options: AlpacaOptions): Promise<Judged> {
  const { lcInputs, annotations = [], outputs, referenceOutputs } = options;
  if ((lcInputs === undefined) === (annotations.length === 0)) {
    throw new UsageError(
      (option) =>
        `give either ${option('lcInputs')} or ${option('annotations')}: lengths and preferences, or raw annotations`,
    );
  }
  if (lcInputs !== undefined) {
    if (outputs ?? referenceOutputs) {
      throw new UsageError(
        (option) =>
          `${option('outputs')} and ${option('referenceOutputs')} go with ${option('annotations')}: ${option('lcInputs')} holds the lengths`,
      );
    }
    const models = await readLcInputs(lcInputs);
    if (models.length === 0) throw new UserError(`${lcInputs}: no models`);
    return { models, reference: undefined };
  }
  const reference = referenceOutputs === undefined ? undefined : await readAnswers(referenceOutputs);
  const all: JudgedModel[] = [];
  for (const file of annotations) all.push(...(await readAnnotations(file, { reference, outputs })));
  return { models: all, reference };
}

async function lengthControl(
  options: AlpacaOptions,
  models: readonly JudgedModel[],
  reference: readonly Answer[] | undefined,
): Promise<Control | undefined> {
  if (options.difficulty === undefined) {
    const given = (['baselines', 'c'] as const).find((name) => options[name]);
    if (given === undefined) return undefined;
    throw new UsageError(
      (option) => `${option(given)} has no effect without ${option('difficulty')}, which length control needs`,
    );
  }
  const beside = join(dirname(options.difficulty), 'gamed-baselines.json');
  const baselines = options.baselines ?? (existsSync(beside) ? beside : undefined);
  if (baselines === undefined) {
    throw new UsageError(
      (option) =>
        `length control needs ${option('baselines')} as well: no gamed-baselines.json lies beside ${options.difficulty}`,
    );
  }
  const difficulty = await readDifficulty(options.difficulty);
  const gamed = await readGamedBaselines(baselines, difficulty.length);
  for (const { model, index } of models) {
    const beyond = index.find((i) => i >= difficulty.length);
    if (beyond === undefined) continue;
    throw new UserError(
      `${model} has a row ${beyond + 1}, but ${options.difficulty} has ${difficulty.length} difficulties`,
    );
  }
  requireOrder(gamed, { ...options, models, reference });
  return { difficulty, gamed };
}

/** The weights of the fit, or why there are none. */
function fitted(
  judged: JudgedModel,
  control: Control | undefined,
  c: number,
): { weights?: LengthControlWeights; problem?: string } {
  if (!control) return {};
  if (judged.isBaseline) return { weights: { w_len: 0, w_difficulty: 0, w_bias: 0 } };
  try {
    return { weights: fitLengthControl(judged, control.difficulty, control.gamed, c) };
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    return { problem: cause.message };
  }
}

function differences(
  published: Expected,
  ours: { win_rate: number; standard_error: number; lc: number | null; c: number },
  { index }: JudgedModel,
  control: Control | undefined,
): AlpacaDifference {
  const minus = (a: number | null | undefined, b: number | undefined) =>
    typeof a === 'number' && b !== undefined ? a - b : undefined;
  const fromWeights =
    control && published.weights && lengthControlledWinRate(published.weights, control.difficulty, index);
  return {
    win_rate: minus(ours.win_rate, published.win_rate),
    standard_error: minus(ours.standard_error, published.standard_error),
    lc_win_rate: minus(ours.lc, published.lc_win_rate),
    lc_from_published_weights: minus(fromWeights, published.lc_win_rate),
    refit_lc: published.c === undefined || published.c === ours.c ? minus(ours.lc, published.refit_lc) : undefined,
  };
}
