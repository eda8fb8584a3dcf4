/** The state of a training run: into a checkpoint, and out of one. */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Device, getNumThreads, nativeConfig, rngState, setRngState } from '@reanchor/torch';
import { makeFolder, writeFolderAtomic } from '../formats/index.js';
import type { CausalLM } from '../models/causal-lm.js';
import { loadModel, storedDType } from '../models/load.js';
import { modelBytes, saveModel } from '../models/save.js';
import { CachedReference } from '../reference/cached-reference.js';
import { CopiedReference } from '../reference/copied-reference.js';
import type { ReferencePolicy } from '../reference/policy.js';
import { type Checkpoint, checkpointFiles, type Recipe, sealCheckpoint, type TrainingState } from '../runs/index.js';
import type { LoggedRow } from './objectives/objective.js';
import { recipeSaveOptions, referenceDType } from './recipe-dtypes.js';
import { type Trained, writeModelFiles } from './save-trained.js';
import type { StepLog } from './step-log.js';
import { readNumbers, readTensorsInto, writeNumbers, writeTensors } from './tensor-file.js';
import type { Trainer } from './trainer.js';

/** The objects that have a state. */
export interface Stateful<Score extends LoggedRow = LoggedRow> {
  // biome-ignore lint/suspicious/noExplicitAny: of any rows
  trainer: Trainer<any, Score>;
  reference: ReferencePolicy | undefined;
  /** Of a cap on the reference's divergence from the initial policy. */
  initialPolicy: CachedReference | undefined;
  log: StepLog;
}

/** What is known of a run besides its stateful objects. */
export type RunState = Omit<
  TrainingState,
  'step' | 'areModelsEqual' | 'torch' | 'threads' | 'device' | 'rng' | 'log' | 'reference' | 'initialPolicy'
>;

/** The bytes of a checkpoint: what is trained, two moments of AdamW, the reference. */
export function checkpointBytes(recipe: Recipe, trained: CausalLM, needsReference: boolean): number {
  const hasCopy = needsReference && recipe.reference.storage !== 'cached';
  return 3 * modelBytes(trained) + (hasCopy ? modelBytes(trained, referenceDType(recipe)) : 0);
}

/**
 * Writes a checkpoint folder; it is whole or absent. The policy, and a reference that is a model, are Hugging Face
 * folders. Errors: UserError when it cannot be written.
 */
export async function writeCheckpoint(
  folder: string,
  { trainer, reference, initialPolicy, log }: Stateful,
  trained: Trained,
  run: RunState,
): Promise<void> {
  const state: TrainingState = {
    ...run,
    ...trainer.state(),
    torch: nativeConfig().compiledFor,
    threads: getNumThreads(),
    device: trained.policy.device,
    rng: Buffer.from(rngState()).toString('base64'),
    log: log.state(),
    reference: reference?.state(),
    initialPolicy: initialPolicy?.state(),
  };
  // Not in the dtype of the final model: training goes on with these weights.
  const form = { ...recipeSaveOptions(trained.recipe), dtype: trained.policy.dtype };
  await makeFolder(dirname(folder));
  await writeFolderAtomic(folder, async (temporary) => {
    const at = (name: string) => join(temporary, name);
    await mkdir(dirname(at(checkpointFiles.state)));
    await writeModelFiles(temporary, trained, form);
    await writeTensors(at(checkpointFiles.optimizer), trainer.optimizerState);
    if (reference instanceof CopiedReference) {
      await mkdir(at(checkpointFiles.reference));
      const { config } = trained.modelFiles;
      const referenceForm = { ...form, dtype: reference.weights.dtype, config };
      await saveModel(reference.weights, at(checkpointFiles.reference), referenceForm);
    }
    if (reference instanceof CachedReference)
      await writeNumbers(at(checkpointFiles.referenceLogprobs), reference.known);
    if (initialPolicy) await writeNumbers(at(checkpointFiles.initialLogprobs), initialPolicy.known);
    await sealCheckpoint(temporary, state);
  });
}

/**
 * The model with which the reference of a checkpoint is made; undefined where it needs none. `loadInitial` loads the model
 * that the reference was at first.
 */
export async function checkpointReference(
  { path, state }: Checkpoint,
  device: Device,
  loadInitial: () => Promise<CausalLM | undefined>,
): Promise<CausalLM | undefined> {
  if (state.reference?.kind === 'copied') {
    const folder = join(path, checkpointFiles.reference);
    return loadModel(folder, { dtype: await storedDType(folder), device });
  }
  return state.reference?.needsInitial ? loadInitial() : undefined;
}

/**
 * Brings objects, newly made from the models of a checkpoint, into its state. Errors: FormatError for files that do not
 * fit them.
 */
export async function restoreCheckpoint(
  { path, state }: Checkpoint,
  { trainer, reference, initialPolicy, log }: Stateful,
): Promise<void> {
  await readTensorsInto(join(path, checkpointFiles.optimizer), trainer.optimizerState);
  const kept = state.reference;
  if (reference instanceof CopiedReference && kept?.kind === 'copied') reference.restore(kept);
  if (reference instanceof CachedReference && kept?.kind === 'cached') {
    reference.restore(kept, await readNumbers(join(path, checkpointFiles.referenceLogprobs)));
  }
  if (initialPolicy && state.initialPolicy) {
    initialPolicy.restore(state.initialPolicy, await readNumbers(join(path, checkpointFiles.initialLogprobs)));
  }
  trainer.restore(state);
  log.restore(state.log);
  setRngState(Buffer.from(state.rng, 'base64'));
}
