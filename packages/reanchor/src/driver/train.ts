import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Device } from '@reanchor/torch';
import { requireWritable } from '../formats/index.js';
import { type HubOptions, modelFolder } from '../hub/index.js';
import { modelBytes } from '../models/save.js';
import { requireVocabulary } from '../models/score-pairs.js';
import { recipeData } from '../planning/data.js';
import { recipeDevice } from '../planning/device.js';
import { modelDigest, requireSameTemplate, sourceDigests } from '../planning/digests.js';
import { recipeSaveOptions } from '../planning/dtypes.js';
import { Plan } from '../planning/plan.js';
import { unlessStopped } from '../planning/unless-stopped.js';
import { recipeHere } from '../recipe/index.js';
import { refuseUsedFolder } from '../runs/index.js';
import { type ChatTemplate, loadTokenizer } from '../text/index.js';
import { loadWeights } from '../weights/load.js';
import type { Weights } from '../weights/weights.js';
import { explainFault } from './faults.js';
import { modelFiles } from './model-files.js';
import { RollbackRequest } from './non-finite-steps.js';
import type { RunOptions } from './open-run.js';
import type { TrainOptions, TrainResult } from './options.js';
import { OutputFolder } from './output-folder.js';
import { findResumePoint, reopenRun, requireSameRun } from './resume.js';
import { run } from './run.js';
import { snapshotBytes } from './snapshot.js';

/**
 * Trains what a recipe describes and leaves a run folder: run.json, events.jsonl, checkpoints/, final/. All that can be
 * wrong with recipe, model and data is found before the folder is made.
 *
 * The seed of the recipe decides every draw, and libtorch's own generators are neither used nor set: runs in one
 * process do not touch each other. Threads and determinism belong to the process, so that `threads` and `deterministic`
 * of the recipe are for {@link configureProcess}, to be called before; without it libtorch's defaults hold.
 *
 * Errors: UserError for what a user can mend, divergence and full disks among it; SelfCheckError when the run
 * contradicts itself; the signal's reason when it is aborted before there is something to save.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { recipe, out, resume } = options;
  const device = recipeDevice(recipe);
  if (!resume) refuseUsedFolder(out);
  const reopened = resume ? await reopenRun(options) : undefined;
  if (reopened && 'finished' in reopened) return reopened.finished;
  using output = new OutputFolder(options, device, reopened);
  const inputs = await readInputs(options, output);
  return await runWithRollbacks(inputs, output);
}

/** What a run is made from, but for weights. */
type RunInputs = Omit<RunOptions, 'openFolder' | 'from' | 'weights' | 'sources'> & {
  device: Device;
  template: ChatTemplate | undefined;
};

/** Finds the models of a recipe, and reads its tokenizer and rows. */
async function readInputs(options: TrainOptions, output: OutputFolder): Promise<RunInputs> {
  const { recipe, out, signal, clock, onDownload } = options;
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
  const initialFolder = initialModel === undefined ? undefined : await modelFolder(initialModel, hub);
  const tokenizer = await loadTokenizer(folder);
  await unlessStopped(signal);
  const before = locked?.from?.checkpoint.state.sources;
  const onChatTemplate = before && ((template: ChatTemplate) => requireSameTemplate(before, template, out));
  const data = await recipeData(here, tokenizer, { ...hub, now, onChatTemplate });
  const report = { ...data.report, notes: [...(locked?.notes ?? []), ...notes, ...data.report.notes] };
  return {
    ...options,
    plan: new Plan(recipe, { ...data, report }),
    modelFolder: folder,
    modelFiles: await modelFiles(folder, tokenizer, data.template),
    initialFolder,
    template: data.template,
    ...{ commits, tokenizer, device, beginsAgain },
  };
}

/** Runs, again from the last checkpoint when a run that has diverged asks for it. */
async function runWithRollbacks(inputs: RunInputs, output: OutputFolder): Promise<TrainResult> {
  const { out, command, plan, signal, device, template } = inputs;
  let from = output.locked?.from;
  let sources: Record<string, string> | undefined;
  for (;;) {
    try {
      const source = from?.checkpoint.path ?? inputs.modelFolder;
      await unlessStopped(signal);
      using weights = await loadWeights(source, { ...plan.dtypes, device });
      await requireWritable(existingParent(out), diskBytes(plan, weights, from !== undefined));
      requireVocabulary(weights.model, [...plan.rows, ...plan.validation]);
      sources ??= sourceDigests({ ...plan, template, models: await modelDigests(inputs) });
      await unlessStopped(signal);
      if (from === output.locked?.from)
        from?.warnings.push(...requireSameRun(from.checkpoint.state, { sources, out, device }));
      const openFolder = () => output.open(sources!);
      return await run({ ...inputs, sources, weights, from, openFolder });
    } catch (error) {
      if (!(error instanceof RollbackRequest)) throw explainFault(error, inputs, output.locked?.folder);
      from = await findResumePoint(output.locked!.folder, { command, rollback: error });
    }
  }
}

async function modelDigests({ modelFolder: folder, initialFolder }: Pick<RunInputs, 'modelFolder' | 'initialFolder'>) {
  return {
    model: await modelDigest(folder),
    ...(initialFolder !== undefined && { 'reference.model': await modelDigest(initialFolder) }),
  };
}

/** What a run will write besides events: the model, and checkpoints as many as there will be at once. */
function diskBytes(plan: Plan, weights: Weights, isResumed: boolean): number {
  const { recipe } = plan;
  const { every, keep, best } = recipe.checkpoint;
  const most = isResumed ? 1 : keep + 1 + (best === undefined ? 0 : 1);
  // Those by time can be left out.
  const count = typeof every === 'number' ? Math.min(most, Math.floor(plan.totalSteps / every)) : 0;
  return modelBytes(weights.exact, recipeSaveOptions(recipe).dtype) + count * snapshotBytes(plan, weights);
}

/** `path`, or the nearest folder above it that is there: where a new folder will be made. */
function existingParent(path: string): string {
  let parent = resolve(path);
  while (!existsSync(parent)) parent = dirname(parent);
  return parent;
}
