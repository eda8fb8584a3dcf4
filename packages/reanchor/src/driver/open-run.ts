/** The objects that a run is made of: made, or brought into the state of a checkpoint. */
import { realpathSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Device, ProcessGroup } from '@reanchor/torch';
import { UserError } from '../errors.js';
import { isAdapterFolder, parseRepositoryName, repositoryText } from '../hub/index.js';
import { AdamW, AdamW8bit, FusedAdamW, learningRates, type Optimizer } from '../optim/index.js';
import type { AgreedStop } from '../parallel/agreed-stop.js';
import type { Mesh } from '../parallel/mesh.js';
import { recipeAdapter } from '../planning/adapter.js';
import type { Plan } from '../planning/plan.js';
import { plannedReference } from '../planning/reference.js';
import { type Recipe, recipeHash } from '../recipe/index.js';
import { savedReference } from '../reference/copied-reference.js';
import type { ReferencePolicy } from '../reference/reference-policy.js';
import { type Checkpoint, checkpointFiles, checkpointName, type NewRunEvent, type RunFolder } from '../runs/index.js';
import type { Tokenizer } from '../text/index.js';
import { Trainer } from '../train/trainer.js';
import { AdapterWeights } from '../weights/adapter-weights.js';
import { FusedWeights } from '../weights/fused-weights.js';
import { loadWeights } from '../weights/load.js';
import { loadAdapterWeights } from '../weights/load-adapter.js';
import type { ModelWeights } from '../weights/weights.js';
import { RunEvaluations } from './evaluations.js';
import type { ModelFiles } from './model-files.js';
import { NonFiniteSteps } from './non-finite-steps.js';
import type { CheckedOptions } from './options.js';
import type { RunRecord } from './record.js';
import type { ResumePoint } from './resume.js';
import { RunawayDetector } from './runaway.js';
import type { TrainedModel } from './save-trained.js';
import { type Checkpointed, restoreSnapshot, writeSnapshot } from './snapshot.js';
import { StepLog } from './step-log.js';

export interface RunOptions extends CheckedOptions {
  world: ProcessGroup;
  mesh: Mesh;
  stop: AgreedStop;
  /** Makes the run folder, or gives the one that is there. */
  openFolder(): Promise<RunFolder>;
  from: ResumePoint | undefined;
  /** Whether the run was stopped before its first step, once. */
  beginsAgain: boolean;
  plan: Plan;
  /** The policy's. */
  weights: ModelWeights;
  tokenizer: Tokenizer;
  /** The folders of the model that is trained, and of the reference's first model where that is another one. */
  modelFolder: string;
  initialFolder: string | undefined;
  /** The folder of the adapter that the run begins with, where that is not a new one. */
  startAdapter: string | undefined;
  /** What is saved beside the weights. */
  modelFiles: ModelFiles;
  commits: Record<string, string>;
  /** Digests of what the run reads: see `sourceDigests`. */
  sources: Readonly<Record<string, string>>;
}

/** The objects of a run that is under way. */
export interface OpenRun extends Checkpointed {
  options: RunOptions;
  record: RunRecord;
  evaluations: RunEvaluations;
  nonFinite: NonFiniteSteps;
  runaway: RunawayDetector;
  /** Seconds of training, those before a resume included. */
  seconds(): number;
}

type PolicySources = Pick<RunOptions, 'plan' | 'mesh' | 'modelFolder' | 'startAdapter' | 'commits'> & {
  device: Device;
};

/** The policy as a run begins with it, or as a checkpoint has it. Errors: those of {@link loadWeights}. */
export function loadPolicy(
  { plan, device, mesh, modelFolder, startAdapter, commits }: PolicySources,
  checkpoint: Pick<Checkpoint, 'path'> | undefined,
): Promise<ModelWeights> {
  const { recipe } = plan;
  const quantize = recipe.quantize === 'none' ? undefined : recipe.quantize;
  const { parallel, kernels } = recipe;
  const options = { ...plan.dtypes, device, mesh, parallel, kernels, quantize };
  if (!recipe.adapter) return loadWeights(checkpoint?.path ?? modelFolder, options);
  const from = checkpoint?.path ?? startAdapter ?? recipeAdapter(recipe);
  return loadAdapterWeights(modelFolder, { ...baseOf(recipe.model, commits), from }, options);
}

/** What an adapter calls its base: a name on the Hub at the commit that it had, or a folder. */
function baseOf(model: string, commits: Readonly<Record<string, string>>): { base: string; revision?: string } {
  // A variable stands for a place on this machine.
  if (model.includes('${')) return { base: basename(model) };
  const name = parseRepositoryName(model, 'model');
  const revision = name && commits[repositoryText(name)];
  return name && revision ? { base: name.id, revision } : { base: model };
}

/** The reference policy of a run and the initial one, as far as it needs them, before the folder is made. */
export async function loadAnchors(options: RunOptions) {
  const { recipe, plan, weights, from, initialFolder, world, mesh } = options;
  const { device } = weights.model;
  const { dtype, reference: kept } = plan.dtypes;
  const folder = from
    ? savedReference(
        from.checkpoint.state.reference,
        join(from.checkpoint.path, checkpointFiles.reference),
        initialFolder,
      )
    : initialFolder;
  const initial =
    folder === undefined
      ? undefined
      : weights instanceof AdapterWeights
        ? await adapterAnchor(weights, folder, options)
        : await loadWeights(folder, {
            ...{ name: 'reference', dtype, wide: kept === dtype ? undefined : kept, device, mesh },
            parallel: recipe.parallel,
            kernels: recipe.kernels,
          });
  const { reference, initialPolicy } = plannedReference(plan, { weights, initial, world });
  return { reference, initialPolicy, ...disposeAll([reference, initialPolicy]) };
}

/** A reference on the policy's own base. Errors: UserError for another model than that. */
async function adapterAnchor(
  weights: AdapterWeights,
  folder: string,
  { plan, modelFolder }: Pick<RunOptions, 'plan' | 'modelFolder'>,
): Promise<AdapterWeights> {
  const { average } = plan;
  if (isAdapterFolder(folder)) return await weights.anchorFrom(folder, { average });
  if (realpathSync(folder) === realpathSync(modelFolder)) return weights.anchorAtBase({ average });
  throw new UserError(
    `reference.model is ${resolve(folder)}, another model than the base of the adapter: policy and reference share their base. ` +
      'Name the base itself, or an adapter on it; or leave the key out for the policy as it begins',
  );
}

/** Weights of their own that are as the policy was before the run, on the policy's base where it is an adapter. */
async function initialPolicy(options: RunOptions): Promise<ModelWeights> {
  const { weights, from, recipe, modelFolder, startAdapter, mesh } = options;
  if (from === undefined) return weights.anchor();
  if (weights instanceof AdapterWeights) {
    return startAdapter === undefined ? weights.anchorAtBase() : await weights.anchorFrom(startAdapter);
  }
  const { dtype, device } = weights.model;
  const { parallel, kernels } = recipe;
  return await loadWeights(modelFolder, { name: 'reference', dtype, device, mesh, parallel, kernels });
}

type RunAnchors = Pick<OpenRun, 'reference' | 'initialPolicy'>;

/** What measures the policy; of a run that begins, it has done so once. */
export async function openEvaluations(
  options: RunOptions,
  reference: ReferencePolicy | undefined,
  emit: (event: NewRunEvent) => void,
): Promise<RunEvaluations> {
  const { plan, recipe, weights: policy, tokenizer, from, stop, probe, modelFolder, world } = options;
  const { objective, validation, totalSteps } = plan;
  const evaluations = await RunEvaluations.of({
    ...{ recipe, objective, validation, policy, reference, tokenizer, modelFolder, totalSteps, probe, world, emit },
    stop,
    earlier: from?.checkpoint.state,
    initialPolicy: () => initialPolicy(options),
  });
  try {
    if (from === undefined) await evaluations.measureStart();
    return evaluations;
  } catch (error) {
    evaluations[Symbol.dispose]();
    throw error;
  }
}

export function newTrainer({ plan, recipe, weights, world }: RunOptions, { reference, initialPolicy }: RunAnchors) {
  return new Trainer({
    ...{ plan, weights, reference, initial: initialPolicy, world },
    optimizer: newOptimizer(weights, recipe),
    schedule: learningRates(recipe.schedule, recipe.optimizer.lr, plan.totalSteps),
  });
}

function newOptimizer(weights: ModelWeights, { optimizer, seed }: Recipe): Optimizer {
  const parameters = weights.trained.values();
  if (optimizer.moments === '8bit') return new AdamW8bit(parameters, { ...optimizer, seed });
  if (weights instanceof FusedWeights) return new FusedAdamW(parameters, optimizer, weights);
  return new AdamW(parameters, optimizer);
}

/** What a process makes its steps with, apart from the record of them. */
type RunState = Omit<OpenRun, 'options' | 'record' | 'seconds'>;

/** Brings the objects of a run together, and into the state of the checkpoint that it is resumed from. */
export async function runState(
  { recipe, plan, weights, from }: RunOptions,
  { emit, ...objects }: RunAnchors & Pick<OpenRun, 'evaluations' | 'trainer'> & { emit(event: NewRunEvent): void },
): Promise<RunState> {
  const log = new StepLog({
    every: recipe.logEvery,
    device: weights.model.device,
    epochOf: (step) => plan.steps(step).next().value?.epoch ?? 0,
    emit,
  });
  if (from !== undefined) await restoreSnapshot(from.checkpoint, { ...objects, log });
  const nonFinite = new NonFiniteSteps(recipe.onDivergence, plan.rows, from?.checkpoint.state.divergences);
  const runaway = new RunawayDetector(from?.checkpoint.state.runaway);
  return { ...objects, log, nonFinite, runaway };
}

/** Writes a checkpoint of this moment into a new folder, which other processes may not see. */
export async function writeCheckpoint(opened: OpenRun, path: string, { isSeenByAll = true } = {}): Promise<void> {
  const { options, record, trainer, evaluations, nonFinite, runaway, seconds } = opened;
  record.check();
  const progress = {
    isEvaluationDue: evaluations.isDue,
    eventBytes: record.sync(),
    recipe: recipeHash(options.recipe),
    sources: options.sources,
    processes: options.world.world,
    seconds: seconds(),
    evaluations: evaluations.results,
    initialLogprobs: evaluations.initialLogprobs,
    divergences: nonFinite.state(),
    runaway: runaway.state(),
  };
  await writeSnapshot(path, opened, trainedModel(opened), { ...progress, isSeenByAll });
  const { checkpoints } = record.folder;
  record.emit({ type: 'checkpoint', step: trainer.steps, folder: join(checkpoints, checkpointName(trainer.steps)) });
}

/** Why a run that is done ended before its last step; undefined of one that made it. */
export const stoppedBy = ({ options, trainer, evaluations }: Pick<OpenRun, 'options' | 'trainer' | 'evaluations'>) =>
  trainer.steps < options.plan.totalSteps ? evaluations.endsEarly : undefined;

/** The model as it is now, with what its folder says of it. */
export function trainedModel({ options, trainer, reference, evaluations }: OpenRun): TrainedModel {
  const { weights, recipe, plan, modelFiles, commits } = options;
  return {
    ...{ weights, recipe, modelFiles, commits },
    totalSteps: plan.totalSteps,
    steps: trainer.steps,
    updates: reference?.version ?? 0,
    evaluations: evaluations.results,
  };
}

function disposeAll(items: readonly (Disposable | undefined)[]): Disposable {
  return {
    [Symbol.dispose]: () => {
      for (const item of items) item?.[Symbol.dispose]();
    },
  };
}
