/** What is scored: as the options say, else as a run has it. */
import { join } from 'node:path';
import {
  folderOf,
  kindOf,
  type ModelPlace,
  modelOfRun,
  modelPlace,
  resolveSources,
  sourceOfRun,
} from '../data/index.js';
import { FormatError, type Message, messageText, type Naming, UsageError, UserError } from '../errors.js';
import type { HubOptions } from '../hub/index.js';
import type { PassOptions } from '../models/passes.js';
import { modelDigest, rowsDigest } from '../planning/digests.js';
import { type RunText, trainedModel } from '../runs/index.js';
import { referencePlace } from './reference-place.js';
import { pairsOfFiles, type RowText, type RowTextOptions } from './row-text.js';

/** What is scored, and by which models. */
export interface ScoreOptions extends HubOptions, RowTextOptions {
  /** The model: a Hugging Face folder, or owner/name on the Hub. Default: the one that `run` has trained. */
  model?: string | undefined;
  /** The adapter on it, named so too. */
  adapter?: string | undefined;
  /**
   * A run folder: its model, what that began as for the reference, its beta, its validation files, and how it made
   * texts of its rows, each where nothing else is given.
   */
  run?: string | undefined;
  /** Files of preference pairs. */
  data?: string[] | undefined;
  /** The JSONL file to be written. */
  out: string;
  /** The reference, named like the model; with it rewards are given. */
  reference?: string | undefined;
  referenceAdapter?: string | undefined;
  /** Strength beta in the reward beta (log pi - log pi_ref). Default: that of the run, else 0.1. */
  beta?: number | undefined;
  /** auto, cpu, cuda or cuda:N. Default: auto. */
  device?: string | undefined;
  tokensPerMicroBatch?: number | undefined;
  /** The processes that share the rows, each with the whole model; rank 0 writes. Default: this one alone. */
  world?: PassOptions['world'];
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * The name of the model, the files of rows, and beta. Errors: UsageError for what neither the options nor the run say;
 * UserError for what the run names and is not there.
 */
export async function scoreInputs(options: ScoreOptions, run: RunText | undefined) {
  requireBases(options);
  const model = options.model ?? (run && trainedModel(run));
  if (model === undefined)
    throw new UsageError((option) => `${option('model')} is missing: name a model, or a run with ${option('run')}`);
  const validation = run?.recipe.data.validation;
  const named = typeof validation === 'number' || validation === undefined ? undefined : [validation].flat();
  const data = options.data ?? (run && named ? await filesOf(run, named, options) : undefined);
  if (data === undefined) {
    const why = run === undefined ? '' : `, since the recipe of ${run.run} names no file of validation rows`;
    throw new UsageError((option) => `${option('data')} is missing: name files of preference pairs${why}`);
  }
  return { model, data, beta: options.beta ?? run?.recipe.loss.beta ?? 0.1 };
}

/**
 * Where the model is, and the reference if rewards are asked for. Errors: UserError for what a run names and is not
 * there, or is not what it began with.
 */
export async function scoredPlaces(
  model: string,
  options: ScoreOptions,
  run: RunText | undefined,
): Promise<[ModelPlace, ...ModelPlace[]]> {
  const policy = await modelPlace(model, options);
  if (run && options.model === undefined && policy.adapter !== undefined) await requireBaseOfRun(run, policy);
  const reference =
    options.reference === undefined
      ? run && (await referenceOf(run, options))
      : await referencePlace(options.reference, options);
  return reference ? [policy, reference] : [policy];
}

/** Errors: UsageError for an adapter without a model that it is on. */
function requireBases({ model, adapter, reference, referenceAdapter }: ScoreOptions): void {
  const without = (option: Naming, name: string, base: string) =>
    `${option(name)} has no effect without ${option(base)}, the model that it is on`;
  if (adapter !== undefined && model === undefined)
    throw new UsageError((option) => without(option, 'adapter', 'model'));
  if (referenceAdapter !== undefined && reference === undefined)
    throw new UsageError((option) => without(option, 'referenceAdapter', 'reference'));
}

/** The files of rows that a run names for its validation. Errors: those of `sourceOfRun` and `resolveSources`. */
async function filesOf(run: RunText, names: readonly string[], options: HubOptions): Promise<string[]> {
  const here = names.map((name) =>
    sourceOfRun(run, 'data.validation', name, (option) => `name files of pairs with ${option('data')}`),
  );
  return (await resolveSources(here, 'validation', options)).flatMap(({ files }) => files);
}

/** Why the validation rows of a run cannot be scored, where they cannot be read as pairs. */
export function noPairs({ run, recipe }: RunText, cause: unknown): unknown {
  if (!(cause instanceof FormatError) || kindOf(recipe) === 'pairs') return cause;
  return new UserError(
    (option) =>
      `the validation rows of ${run}, of method ${recipe.method}, are no pairs: name files of preference pairs with ${option('data')}`,
    { cause },
  );
}

/**
 * What the rewards of a run are measured against, if they are: its reference as it began, on the base of the policy
 * where an adapter was trained. Errors: UserError, also for one that has other content now, as far as that is known.
 */
async function referenceOf(run: RunText, { onNote, onDownload, signal, clock }: HubOptions) {
  const { method, model, reference, adapter, quantize } = run.recipe;
  if (method === 'sft') return undefined;
  const remedy = (option: Naming) => `name the reference with ${option('reference')}`;
  const hub = { onNote, onDownload, signal, clock };
  const own = quantize === 'none' ? {} : { quantize };
  if (reference.model !== undefined) {
    const named = modelOfRun(run, 'reference.model', reference.model, remedy);
    const base = adapter && modelOfRun(run, 'model', model, remedy);
    const place = await modelPlace(named, { ...hub, base });
    await requireContent(run, 'reference.model', folderOf(place), remedy);
    return { ...place, ...own };
  }
  const begun = adapter?.resumeFrom;
  const from = begun === undefined ? undefined : modelOfRun(run, 'adapter.resumeFrom', begun, remedy);
  const place = await modelPlace(modelOfRun(run, 'model', model, remedy), { ...hub, adapter: from });
  await requireContent(run, 'model', place.base, remedy);
  if (from !== undefined) await requireContent(run, 'adapter.resumeFrom', folderOf(place), remedy);
  return { ...place, ...own };
}

/** Makes sure that the adapter of a run is on the model that it was trained on, as far as that is known. */
function requireBaseOfRun(run: RunText, { base, adapter }: ModelPlace): Promise<void> {
  const remedy = (option: Naming) => `name the base with ${option('model')} BASE ${option('adapter')} ${adapter}`;
  return requireContent(run, 'model', base, remedy);
}

/** Makes sure that a folder has what a key of a run named when that began, as far as it is known. Errors: UserError. */
async function requireContent({ run, info }: RunText, key: string, folder: string, remedy: Message): Promise<void> {
  const known = info.sources?.[key];
  if (known === undefined || known === (await modelDigest(folder))) return;
  throw new UserError(
    (option) =>
      `${folder} is what ${key} of ${join(run, 'run.json')} names, and has other content than when the run began: ${messageText(remedy, option)}`,
  );
}

/**
 * Makes sure that validation rows are those of a run, as far as that is known, and they are made tokens of as there.
 * Errors: UserError.
 */
export async function requireRowsOfRun(
  { run, info, recipe }: RunText,
  { maxLength, format, chatTemplate, keepIdentical, signal, clock, now }: ScoreOptions & { now: Date },
  text: RowText,
  files: readonly string[],
): Promise<void> {
  const known = info.sources?.['data.validation'];
  const isOther = [maxLength, format, chatTemplate, keepIdentical].some((given) => given !== undefined);
  if (known === undefined || isOther || kindOf(recipe) !== 'pairs') return;
  // An evaluation leaves identical pairs out.
  const evaluated = { ...text, tokenize: { ...text.tokenize, keepIdentical: false } };
  const { pairs } = await pairsOfFiles(files, evaluated, { signal, clock, now });
  if (rowsDigest(pairs) === known) return;
  throw new UserError(
    (option) =>
      `what data.validation of ${join(run, 'run.json')} names are other rows than when the run began, or become other tokens: name them with ${option('data')} to score them`,
  );
}
