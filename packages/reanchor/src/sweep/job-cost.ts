/** What the jobs of a study take: floating-point operations, and bytes on disk. */
import { UserError } from '../errors.js';
import { answerPack, estimateRun, forwardFlops } from '../estimate/index.js';
import { modelShape } from '../models/shape.js';
import type { Recipe } from '../recipe/index.js';
import { loadPassages } from './corpus.js';
import type { LabelJob, RunJob, SampleJob } from './jobs.js';
import { initConfig, KnownInputs, pairsOfAnswer } from './known-inputs.js';
import { promptsLookedAt } from './measure.js';
import type { PlannedJob, PlannedRun, PlannedStage } from './plan.js';
import type { DrawnPrompts } from './prompts.js';
import type { ScoreInput, StudyValues } from './study-schema.js';

/** What a job takes; answers are counted as if all were as long as they may be. */
export interface JobCost {
  flops: number;
  /** Bytes that it leaves. */
  bytes: number;
  /** Bytes of models that may be there while it is at work, and are gone once it is done. */
  passingBytes: number;
  /** What is not in these numbers, in words. */
  notCounted: string[];
}

/** Answers that a model writes, and what of them is kept. */
interface Answers {
  count: number;
  /** The FLOPs of one pass over the answers to so many prompts, or all. */
  passFlops(prompts?: number): number;
  /** Bytes of the prompt and the answer, and of the answer's token ids. */
  textBytes: number;
  idBytes: number;
  notCounted: string[];
}

/** Measured: bytes of a token as text, about, and of a number. */
const [tokenBytes, numberBytes] = [4, 19];
/** Measured: run.json with sweep.json, the events of a logged step and of an update of the reference. */
const [runBytes, stepBytes, updateBytes] = [2500, 640, 190];
/** Of JSON around an answer, a pair, and a measurement in the events of a run, its state and results.jsonl. */
const [answerBytes, pairBytes, measurementBytes] = [90, 40, 700];

/** Tells what jobs take, by what is there of their models and rows. */
export class JobCosts {
  readonly #known = new Map<unknown, Promise<JobCost | string>>();

  private constructor(private readonly inputs: KnownInputs) {}

  static async of(stages: readonly PlannedStage[]): Promise<JobCosts> {
    return new JobCosts(await KnownInputs.of(stages));
  }

  /** What a job takes, the same for all seeds; or why that cannot be known. */
  of(planned: PlannedStage | PlannedRun): Promise<JobCost | string> {
    const key = 'setting' in planned ? planned.setting : planned.name;
    const cost =
      this.#known.get(key) ??
      this.#costOf(planned).catch((error: unknown) => {
        if (error instanceof UserError) return error.message;
        throw error;
      });
    this.#known.set(key, cost);
    return cost;
  }

  async #costOf({ job, needs }: PlannedJob): Promise<JobCost> {
    const none: JobCost = { flops: 0, bytes: 0, passingBytes: 0, notCounted: [] };
    switch (job.kind) {
      case 'corpus':
        return { ...none, bytes: (await loadPassages()).reduce((sum, text) => sum + text.length + 30, 0) };
      case 'init':
        return { ...none, bytes: 4 * modelShape(initConfig(job)).parameters };
      case 'train':
        return this.#training(job.recipe, needs, 'all');
      case 'sample':
        return this.#sampling(job, needs);
      case 'label':
        return this.#labelling(job, needs);
      default:
        return this.#run(job, needs);
    }
  }

  /** Training, of whose models `save` says what is left. */
  async #training(written: Recipe, needs: readonly PlannedStage[], save: StudyValues['save']) {
    const { recipe, expected } = await this.inputs.recipe(written, needs);
    const { steps, updates = 0, flops, files } = await estimateRun({ recipe, expected });
    if (steps === undefined || files === undefined) {
      throw new UserError('its rows are not here, and so its steps are not known');
    }
    const { final, checkpoint, checkpoints, mostCheckpoints } = files;
    const left = { none: 0, ends: final, all: final + (checkpoints ?? 0) * checkpoint }[save];
    const isTimed = save === 'all' && checkpoints === undefined;
    return {
      steps,
      flops: Object.values(flops).reduce((sum, value) => sum + value, 0),
      bytes: left + runBytes + Math.ceil(steps / recipe.logEvery) * stepBytes + updates * updateBytes,
      passingBytes: final + mostCheckpoints * checkpoint - left,
      notCounted: isTimed ? [`checkpoints by time (checkpoint.every: ${recipe.checkpoint.every})`] : [],
    };
  }

  async #run({ recipe, measure, save }: RunJob, needs: readonly PlannedStage[]): Promise<JobCost> {
    const { steps, ...training } = await this.#training(recipe, needs, save);
    const answers = await this.#answers({ ...measure, model: recipe.model }, needs);
    // One before the first step and one after the last are always made; with klStep the others are looked at, at most.
    const between = Math.max(0, Math.ceil(steps / measure.every) - 1);
    const looks = measure.klStep === undefined ? 0 : between * 3 * answers.passFlops(promptsLookedAt);
    const names = Object.keys(measure.scores);
    const numbers = 2 * numberBytes + names.reduce((sum, name) => sum + name.length + 4 + numberBytes, 0);
    const answer = answerBytes + answers.textBytes + answers.idBytes + numbers;
    const measurement = measurementBytes + 3 * answers.textBytes + 4 * numbers;
    return {
      // To write answers, and to score them by the policy and by the initial model.
      flops: training.flops + looks + (between + 2) * 3 * answers.passFlops(),
      bytes: training.bytes + (between + 2) * (answers.count * answer + measurement),
      passingBytes: training.passingBytes,
      notCounted: [...training.notCounted, ...answers.notCounted, ...uncountedScores(measure.scores)],
    };
  }

  async #sampling(job: SampleJob, needs: readonly PlannedStage[]): Promise<JobCost> {
    const { count, textBytes, passFlops, notCounted } = await this.#answers(job, needs);
    const bytes = count * (answerBytes + 2 * numberBytes + textBytes);
    return { flops: passFlops(), bytes, passingBytes: 0, notCounted };
  }

  async #labelling({ keep, score }: LabelJob, needs: readonly PlannedStage[]): Promise<JobCost> {
    const sampled = needs.find(({ job: { kind } }) => kind === 'sample');
    if (sampled?.job.kind !== 'sample') throw new UserError('its answers are not of a stage');
    const { samples } = sampled.job;
    const answers = await this.#answers(sampled.job, sampled.needs);
    const pairs = answers.count * pairsOfAnswer(keep, samples);
    const notCounted = [...answers.notCounted, ...uncountedScores({ label: score })];
    // The prompt, and two answers.
    return { flops: 0, bytes: pairs * (pairBytes + 2 * answers.textBytes), passingBytes: 0, notCounted };
  }

  async #answers(
    written: DrawnPrompts & { model: string; samples: number; maxNewTokens: number },
    needs: readonly PlannedStage[],
  ): Promise<Answers> {
    const { model, samples, maxNewTokens } = written;
    const prompts = await this.inputs.prompts(written, model, needs);
    const shape = await this.inputs.shape(model, needs);
    const pass = forwardFlops(shape, answerPack(prompts.tokens, { samples, maxNewTokens }));
    return {
      count: prompts.count * samples,
      passFlops: (most = prompts.count) => Math.min(most, prompts.count) * pass,
      textBytes: prompts.characters + tokenBytes * maxNewTokens,
      idBytes: maxNewTokens * (String(shape.vocabulary).length + 1),
      notCounted: prompts.isRead ? [] : [`the tokens of prompts that are not here (${written.prompts})`],
    };
  }
}

/** The scores whose work cannot be known, or is not. */
function uncountedScores(scores: Readonly<Record<string, ScoreInput>>): string[] {
  return Object.entries(scores).flatMap(([name, score]) => {
    if (typeof score === 'string') return [];
    return [`the ${score.command ? 'program' : 'model'} of the score ${name}`];
  });
}
