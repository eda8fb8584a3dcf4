/** AlpacaEval 2 from judgements that exist already. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UsageError, UserError } from '../../errors.js';
import { readAnswers } from '../answers.js';
import {
  type Expected,
  type JudgedModel,
  readAnnotations,
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

export interface AlpacaResult extends WinRates {
  model: string;
  /** Percent; null without a file of difficulties. */
  lc_win_rate: number | null;
  c: number | null;
  weights: LengthControlWeights | null;
  expected?: Expected | undefined;
  /** Ours minus the published number, in points. */
  difference?: AlpacaDifference | undefined;
}

export interface AlpacaDifference {
  win_rate?: number | undefined;
  standard_error?: number | undefined;
  lc_win_rate?: number | undefined;
  /** The win rate that the published weights give here, minus the published one. */
  lc_from_published_weights?: number | undefined;
  /** Ours minus the optimum listed for C; only where our C is the listed one. */
  refit_lc?: number | undefined;
}

/**
 * Win rate, standard error and length-controlled win rate of every model in the files. Errors: UsageError for files that
 * do not go together, UserError and FormatError of the files.
 */
export async function evaluateAlpaca(options: AlpacaOptions): Promise<AlpacaResult[]> {
  const models = await judgedModels(options);
  const expected = options.expected === undefined ? undefined : await readExpected(options.expected);
  const control = await lengthControl(options, models);
  return models.map((judged) => {
    const published = expected?.get(judged.model);
    const c = options.c ?? published?.c ?? usualC;
    const rates = winRates(judged);
    if (rates.n === 0) throw new UserError(`${judged.model}: no row was judged`);
    const weights = control && fitted(judged, control, c);
    const lc = weights ? lengthControlledWinRate(weights, control.difficulty, judged.index) : null;
    return {
      model: judged.model,
      ...rates,
      lc_win_rate: lc,
      c: control ? c : null,
      weights: weights ?? null,
      expected: published,
      difference: published && differences(published, { ...rates, lc, c }, judged, control),
    };
  });
}

interface Control {
  difficulty: number[];
  gamed: GamedBaselines;
}

async function judgedModels(options: AlpacaOptions): Promise<JudgedModel[]> {
  const { lcInputs, annotations = [], outputs, referenceOutputs } = options;
  if ((lcInputs === undefined) === (annotations.length === 0)) {
    throw new UsageError('give either --lc-inputs or --annotations: lengths and preferences, or raw annotations');
  }
  if (lcInputs !== undefined) {
    if (outputs ?? referenceOutputs) {
      throw new UsageError('--outputs and --reference-outputs go with --annotations: --lc-inputs holds the lengths');
    }
    const models = await readLcInputs(lcInputs);
    if (models.length === 0) throw new UserError(`${lcInputs}: no models`);
    return models;
  }
  const reference = referenceOutputs === undefined ? undefined : await readAnswers(referenceOutputs);
  const all: JudgedModel[] = [];
  for (const file of annotations) all.push(...(await readAnnotations(file, { reference, outputs })));
  return all;
}

async function lengthControl(options: AlpacaOptions, models: readonly JudgedModel[]): Promise<Control | undefined> {
  if (options.difficulty === undefined) {
    const given = Object.entries({ '--baselines': options.baselines, '--c': options.c }).find(([, one]) => one);
    if (given) throw new UsageError(`${given[0]} has no effect without --difficulty, which length control needs`);
    return undefined;
  }
  const beside = join(dirname(options.difficulty), 'gamed-baselines.json');
  const baselines = options.baselines ?? (existsSync(beside) ? beside : undefined);
  if (baselines === undefined) {
    throw new UsageError(
      `length control needs --baselines as well: no gamed-baselines.json lies beside ${options.difficulty}`,
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
  return { difficulty, gamed };
}

function fitted(judged: JudgedModel, { difficulty, gamed }: Control, c: number): LengthControlWeights {
  try {
    return fitLengthControl(judged, difficulty, gamed, c);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new UserError(`${judged.model}: ${cause.message}`, { cause });
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
