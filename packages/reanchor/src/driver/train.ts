import { setImmediate } from 'node:timers/promises';
import { type Device, DistributedError, nativeConfig, ProcessGroup } from '@reanchor/torch';
import { UserError } from '../errors.js';
import { requireWritable } from '../formats/index.js';
import { adapterFolder, type HubOptions, modelFolder, modelOrAdapterFolder } from '../hub/index.js';
import { requireVocabulary } from '../models/score-pairs.js';
import { AgreedStop } from '../parallel/agreed-stop.js';
import { type Mesh, openMesh } from '../parallel/mesh.js';
import { tell } from '../parallel/tell.js';
import { type Digests, requireEqual } from '../parallel/together.js';
import { recipeData } from '../planning/data.js';
import { recipeDevice } from '../planning/device.js';
import { modelDigest, requireSameTemplate, sourceDigests } from '../planning/digests.js';
import { recipeSaveOptions } from '../planning/dtypes.js';
import { Plan } from '../planning/plan.js';
import { requireReplicas } from '../planning/replicas.js';
import { unlessStopped } from '../planning/unless-stopped.js';
import { checkRecipe, keyDigests, type Recipe, recipeHere } from '../recipe/index.js';
import { type Checkpoint, refuseUsedFolder, runFolder } from '../runs/index.js';
import { type ChatTemplate, loadTokenizer } from '../text/index.js';
import type { ModelWeights } from '../weights/weights.js';
import { EventStream } from './event-stream.js';
import { explainFault } from './faults.js';
import { follow } from './follow.js';
import { modelFiles } from './model-files.js';
import { RollbackRequest } from './non-finite-steps.js';
import { loadPolicy, type RunOptions } from './open-run.js';
import type { CheckedOptions, TrainOptions, TrainResult, TrainRun } from './options.js';
import { existingParent, OutputFolder } from './output-folder.js';
import { findResumePoint, type LockedRun, type ResumePoint, reopenRun, requireSameRun } from './resume.js';
import { run } from './run.js';
import { requireSharedDisk } from './shared-disk.js';
import { snapshotBytes } from './snapshot.js';

/**
 * Trains what a recipe describes and leaves a run folder: run.json, events.jsonl, checkpoints/, final/. All that can be
 * wrong with recipe, model and data is found before the folder is made.
 *
 * The seed of the recipe decides every draw, and libtorch's own generators are neither used nor set: runs in one
 * process do not touch each other. `threads`, `deterministic` and `matmul` of the recipe belong to the process, so that
 * they are for {@link configureProcess}, to be called before; without it libtorch's defaults hold.
 *
 * Returns at once: {@link TrainRun} says how events are followed and the result is had.
 *
 * Errors: RecipeError for a recipe with mistakes; UserError for what else a user can mend, divergence and full disks
 * among it; SelfCheckError when the run contradicts itself; the signal's reason when it is aborted before there is
 * something to save.
 */
export function train(options: TrainOptions): TrainRun {
  const events = new EventStream();
  const { signal, onEvent } = options;
  const result = makeRun({
    ...options,
    signal: signal ? AbortSignal.any([signal, events.signal]) : events.signal,
    onEvent: (event) => Promise.all([onEvent?.(event), events.push(event)]),
  });
  return Object.assign(result, { [Symbol.asyncIterator]: () => events.read(result) });
}

async function makeRun(given: TrainOptions): Promise<TrainResult> {
  const { world = ProcessGroup.alone() } = given;
  let mesh: Mesh | undefined;
  try {
    const options = { ...given, recipe: checkRecipe(given.recipe) };
    requireShare(options, world);
    mesh = await openMesh(world, options.recipe.parallel.replicas);
    const result = world.rank === 0 ? await lead(options, mesh) : await accompany(options, mesh);
    // Launchers may end all when one has ended, and rank 0 may still be writing.
    world.barrier();
    return result;
  } catch (error) {
    const { signal } = given;
    const isAsked = signal?.aborted && error === signal.reason;
    world.fail(isAsked ? askedToStop : error instanceof Error ? error.message : String(error));
    throw await asStop(error, signal);
  } finally {
    mesh?.[Symbol.dispose]();
  }
}

/** What a process that is asked to stop before the first step leaves to the others. */
const askedToStop = 'it was asked to stop';

/** The end of a process that has heard {@link askedToStop}: mostly it was asked as well. */
async function asStop(error: unknown, signal: AbortSignal | undefined): Promise<unknown> {
  if (!(error instanceof DistributedError && error.message.includes(`said: ${askedToStop}`))) return error;
  // The signal may have come while the event loop stood still: it is heard in the next turn.
  await setImmediate();
  await setImmediate();
  return signal?.aborted ? signal.reason : new UserError('another process of the run was asked to stop');
}

/** Errors: UserError where processes cannot share the recipe, and for what divided parameters cannot do yet. */
function requireShare({ recipe, probe }: CheckedOptions, { world }: ProcessGroup): void {
  const { batch, parallel } = recipe;
  if (batch.size < world) {
    throw new UserError(
      `batch.size is ${batch.size}, the rows of a step on all processes, of which there are ${world}: each needs one at least`,
    );
  }
  requireReplicas(recipe, world);
  const isDivided = world > 1 || parallel.offload !== 'none';
  if (isDivided && parallel.shard === 'parameters' && probe !== undefined) {
    throw new UserError(
      'parallel.shard: parameters does not go with a probe: no process has the model that would be measured. Use gradients, or evaluate.generate',
    );
  }
}

/** The run on rank 0, which has the run folder. */
async function lead(options: CheckedOptions, mesh: Mesh): Promise<TrainResult> {
  const { world } = mesh;
  const { recipe, out, resume } = options;
  const device = recipeDevice(recipe, options.device);
  if (!resume) refuseUsedFolder(out);
  const reopened = resume ? await reopenRun(options) : undefined;
  if (reopened && 'finished' in reopened) {
    tell<Begun>(world, reopened);
    return reopened.finished;
  }
  using output = new OutputFolder(options, device, reopened);
  tell<Begun>(world, { now: output.now.getTime(), out, keys: keysOf(recipe) });
  await requireSharedDisk(world, out);
  const inputs = await readInputs({ ...options, world, mesh }, output);
  return await runWithRollbacks(inputs, output);
}

/** The run on another process: what it begins with and goes on from it hears from rank 0. */
async function accompany(options: CheckedOptions, mesh: Mesh): Promise<TrainResult> {
  const { world } = mesh;
  const { recipe } = options;
  const device = recipeDevice(recipe, options.device);
  const begun = tell<Begun>(world);
  if ('finished' in begun) return begun.finished;
  const { out } = begun;
  requireEqual(begun.keys, keysOf(recipe), world);
  await requireSharedDisk(world, out);
  const now = new Date(begun.now);
  const inputs = await readInputs({ ...options, out, world, mesh }, { device, now, commits: {}, beginsAgain: false });
  const own = await sourcesOf(inputs);
  for (;;) {
    const { checkpoint, sources } = tell<Begin>(world);
    const from = checkpoint && { checkpoint, changes: [], warnings: [] };
    using weights = await loadPolicy(inputs, checkpoint);
    requireEqual(sources, own, world);
    try {
      return await follow({ ...inputs, sources, weights, from, openFolder: async () => runFolder(out) });
    } catch (error) {
      if (!(error instanceof RollbackRequest)) throw explainFault(error, inputs, runFolder(out));
    }
  }
}

/** What rank 0 tells the others first: when a run began, and its folder; or what it has come to before. */
type Begun = { now: number; out: string; keys: Digests } | { finished: TrainResult };

/** What rank 0 tells the others before the steps. */
interface Begin {
  /** Undefined at the beginning of a run. */
  checkpoint: Checkpoint | undefined;
  /** Digests of what rank 0 reads. */
  sources: Digests;
}

const keysOf = (recipe: Recipe): Digests => ({ ...keyDigests(recipe), libtorch: nativeConfig().compiledFor });

const sourcesOf = async (inputs: RunInputs) =>
  sourceDigests({ ...inputs.plan, template: inputs.template, models: await modelDigests(inputs) });

/** What a run is made from, but for weights. */
type RunInputs = Omit<RunOptions, 'openFolder' | 'from' | 'weights' | 'sources'> & {
  device: Device;
  template: ChatTemplate | undefined;
};

/** Finds the models of a recipe, and reads its tokenizer and rows. */
async function readInputs(
  options: CheckedOptions & { world: ProcessGroup; mesh: Mesh },
  output: Pick<OutputFolder, 'commits' | 'device' | 'now' | 'beginsAgain'> & { locked?: LockedRun | undefined },
): Promise<RunInputs> {
  const { recipe, out, signal, clock, onDownload, onReading, world } = options;
  const { locked, commits, device, now, beginsAgain } = output;
  const here = recipeHere(recipe);
  const notes: string[] = [];
  const hub: HubOptions = {
    onDownload,
    onCommit: (name, commit) => {
      commits[name] = commit;
    },
    onNote: (note) => notes.push(note),
    signal,
    clock,
  };
  await unlessStopped(signal);
  const folder = await modelFolder(here.model, hub);
  const { model: initialModel } = here.reference;
  const initialFolder = initialModel === undefined ? undefined : await modelOrAdapterFolder(initialModel, hub);
  const { resumeFrom } = here.adapter ?? {};
  const startAdapter = resumeFrom === undefined ? undefined : await adapterFolder(resumeFrom, hub);
  const tokenizer = await loadTokenizer(folder);
  await unlessStopped(signal);
  const before = locked?.from?.checkpoint.state.sources;
  const onChatTemplate = before && ((template: ChatTemplate) => requireSameTemplate(before, template, out));
  const data = await recipeData(here, tokenizer, { ...hub, now, onChatTemplate, onReading });
  const report = { ...data.report, notes: [...(locked?.notes ?? []), ...notes, ...data.report.notes] };
  return {
    ...options,
    plan: new Plan(recipe, { ...data, report }, world.world),
    stop: new AgreedStop(world, signal),
    modelFolder: folder,
    modelFiles: await modelFiles(folder, tokenizer, data.template),
    ...{ initialFolder, startAdapter },
    template: data.template,
    ...{ commits, tokenizer, device, beginsAgain },
  };
}

/** Runs, again from the last checkpoint when a run that has diverged asks for it. */
async function runWithRollbacks(inputs: RunInputs, output: OutputFolder): Promise<TrainResult> {
  let from = output.locked?.from;
  // Once: of a rollback too the models are those that were hashed.
  let known: Promise<Digests> | undefined;
  const sources = () => {
    known ??= sourcesOf(inputs);
    return known;
  };
  for (;;) {
    try {
      return await runFrom(from, { inputs, output, sources });
    } catch (error) {
      if (!(error instanceof RollbackRequest)) throw explainFault(error, inputs, output.locked?.folder);
      from = await findResumePoint(output.locked!.folder, { command: inputs.command, rollback: error });
    }
  }
}

/** Runs from a checkpoint or the beginning. Errors: RollbackRequest; those of {@link run}. */
async function runFrom(
  from: ResumePoint | undefined,
  { inputs, output, sources: digests }: { inputs: RunInputs; output: OutputFolder; sources(): Promise<Digests> },
): Promise<TrainResult> {
  const { out, plan, signal, device, world } = inputs;
  const { recipe } = plan;
  await unlessStopped(signal);
  using weights = await loadPolicy(inputs, from?.checkpoint);
  await requireWritable(existingParent(out), diskBytes(plan, weights, from !== undefined));
  requireVocabulary(weights.model, plan.rows);
  requireVocabulary(weights.model, plan.validation);
  const sources = await digests();
  tell<Begin>(world, { checkpoint: from?.checkpoint, sources });
  await unlessStopped(signal);
  if (from && from === output.locked?.from) {
    const start = { recipe, processes: world.world, sources, out, device };
    from.warnings.push(...requireSameRun(from.checkpoint.state, start));
  }
  return await run({ ...inputs, sources, weights, from, openFolder: () => output.open(sources) });
}

async function modelDigests({
  modelFolder: folder,
  initialFolder,
  startAdapter,
}: Pick<RunInputs, 'modelFolder' | 'initialFolder' | 'startAdapter'>) {
  return {
    model: await modelDigest(folder),
    ...(initialFolder !== undefined && { 'reference.model': await modelDigest(initialFolder) }),
    ...(startAdapter !== undefined && { 'adapter.resumeFrom': await modelDigest(startAdapter) }),
  };
}

/** What a run will write besides events: the model, and checkpoints as many as there will be at once. */
function diskBytes(plan: Plan, weights: ModelWeights, isResumed: boolean): number {
  const { recipe } = plan;
  const { every, keep, best } = recipe.checkpoint;
  const most = isResumed ? 1 : keep + 1 + (best === undefined ? 0 : 1);
  // Those by time can be left out.
  const count = typeof every === 'number' ? Math.min(most, Math.floor(plan.totalSteps / every)) : 0;
  return weights.bytes(recipeSaveOptions(recipe).dtype) + count * snapshotBytes(plan, weights);
}
