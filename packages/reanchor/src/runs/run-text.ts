/** How a run made texts of its rows, for who scores or writes with the model that it left. */
import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { FormatError } from '../errors.js';
import type { Recipe } from '../recipe/recipe.js';
import { readRun } from './folder.js';
import { templateNow } from './template-now.js';

/** What of a run decides how rows become tokens. */
export interface RunText {
  /** The run folder. */
  run: string;
  recipe: Recipe;
  /** The template of all rows, as `loadChatTemplate` takes it; undefined where texts stay as they are. */
  chatTemplate: string | undefined;
  /** The moment that chat templates tell as now. */
  now: Date;
}

/** The text of a run. Errors: UserError for a folder that is none; FormatError. */
export function runText(run: string): RunText {
  const { run: info } = readRun(run);
  const { chatTemplate } = info.recipe.data;
  // The text of a file is in the model's folder, whatever has become of the file.
  const isFile = chatTemplate?.endsWith('.jinja') ?? false;
  return { run, recipe: info.recipe, chatTemplate: isFile ? 'model' : chatTemplate, now: templateNow(info) };
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
    return runText(run);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    onNote?.(`${error.message}: its chat template, date and lengths are not known here`);
    return undefined;
  }
}
