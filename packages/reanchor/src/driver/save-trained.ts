import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../errors.js';
import { writeFolderAtomic } from '../formats/index.js';
import type { SaveOptions } from '../models/save.js';
import { recipeSaveOptions } from '../planning/dtypes.js';
import type { ModelWeights } from '../weights/weights.js';
import { type ModelCardInput, modelCard } from './model-card.js';
import type { ModelFiles } from './model-files.js';

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

/** Writes the files of a Hugging Face folder into one that is there. */
export async function writeModelFiles(folder: string, trained: TrainedModel, options: SaveOptions): Promise<void> {
  const { config, files } = trained.modelFiles;
  await trained.weights.save(folder, { ...options, config });
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
  await writeFile(join(folder, 'README.md'), modelCard(trained));
}
