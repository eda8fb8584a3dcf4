import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../errors.js';
import { writeFolderAtomic } from '../formats/index.js';
import { mergedParameters } from '../models/merged.js';
import { type SaveOptions, saveParameters } from '../models/save.js';
import { recipeSaveOptions } from '../planning/dtypes.js';
import { AdapterWeights } from '../weights/adapter-weights.js';
import type { ModelWeights } from '../weights/weights.js';
import { type ModelCardInput, modelCard } from './model-card.js';
import { type ModelFiles, writeFiles } from './model-files.js';

export interface TrainedModel extends ModelCardInput {
  weights: ModelWeights;
  /** What is saved beside the weights. */
  modelFiles: ModelFiles;
}

/**
 * Writes the trained model into `folder`, or, when that fails, into a folder for temporary files and as it was trained,
 * so that no training is lost to a disk that has filled up meanwhile, or to a dtype that cannot hold it. Errors:
 * UserError that says why, and where the model is.
 */
export async function saveOrRescue(folder: string, trained: TrainedModel): Promise<void> {
  try {
    await saveTrained(folder, trained);
  } catch (error) {
    const rescue = join(tmpdir(), `reanchor-${basename(dirname(folder))}-${Date.now()}`);
    try {
      const { dtype: _unfit, ...save } = trained.recipe.save;
      await saveTrained(rescue, { ...trained, recipe: { ...trained.recipe, save } });
    } catch {
      throw error;
    }
    throw new UserError(`${(error as Error).message}. The model is saved in ${rescue} instead`, { cause: error });
  }
}

/** Writes a Hugging Face folder: weights, config, tokenizer files and a model card. It appears whole or not at all. */
async function saveTrained(folder: string, trained: TrainedModel): Promise<void> {
  await writeFolderAtomic(folder, (temporary) =>
    writeModelFiles(temporary, trained, recipeSaveOptions(trained.recipe)),
  );
}

/**
 * Writes the model that base and adapter make together, as {@link saveTrained} does. The dtype is the recipe's, or that
 * of the run. Errors: UserError.
 */
export async function saveMerged(folder: string, trained: TrainedModel): Promise<void> {
  const { recipe, weights } = trained;
  if (!(weights instanceof AdapterWeights)) throw new Error('internal: there is no adapter to be merged');
  const { adapter: _merged, ...whole } = recipe;
  const options = { ...recipeSaveOptions(whole), config: trained.modelFiles.config };
  const { configJson, dtype } = weights.model;
  const parameters = mergedParameters(weights.model);
  await writeFolderAtomic(folder, async (temporary) => {
    await saveParameters({ configJson, dtype, parameters }, temporary, options);
    await writeOtherFiles(temporary, { ...trained, isMerged: true });
  });
}

/** Writes the files of a Hugging Face folder into one that is there. */
export async function writeModelFiles(folder: string, trained: TrainedModel, options: SaveOptions): Promise<void> {
  await trained.weights.save(folder, { ...options, config: trained.modelFiles.config });
  await writeOtherFiles(folder, trained);
}

const writeOtherFiles = (folder: string, trained: TrainedModel) =>
  writeFiles(folder, [...trained.modelFiles.files, ['README.md', modelCard(trained)]]);
