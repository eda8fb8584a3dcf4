/** What is known of the models, prompts and rows of a study, some of which are yet to be made. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type PromptText, textOf } from '../data/index.js';
import { UserError } from '../errors.js';
import { type Expected, shapeSource } from '../estimate/index.js';
import { mapTexts } from '../formats/index.js';
import { type ModelShape, modelShape } from '../models/shape.js';
import { type Recipe, textHere } from '../recipe/index.js';
import { mean } from '../stats/index.js';
import { loadTokenizer } from '../text/index.js';
import { loadPassages } from './corpus.js';
import { type InitJob, isDone, type LabelJob, outputOf } from './jobs.js';
import type { PlannedStage } from './plan.js';
import { type DrawnPrompts, drawPrompts } from './prompts.js';
import { stagesNamed, stageVariable } from './study.js';

/** Prompts as far as they are at hand. */
export interface KnownPrompts {
  count: number;
  /** Means of a prompt; where the tokenizer is not there, every byte counts as a token, which is the most. */
  tokens: number;
  characters: number;
  isRead: boolean;
}

/** The config.json of the model that a stage makes from nothing. */
export const initConfig = ({ config, vocabularySize }: InitJob) => ({ ...config, vocab_size: vocabularySize });

/** The pairs that a stage makes of prompts with so many samples, by the answer, at most. */
export const pairsOfAnswer = (keep: LabelJob['keep'], samples: number) =>
  keep === 'allPairs' ? (samples - 1) / 2 : 1 / samples;

/** So many prompts say how long they are. */
const promptsRead = 100;

/** Looks for what jobs read: a stage that is not made may be made of another seed, or come from one that is there. */
export class KnownInputs {
  readonly #prompts = new Map<string, Promise<PromptText[] | UserError>>();

  private constructor(private readonly made: ReadonlyMap<string, PlannedStage>) {}

  static async of(stages: readonly PlannedStage[]): Promise<KnownInputs> {
    const made = new Map<string, PlannedStage>();
    for (const stage of stages) if (!made.has(stage.name) && (await isDone(stage.job))) made.set(stage.name, stage);
    return new KnownInputs(made);
  }

  /** A recipe with what is there in the place of its stages, and what is known of what is not. */
  async recipe(written: Recipe, needs: readonly PlannedStage[]): Promise<{ recipe: Recipe; expected: Expected }> {
    const { model, config } = await this.model(written.model, needs);
    const { train } = written.data;
    const source = typeof train === 'string' ? this.#unmade(train, needs) : undefined;
    const rows = source && (await this.#rowsOf(source));
    const recipe = { ...this.#placed(written, needs), model };
    return { recipe, expected: { config, rows } };
  }

  /** The folder or name of a model. One that is yet to be trained has the shape and the tokenizer of its beginning. */
  async model(text: string, needs: readonly PlannedStage[]): Promise<{ model: string; config: Expected['config'] }> {
    const stage = this.#unmade(text, needs);
    if (stage?.job.kind === 'train') return this.model(stage.job.recipe.model, stage.needs);
    const model = here(this.#placed(text, needs));
    const config =
      stage?.job.kind === 'init' ? { configJson: initConfig(stage.job), from: `stage ${stage.name}` } : undefined;
    return { model, config };
  }

  /** Errors: UserError for a model whose shape is not known. */
  async shape(text: string, needs: readonly PlannedStage[]): Promise<ModelShape> {
    const { model, config } = await this.model(text, needs);
    return modelShape((config ?? (await shapeSource(model))).configJson);
  }

  /** Errors: UserError where neither the prompts are there nor their number is known. */
  async prompts(drawn: DrawnPrompts, model: string, needs: readonly PlannedStage[]): Promise<KnownPrompts> {
    const found = await this.#readPrompts({ ...drawn, prompts: this.#placed(drawn.prompts, needs) });
    if (!Array.isArray(found)) {
      if (drawn.rows === undefined) throw found;
      return { count: drawn.rows, tokens: 0, characters: 0, isRead: false };
    }
    const texts = found.slice(0, promptsRead).map(({ prompt }) => {
      return typeof prompt === 'string' ? prompt : prompt.map(textOf).join('\n');
    });
    const folder = (await this.model(model, needs)).model;
    const tokenizer = existsSync(join(folder, 'tokenizer.json')) ? await loadTokenizer(folder) : undefined;
    const tokensOf = (text: string) => tokenizer?.encode(text).length ?? Buffer.byteLength(text);
    return {
      count: found.length,
      tokens: Math.round(mean(texts.map(tokensOf))),
      characters: Math.round(mean(texts.map(({ length }) => length))),
      isRead: true,
    };
  }

  /** Prompts, or why they cannot be read; each set once, for all the jobs that have it. */
  #readPrompts({ prompts, rows, seed }: DrawnPrompts): Promise<PromptText[] | UserError> {
    const key = JSON.stringify([prompts, rows, seed]);
    const read =
      this.#prompts.get(key) ??
      drawPrompts({ prompts, rows, seed }).catch((error: unknown) => {
        if (error instanceof UserError) return error;
        throw error;
      });
    this.#prompts.set(key, read);
    return read;
  }

  /** The most rows of a stage that is not made, and how long they are. */
  async #rowsOf({ job, needs }: PlannedStage): Promise<Expected['rows']> {
    if (job.kind === 'corpus') return { most: (await loadPassages()).length };
    if (job.kind === 'sample') {
      const { count, tokens } = await this.prompts(job, job.model, needs);
      return { most: count * job.samples, prompt: tokens, completion: job.maxNewTokens };
    }
    if (job.kind !== 'label') return undefined;
    const answers = needs.find(({ job: { kind } }) => kind === 'sample');
    if (answers?.job.kind !== 'sample') return undefined;
    const { samples } = answers.job;
    const ofAnswers = (await this.#rowsOf(answers))!;
    return { ...ofAnswers, most: ofAnswers.most * pairsOfAnswer(job.keep, samples) };
  }

  /** The stage that a text stands for, where neither it nor one of another seed is made. */
  #unmade(text: string, needs: readonly PlannedStage[]): PlannedStage | undefined {
    const [name] = stagesNamed(text);
    return name === undefined || this.made.has(name) ? undefined : needs.find((stage) => stage.name === name);
  }

  #placed<T>(value: T, needs: readonly PlannedStage[]): T {
    return mapTexts(value, (text) =>
      needs.reduce(
        (placed, stage) =>
          placed.replaceAll(`\${${stageVariable(stage.name)}}`, outputOf((this.made.get(stage.name) ?? stage).job)),
        text,
      ),
    );
  }
}

/** A model with what variables of the environment stand for, where they are set. */
function here(model: string): string {
  try {
    return textHere('model', model);
  } catch (error) {
    if (error instanceof UserError) return model;
    throw error;
  }
}
