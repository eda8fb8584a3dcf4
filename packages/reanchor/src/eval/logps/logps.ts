/** Log-probabilities of chosen and rejected completions under the models of a run, beside the first of them. */

import {
  completionTokens,
  describeSkips,
  loadPreferenceRows,
  type ModelPlace,
  modelPlace,
  pairGroup,
  type SkipReport,
  tokenizePairs,
} from '../../data/index.js';
import { type Naming, UserError } from '../../errors.js';
import type { HubOptions } from '../../hub/index.js';
import { chooseDevice } from '../../models/device.js';
import { ModelLoader } from '../../models/model-loader.js';
import type { PassOptions } from '../../models/passes.js';
import { type ScoredPair, scorePairs } from '../../models/score-pairs.js';
import { tell } from '../../parallel/tell.js';
import { afterRankZero } from '../../parallel/together.js';
import { uniforms } from '../../random.js';
import { accuracyOf, type BootstrapResult, clusterBootstrap, clusterError, groupBy, mean } from '../../stats/index.js';
import { scoringNotes } from '../positions.js';
import { type RowText, type RowTextOptions, requireOneText, requireTokensOf, rowText } from '../row-text.js';
import { requireSameInputs } from '../same-inputs.js';
import { modelsOf, type NamedModel } from './models.js';

export interface LogpsOptions extends HubOptions, RowTextOptions {
  /** Run folders, folders of checkpoints, of models and adapters, names on the Hub; each may be `name=...`. */
  models: readonly string[];
  /** The model that the adapters among them are on. Default: the one that each names. */
  base?: string | undefined;
  /** Files of preference pairs. */
  data: string[];
  /** Coverage of the intervals; default 0.95. */
  level?: number | undefined;
  /** Default: 10,000. */
  resamples?: number | undefined;
  seed?: number | undefined;
  /** auto, cpu, cuda or cuda:N. Default: auto. */
  device?: string | undefined;
  tokensPerMicroBatch?: number | undefined;
  /** The processes that share the rows, each with the whole model. Default: this one alone. */
  world?: PassOptions['world'];
  onProgress?: ((model: string, done: number, total: number) => void) | undefined;
}

/** What is measured of a pair: log p(completion | prompt) in nats, sums over tokens. */
export const measures = ['chosen', 'rejected', 'margin'] as const;
type Measure = (typeof measures)[number];

export interface ModelLogps {
  name: string;
  model: string;
  /** Means over pairs, with their standard errors over prompts. `margin` is chosen - rejected. */
  logps: Record<Measure, { mean: number; standardError: number }>;
  /** Share of the pairs whose chosen completion is the more probable one, ties counting half. */
  accuracy: number;
  /** This model less the first, pair by pair; none of the first itself. */
  change?: Record<Measure, BootstrapResult> | undefined;
}

export interface LogpsResult {
  /** How tokens were made of the rows. */
  settings: RowText['settings'];
  rows: number;
  /** Rows that every mean is over. */
  scored: number;
  skipped: SkipReport;
  /** Tokens of the chosen and of the rejected completions that are scored. */
  tokens: { chosen: number; rejected: number };
  models: ModelLogps[];
}

/**
 * The mean log-probabilities of the chosen and rejected completions of the same pairs under each model, in fp32, with
 * paired bootstrap intervals of the change against the first model; prompts are drawn, with all their pairs, and the
 * same ones for every number. Models are loaded one after the other. Rows become tokens as in the run of the first
 * model that belongs to one. Errors: UserError, also where another run makes other tokens of them; FormatError,
 * UsageError.
 */
export async function checkpointLogps(options: LogpsOptions): Promise<LogpsResult> {
  const { tokensPerMicroBatch = 16384, onNote, world, signal } = options;
  const device = chooseDevice(options.device);
  const models = modelsOf(options.models);
  const given = { ...options, now: new Date(tell(world, Date.now())) };
  const { places, text, rows } = await afterRankZero(world, async () => {
    const places = await placesOf(models, options);
    const text = await rowText(places, given);
    return { places, text, rows: await loadPreferenceRows(options.data, { format: text.format, onNote }) };
  });
  const { tokenizer, tokenize, settings } = text;
  const { pairs, report } = tokenizePairs(rows, tokenizer, tokenize);
  if (pairs.length === 0)
    throw new UserError([`no pair of ${rows.length} rows can be scored`, ...describeSkips(report)].join('\n'));
  await requireOneText(places, given, text, rows);
  for (const place of places) await requireTokensOf(text, options.data, pairs, place);
  for (const note of await scoringNotes(places, pairs.map(pairGroup))) onNote?.(note);

  await requireSameInputs(world, places, 'data', pairs.map(pairGroup));
  const prompts = [...groupBy(pairs.keys(), (i) => pairs[i]!.prompt.join()).values()];
  const results: ModelLogps[] = [];
  let first: Record<Measure, number[]> | undefined;
  using loader = new ModelLoader({ dtype: 'float32', device });
  for (const [i, { name, model }] of models.entries()) {
    using loaded = await loader.load(places[i]!);
    const onProgress = (done: number) =>
      options.onProgress?.(name, i * pairs.length + done, models.length * pairs.length);
    const values = valuesOf(await scorePairs(loaded, pairs, { tokensPerMicroBatch, onProgress, world, signal }));
    const one = (measure: Measure) => {
      const byPrompt = prompts.map((places) => places.map((place) => values[measure][place]!));
      return { mean: mean(values[measure]), standardError: clusterError(byPrompt) };
    };
    results.push({
      name,
      model,
      logps: { chosen: one('chosen'), rejected: one('rejected'), margin: one('margin') },
      accuracy: accuracyOf(values.margin),
      change: first && changes(values, first, { ...options, prompts }),
    });
    first ??= values;
  }
  const counts = pairs.map((pair) => completionTokens(pairGroup(pair)));
  const tokens = (part: 0 | 1) => counts.reduce((sum, count) => sum + count[part]!, 0);
  return {
    settings,
    rows: rows.length,
    scored: pairs.length,
    skipped: report,
    tokens: { chosen: tokens(0), rejected: tokens(1) },
    models: results,
  };
}

async function placesOf(models: readonly NamedModel[], options: LogpsOptions) {
  const remedy = (option: Naming) => `give it with ${option('base')}`;
  const places: ModelPlace[] = [];
  for (const { model } of models) places.push(await modelPlace(model, { ...options, remedy }));
  return places as [ModelPlace, ...ModelPlace[]];
}

function valuesOf(scores: readonly ScoredPair[]): Record<Measure, number[]> {
  return {
    chosen: scores.map(({ chosen }) => chosen),
    rejected: scores.map(({ rejected }) => rejected),
    margin: scores.map(({ chosen, rejected }) => chosen - rejected),
  };
}

function changes(
  values: Record<Measure, number[]>,
  first: Record<Measure, number[]>,
  {
    prompts,
    level,
    resamples,
    seed = 0,
  }: Pick<LogpsOptions, 'level' | 'resamples' | 'seed'> & { prompts: readonly (readonly number[])[] },
): Record<Measure, BootstrapResult> {
  const of = (measure: Measure) =>
    clusterBootstrap(
      prompts.map((places) => places.map((place) => values[measure][place]! - first[measure][place]!)),
      { random: uniforms(seed, 4), resamples, level },
    );
  return { chosen: of('chosen'), rejected: of('rejected'), margin: of('margin') };
}
