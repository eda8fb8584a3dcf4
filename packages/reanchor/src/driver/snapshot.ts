/** The state of a training run: into a checkpoint, and out of one. */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { dtypeBytes, getNumThreads, nativeConfig } from '@reanchor/torch';
import type { RowPlace } from '../data/index.js';
import { makeFolder, writeFolderAtomic } from '../formats/index.js';
import { recipeMomentBytes, recipeSaveOptions } from '../planning/dtypes.js';
import type { Plan } from '../planning/plan.js';
import type { CachedReference } from '../reference/cached-reference.js';
import type { ReferencePolicy } from '../reference/reference-policy.js';
import { type Checkpoint, checkpointFiles, sealCheckpoint, type TrainingState } from '../runs/index.js';
import type { LoggedRow } from '../train/objectives/objective.js';
import type { Trainer } from '../train/trainer.js';
import type { ModelWeights } from '../weights/weights.js';
import { type TrainedModel, writeModelFiles } from './save-trained.js';
import type { StepLog } from './step-log.js';

/** The objects of a run whose state a checkpoint holds. */
export interface Checkpointed {
  trainer: Trainer<RowPlace, LoggedRow>;
  reference: ReferencePolicy | undefined;
  /** Of a cap on the reference's drift from it. */
  initialPolicy: CachedReference | undefined;
  log: StepLog;
}

/** What a checkpoint holds of a run besides the state of these. */
export type ProgressState = Omit<
  TrainingState,
  'step' | 'areModelsEqual' | 'torch' | 'threads' | 'device' | 'log' | 'reference' | 'initialPolicy'
>;

/** The bytes of a checkpoint: what is trained, two moments of AdamW, the reference. */
export function snapshotBytes({ recipe, objective, dtypes, average }: Plan, weights: ModelWeights): number {
  const hasCopy = objective.needsReference && recipe.reference.storage !== 'cached';
  // Averaged products have another rank.
  const ranks = average && average.form !== 'factors' ? 4 : 1;
  const moment = recipeMomentBytes(recipe);
  const moments = moment === undefined ? weights.bytes() : (weights.bytes() / dtypeBytes(weights.dtype)) * moment;
  return weights.bytes() + 2 * moments + (hasCopy ? ranks * weights.bytes(dtypes.reference) : 0);
}

/**
 * Writes a checkpoint folder; it is whole or absent. The policy, and a reference that is a model, are Hugging Face
 * folders. With `isSeenByAll` processes that divide weights write at once what each has of the optimizer's state.
 * Errors: UserError when it cannot be written.
 */
export async function writeSnapshot(
  folder: string,
  { trainer, reference, initialPolicy, log }: Checkpointed,
  trained: TrainedModel,
  { isSeenByAll, ...run }: ProgressState & { isSeenByAll: boolean },
): Promise<void> {
  const state: TrainingState = {
    ...run,
    ...trainer.state(),
    torch: nativeConfig().compiledFor,
    threads: getNumThreads(),
    device: trained.weights.model.device,
    log: log.state(),
    reference: reference?.state(),
    initialPolicy: initialPolicy?.state(),
  };
  // Not in the dtype of the final model: training goes on with these weights.
  const form = { ...recipeSaveOptions(trained.recipe), dtype: trained.weights.dtype };
  await makeFolder(dirname(folder));
  await writeFolderAtomic(folder, async (temporary) => {
    const at = (name: string) => join(temporary, name);
    await mkdir(dirname(at(checkpointFiles.state)));
    await writeModelFiles(temporary, trained, form);
    const hashed = await trainer.saveOptimizer(at(checkpointFiles.optimizer), { isSeenByAll });
    const { config } = trained.modelFiles;
    await reference?.save(at(checkpointFiles.reference), { ...form, config });
    await initialPolicy?.save(at(checkpointFiles.initialPolicy));
    await sealCheckpoint(temporary, state, hashed);
  });
}

/**
 * Brings objects, newly made from the models of a checkpoint, into its state. Errors: FormatError for files that do not
 * fit them.
 */
export async function restoreSnapshot(
  { path, state }: Checkpoint,
  { trainer, reference, initialPolicy, log }: Checkpointed,
): Promise<void> {
  await trainer.restoreOptimizer(join(path, checkpointFiles.optimizer));
  if (state.reference) await reference?.restore(state.reference, join(path, checkpointFiles.reference));
  if (state.initialPolicy) await initialPolicy?.restore(state.initialPolicy, join(path, checkpointFiles.initialPolicy));
  trainer.restore(state);
  log.restore(state.log);
}
