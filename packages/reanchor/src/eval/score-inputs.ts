/** What is scored: as the options say, else as a run has it. */
import { join } from 'node:path';
import { kindOf, modelOfRun, type PreferenceRow, resolveSources, sourceOfRun, tokenizePairs } from '../data/index.js';
import { FormatError, type Naming, UsageError, UserError } from '../errors.js';
import type { HubOptions } from '../hub/index.js';
import type { PassOptions } from '../models/passes.js';
import { modelDigest, rowsDigest } from '../planning/digests.js';
import { type RunText, trainedModel } from '../runs/index.js';
import type { RowText, RowTextOptions } from './row-text.js';

export interface ScoreOptions extends HubOptions, RowTextOptions {
  /** The model: a Hugging Face folder, or owner/name on the Hub. Default: the one that `run` has trained. */
  model?: string | undefined;
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
 * The model, the files of rows, the reference if rewards are asked for, and beta. Errors: UsageError for what neither
 * the options nor the run say; UserError for what the run names and is not there.
 */
export async function scoreInputs(options: ScoreOptions, run: RunText | undefined) {
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
  const reference = options.reference ?? (run && referenceOf(run));
  return { model, data, reference, beta: options.beta ?? run?.recipe.loss.beta ?? 0.1 };
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

/** What the rewards of a run are measured against, if they are. */
function referenceOf(run: RunText): string | undefined {
  const { method, model, reference } = run.recipe;
  if (method === 'sft') return undefined;
  const remedy = (option: Naming) => `name the reference with ${option('reference')}`;
  return reference.model === undefined
    ? modelOfRun(run, 'model', model, remedy)
    : modelOfRun(run, 'reference.model', reference.model, remedy);
}

/** Makes sure that a reference is the one that a run began with, as far as that is known. Errors: UserError. */
export async function requireReferenceOfRun({ run, info }: RunText, folder: string | undefined): Promise<void> {
  const key = info.recipe.reference.model === undefined ? 'model' : 'reference.model';
  const known = info.sources?.[key];
  if (folder === undefined || known === undefined || known === (await modelDigest(folder))) return;
  throw new UserError(
    (option) =>
      `${folder} is what ${key} of ${join(run, 'run.json')} names, and has other content than when the run began: name the reference with ${option('reference')}`,
  );
}

/**
 * Makes sure that validation rows are those of a run, as far as that is known, and they are made tokens of as there.
 * Errors: UserError.
 */
export function requireRowsOfRun(
  { run, info, recipe }: RunText,
  { maxLength, format, chatTemplate, keepIdentical }: ScoreOptions,
  { tokenizer, tokenize }: RowText,
  rows: readonly PreferenceRow[],
): void {
  const known = info.sources?.['data.validation'];
  const isOther = [maxLength, format, chatTemplate, keepIdentical].some((given) => given !== undefined);
  if (known === undefined || isOther || kindOf(recipe) !== 'pairs') return;
  // An evaluation leaves identical pairs out.
  const { pairs } = tokenizePairs(rows, tokenizer, { ...tokenize, keepIdentical: false });
  if (rowsDigest(pairs) === known) return;
  throw new UserError(
    (option) =>
      `what data.validation of ${join(run, 'run.json')} names are other rows than when the run began, or become other tokens: name them with ${option('data')} to score them`,
  );
}
