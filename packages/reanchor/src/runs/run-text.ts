/** How a run made texts of its rows, for who scores or writes with the model that it left. */
import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { FormatError, UserError } from '../errors.js';
import type { Recipe } from '../recipe/index.js';
import { listCheckpoints } from './checkpoints.js';
import { type RunInfo, readRun } from './folder.js';
import { templateNow } from './template-now.js';

/** What of a run decides how rows become tokens. */
export interface RunText {
  /** The run folder. */
  run: string;
  info: RunInfo;
  recipe: Recipe;
  /** A model's folder of the run, with its tokenizer and its chat template; undefined while there is none. */
  folder: string | undefined;
  /** The template of all rows, as `loadChatTemplate` takes it; undefined where texts stay as they are. */
  chatTemplate: string | undefined;
  /** The moment that chat templates tell as now. */
  now: Date;
}

/**
 * The text of a run, by its final model, else its newest checkpoint. Errors: UserError for no run folder; FormatError.
 */
export function runText(run: string, folder = newestModel(run)): RunText {
  const { run: info } = readRun(run);
  const { recipe } = info;
  const { chatTemplate } = recipe.data;
  // The text of a file is in the model's folder, whatever has become of the file.
  const isKept = folder !== undefined && chatTemplate?.endsWith('.jinja');
  return { run, info, recipe, folder, chatTemplate: isKept ? 'model' : chatTemplate, now: templateNow(info) };
}

function newestModel(run: string): string | undefined {
  const final = join(run, 'final');
  return existsSync(final) ? final : listCheckpoints(join(run, 'checkpoints')).at(-1)?.path;
}

/** The model that a run has trained. Errors: UserError where it is not finished. */
export function trainedModel({ run, folder }: RunText): string {
  const final = join(run, 'final');
  if (existsSync(final)) return final;
  throw new UserError((option) => {
    const next =
      folder === undefined
        ? 'it has no checkpoint yet'
        : `name one of its checkpoints with ${option('model')} ${folder}`;
    return `${final} does not exist: the run is not finished; ${next}`;
  });
}

/**
 * The text of the run that a model's folder belongs to: `final`, or a checkpoint; undefined for any other folder.
 * `onNote` hears of a run that cannot be read.
 */
export function runTextOfModel(folder: string, onNote?: (note: string) => void): RunText | undefined {
  const path = resolve(folder);
  const isCheckpoint = basename(dirname(path)) === 'checkpoints';
  if (!isCheckpoint && basename(path) !== 'final') return undefined;
  const run = isCheckpoint ? dirname(dirname(path)) : dirname(path);
  if (!existsSync(join(run, 'run.json'))) return undefined;
  try {
    return runText(run, folder);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    onNote?.(`${error.message}: its chat template, date and lengths are not known here`);
    return undefined;
  }
}

/** The text of the first of some models' folders that belongs to a run. */
export function runTextOfModels(folders: readonly string[], onNote?: (note: string) => void): RunText | undefined {
  for (const folder of folders) {
    const run = runTextOfModel(folder, onNote);
    if (run) return run;
  }
  return undefined;
}
