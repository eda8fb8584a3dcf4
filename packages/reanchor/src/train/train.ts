import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Device, manualSeed, nativeConfig, setNumThreads } from '@reanchor/torch';
import type { Clock } from '../clock.js';
import { type RowPlace, stepCount } from '../data/index.js';
import { requireWritable } from '../formats/index.js';
import { type HubOptions, modelFolder } from '../hub/index.js';
import { copyModel } from '../models/architectures.js';
import type { CausalLM } from '../models/causal-lm.js';
import { loadModel } from '../models/load.js';
import { modelBytes } from '../models/save.js';
import { requireVocabulary } from '../models/score-pairs.js';
import {
  createRunFolder,
  type Recipe,
  type RunEvent,
  readRun,
  recipeHere,
  refuseUsedFolder,
  templateNow,
  writeRunInfo,
} from '../runs/index.js';
import { type ChatTemplate, loadChatTemplate, loadTokenizer } from '../text/index.js';
import type { BestCheckpoint } from './checkpointer.js';
import { explainFault } from './faults.js';
import { MasterWeights } from './master-weights.js';
import { modelFiles } from './model-files.js';
import type { LoggedRow } from './objectives/objective.js';
import { planOf } from './plan.js';
import { recipeData } from './recipe-data.js';
import { recipeDevice } from './recipe-device.js';
import { hasMasterWeights, recipeSaveOptions, referenceDType, trainingDType } from './recipe-dtypes.js';
import { recipeExampleObjective, recipePairObjective, recipeTextObjective } from './recipe-objective.js';
import { type OpenRun, pointOf, reopenRun, requireSameRun } from './resume.js';
import { type RunOptions, run } from './run.js';
import { RollbackRequest } from './run-divergences.js';
import type { EvaluationResult, Probe } from './run-evaluations.js';
import { modelDigest, requireSameTemplate, sourceDigests } from './source-digests.js';

export type { Probe, Probed } from './run-evaluations.js';

export interface TrainOptions {
  recipe: Recipe;
  /** The run folder to be made; it must not exist yet, or be empty. With `resume` the folder of the run that goes on. */
  out: string;
  /**
   * Goes on with the run in `out` from its newest checkpoint that is whole, to the same bits as if it had not been
   * interrupted. A run that is finished is left as it is; one that was stopped before its first step begins anew.
   */
  resume?: boolean | undefined;
  /** The command and its arguments, for run.json. */
  command: readonly string[];
  /** Hears every event as it is written to events.jsonl. */
  onEvent?: ((event: RunEvent) => void) | undefined;
  /** Ends the run after the step or evaluation batch that is being computed; a checkpoint is then written. */
  signal?: AbortSignal | undefined;
  /** Hears how far a download from the Hub is. */
  onDownload?: HubOptions['onDownload'];
  /** Measures the policy besides the recipe's evaluations: before the run, after every n steps, and after the last. */
  probe?: Probe | undefined;
  /** By which checkpoints by time are due, and waits are made; the system's when left out. */
  clock?: Clock | undefined;
  /** A file for a Chrome trace of the operators and spans of a few steps, from the second one on. */
  profile?: string | undefined;
}

export interface TrainResult {
  /** The run folder. */
  folder: string;
  /** A model folder inside it: `final`, or after an abort the checkpoint from which the run can go on. */
  final: string;
  /** Whether all steps were made. */
  isFinished: boolean;
  /** Optimizer steps taken. */
  steps: number;
  evaluations: EvaluationResult[];
  /** The checkpoint that is the best by `checkpoint.best` of the recipe, where it names a metric. */
  best?: BestCheckpoint | undefined;
}

/**
 * Trains what a recipe describes and leaves a run folder: run.json, events.jsonl, checkpoints/, final/. All that can be
 * wrong with recipe, model and data is found before the folder is made. Errors: UserError for what a user can mend,
 * divergence and full disks among it; SelfCheckError when the run contradicts itself; the signal's reason when it is
 * aborted before there is something to save.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { recipe, out } = options;
  if (recipe.threads !== undefined) setNumThreads(recipe.threads);
  manualSeed(recipe.seed);
  const device = recipeDevice(recipe);
  const here = recipeHere(recipe);
  if (!options.resume) refuseUsedFolder(out);
  const reopened = options.resume ? await reopenRun(out, recipe) : undefined;
  if (reopened && 'finished' in reopened) return reopened.finished;
  using place = new Place(options, device, reopened);
  const notes: string[] = [];
  const hub: HubOptions = {
    onDownload: options.onDownload,
    onCommit: (name, commit) => {
      place.commits[name] = commit;
    },
    onNote: (note) => notes.push(note),
    signal: options.signal,
    clock: options.clock,
  };
  const folder = await modelFolder(here.model, hub);
  const { model: initialModel } = here.reference;
  const initialFolder = initialModel === undefined ? undefined : await modelFolder(initialModel, hub);
  const tokenizer = await loadTokenizer(folder);
  const { chatTemplate } = here.data;
  if (chatTemplate !== undefined && reopened?.from) {
    requireSameTemplate(reopened.from.checkpoint.state.sources, await loadChatTemplate(chatTemplate, tokenizer), out);
  }
  const data = await recipeData(here, tokenizer, { ...hub, now: place.now });
  const start = {
    ...options,
    plan: planOf(recipe, data.shares),
    modelFolder: folder,
    modelFiles: await modelFiles(folder, tokenizer, data.template),
    initialFolder,
    template: data.template,
    commits: place.commits,
    tokenizer,
    device,
    beginsAgain: reopened !== undefined && reopened.from === undefined,
    report: { ...data.report, notes: [...notes, ...data.report.notes] },
  };
  switch (data.kind) {
    case 'pairs': {
      const { train: rows, validation } = data;
      return await attempts({ ...start, objective: recipePairObjective(recipe), rows, validation }, place);
    }
    case 'unpaired': {
      const { train: rows, validation } = data;
      return await attempts({ ...start, objective: recipeExampleObjective(recipe), rows, validation }, place);
    }
    case 'sft': {
      const { train: rows, validation } = data;
      return await attempts({ ...start, objective: recipeTextObjective(), rows, validation }, place);
    }
  }
}

/** The run folder: the one that is gone on with, or one that is made when all else is known to be right. */
class Place implements Disposable {
  readonly commits: Record<string, string> = {};
  /** Whether run.json is there and says what this process does. */
  #isWritten: boolean;

  constructor(
    readonly options: TrainOptions,
    readonly device: Device,
    public opened: OpenRun | undefined,
    /** When the run began: chat templates tell this moment, also when it goes on later. */
    readonly now = opened?.from === undefined ? new Date() : templateNow(readRun(opened.folder.path).run),
  ) {
    this.#isWritten = opened?.from !== undefined;
  }

  async open(sources: Readonly<Record<string, string>>): Promise<OpenRun> {
    if (!this.#isWritten) this.opened = await this.#begin(sources);
    this.#isWritten = true;
    return this.opened!;
  }

  async #begin(sources: Readonly<Record<string, string>>): Promise<OpenRun> {
    const { recipe, out, command } = this.options;
    const run = {
      ...{ recipe, command, commits: this.commits, sources, time: this.now },
      ...{ torch: nativeConfig().compiledFor, device: this.device },
    };
    if (this.opened) {
      await writeRunInfo(out, run);
      return this.opened;
    }
    const { lock, ...folder } = await createRunFolder(out, run);
    return { folder, lock, from: undefined };
  }

  [Symbol.dispose](): void {
    this.opened?.lock[Symbol.dispose]();
  }
}

type Start<Row, Score extends LoggedRow> = Omit<
  RunOptions<Row, Score>,
  'open' | 'from' | 'policy' | 'masters' | 'sources'
> & { device: Device; template: ChatTemplate | undefined };

/** Runs, again from the last checkpoint when a run that has diverged asks for it. */
async function attempts<Row extends RowPlace, Score extends LoggedRow>(
  start: Start<Row, Score>,
  place: Place,
): Promise<TrainResult> {
  const { recipe, out } = start;
  let from = place.opened?.from;
  let sources: Record<string, string> | undefined;
  for (;;) {
    try {
      const source = from?.checkpoint.path ?? start.modelFolder;
      const [dtype, device] = [trainingDType(recipe), start.device];
      using wide = hasMasterWeights(recipe) ? await loadModel(source, { dtype: 'float32', device }) : undefined;
      using policy = wide ? copyModel(wide, dtype) : await loadModel(source, { dtype, device });
      const masters = wide && new MasterWeights(wide, policy);
      await requireWritable(existingParent(out), diskBytes(start, wide ?? policy, from !== undefined));
      requireVocabulary(policy, [...start.rows, ...start.validation]);
      sources ??= sourceDigests({ ...start, models: await modelDigests(start) });
      if (from === place.opened?.from)
        from?.warnings.push(...requireSameRun(from.checkpoint.state, { ...start, sources }));
      const open = async () => (await place.open(sources!)).folder;
      return await run({ ...start, sources, policy, masters, from, open });
    } catch (error) {
      if (!(error instanceof RollbackRequest)) throw explainFault(error, recipe, place.opened?.folder);
      from = await pointOf(place.opened!.folder, { rollback: error });
    }
  }
}

async function modelDigests({
  modelFolder: folder,
  initialFolder,
}: Pick<Start<object, LoggedRow>, 'modelFolder' | 'initialFolder'>) {
  return {
    model: await modelDigest(folder),
    ...(initialFolder !== undefined && { 'reference.model': await modelDigest(initialFolder) }),
  };
}

/** What a run will write besides events: the model, and as many checkpoints as there will be at once. */
function diskBytes<Row extends RowPlace, Score extends LoggedRow>(
  { recipe, rows, plan, objective }: Start<Row, Score>,
  trained: CausalLM,
  isResumed: boolean,
): number {
  const { every, keep, best } = recipe.checkpoint;
  const most = isResumed ? 1 : keep + 1 + (best === undefined ? 0 : 1);
  // Those by time can be left out.
  const count = typeof every === 'number' ? Math.min(most, Math.floor(stepCount(rows.length, plan) / every)) : 0;
  const hasCopy = objective.needsReference && recipe.reference.storage !== 'cached';
  // What is trained, two moments of AdamW, the reference.
  const checkpoint = 3 * modelBytes(trained) + (hasCopy ? modelBytes(trained, referenceDType(recipe)) : 0);
  return modelBytes(trained, recipeSaveOptions(recipe).dtype) + count * checkpoint;
}

/** `path`, or the nearest folder above it that is there: where a new folder will be made. */
function existingParent(path: string): string {
  let place = resolve(path);
  while (!existsSync(place)) place = dirname(place);
  return place;
}
