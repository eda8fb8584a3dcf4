/** What a study asks for: the jobs of its runs and stages, and on which others each depends. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runFolder } from '../eval/front/study-rows.js';
import { createReadStream, mapTexts } from '../formats/index.js';
import { modelDigest } from '../planning/digests.js';
import { type Recipe, recipeHash, recipeHere } from '../recipe/index.js';
import { groupBy } from '../stats/index.js';
import { type Job, outputOf, type RunJob } from './jobs.js';
import { recipeOf, type Setting } from './settings.js';
import { answersOf, type Study, stagesNamed, stageVariable } from './study.js';
import type { StageValues } from './study-schema.js';

export interface PlannedJob<J extends Job = Job> {
  /** Its name in messages. */
  title: string;
  job: J;
  needs: readonly PlannedStage[];
}

export interface PlannedStage extends PlannedJob {
  name: string;
  digest: string;
}

export interface PlannedRun extends PlannedJob<RunJob> {
  setting: Setting;
  seed: number;
}

/** Changes when the same settings come to give other bytes. */
const version = 1;

const digestOf = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex');

/** Plans the runs of a study in a folder, and the stages that they need; each stage once. */
export class Planner {
  readonly #stages = new Map<string, Promise<PlannedStage>>();
  readonly #contents = new Map<string, Promise<string>>();

  constructor(
    private readonly study: Study,
    private readonly out: string,
  ) {}

  /** The runs of settings in the order of results: settings, then seeds. Errors: RecipeError, UserError. */
  async runs(settings: readonly Setting[]): Promise<PlannedRun[]> {
    const runs: PlannedRun[] = [];
    const ofArms = groupBy(settings, ({ arm }) => arm);
    for (const setting of settings) {
      const { arm, name } = setting;
      const title = ofArms.get(arm)!.length > 1 ? `${arm} ${name}` : arm;
      for (const seed of this.study.replicates.seeds) runs.push(await this.#run(setting, seed, title));
    }
    return runs;
  }

  async #run(setting: Setting, seed: number, title: string): Promise<PlannedRun> {
    const { measure, save } = this.study;
    const recipe = { ...setting.recipe, seed };
    const needs = await this.#needs([recipe, measure], seed);
    const digest = digestOf([
      version,
      recipeHash(recipe),
      measure,
      needs.map((stage) => [stage.name, stage.digest]),
      await this.#contentsOf([...filesOf(recipe), measure.prompts, ...modelsOf(measure.scores)]),
    ]);
    const out = join(this.out, runFolder(setting.arm, setting.name, seed));
    return {
      title: `${title} seed ${seed}`,
      setting,
      seed,
      needs,
      job: { kind: 'run', recipe, out, digest, measure, save },
    };
  }

  #needs(value: unknown, seed: number): Promise<PlannedStage[]> {
    return Promise.all(stagesNamed(value).map((name) => this.#stage(name, seed)));
  }

  /** A stage as a replicate has it: one that does not depend on the seed is the same for all. */
  #stage(name: string, seed: number): Promise<PlannedStage> {
    const key = this.#varies(name) ? `${name} ${seed}` : name;
    const planned = this.#stages.get(key) ?? this.#planStage(name, seed);
    this.#stages.set(key, planned);
    return planned;
  }

  /** Whether a stage is made anew for each seed. */
  #varies(name: string): boolean {
    const { stages, replicates } = this.study;
    const isOver = name === replicates.over || name === answersOf(replicates.over);
    return isOver || stagesNamed(stages[name]).some((upstream) => this.#varies(upstream));
  }

  async #planStage(name: string, seed: number): Promise<PlannedStage> {
    const varied = this.#varies(name);
    const { settings, inputs, decisive } = this.#settingsOf(name, varied ? seed : undefined);
    const needs = await this.#needs(settings, seed);
    const upstream = needs.map((stage) => [stage.name, stage.digest]);
    const digest = digestOf([version, decisive, upstream, await this.#contentsOf(inputs)]);
    const out = join(this.out, 'stages', `${name}-${digest.slice(0, 12)}`);
    const title = varied ? `stage ${name} seed ${seed}` : `stage ${name}`;
    return { name, title, digest, needs, job: { ...settings, out } as Job };
  }

  /** The settings of a stage, the files that they name, and what of them decides the result. */
  #settingsOf(name: string, seed: number | undefined) {
    const { corpus, init, train, sample, label }: StageValues = this.study.stages[name]!;
    const withSeed = seed === undefined ? {} : { seed };
    if (corpus !== undefined) {
      const settings = { kind: 'corpus', corpus };
      return { settings, inputs: [], decisive: settings };
    }
    if (init !== undefined) {
      const settings = { kind: 'init', ...init, ...withSeed };
      return { settings, inputs: [init.text], decisive: settings };
    }
    if (train !== undefined) {
      const recipe = { ...recipeOf(this.study, train, ['stages', name, 'train']), ...withSeed };
      return { settings: { kind: 'train', recipe }, inputs: filesOf(recipe), decisive: recipeHash(recipe) };
    }
    const settings = sample ? { kind: 'sample', ...sample, ...withSeed } : { kind: 'label', ...label!, ...withSeed };
    const inputs = sample ? [sample.model, sample.prompts] : [label!.answers!, ...modelsOf({ label: label!.score })];
    return { settings, inputs, decisive: settings };
  }

  /** Digests of what texts name, where it is no stage. */
  #contentsOf(names: readonly string[]): Promise<string[]> {
    const others = names.filter((name) => stagesNamed(name).length === 0);
    return Promise.all(
      others.map((name) => {
        const content = this.#contents.get(name) ?? contentDigest(name);
        this.#contents.set(name, content);
        return content;
      }),
    );
  }
}

/** What the variables of the jobs' settings stand for: the absolute places of the stages. */
export const variablesOf = ({ needs }: PlannedJob): Record<string, string> =>
  Object.fromEntries(needs.map(({ name, job }) => [stageVariable(name), resolve(outputOf(job))]));

/** The models and files that a recipe names, with what variables of the environment stand for. */
function filesOf(recipe: Recipe): string[] {
  const { model, reference, data } = recipeHere(recipe, { missing: 'stay' });
  return textsOf([model, reference.model ?? [], data.train, data.validation ?? []]);
}

/** The models that scores name. */
function modelsOf(scores: Study['measure']['scores']): string[] {
  return Object.values(scores).flatMap((score) => {
    if (typeof score === 'string') return [];
    return textsOf([score.surprise ?? [], score.reward?.model ?? [], score.reward?.reference ?? []]);
  });
}

function textsOf(value: unknown): string[] {
  const texts: string[] = [];
  mapTexts(value, (text) => {
    texts.push(text);
    return text;
  });
  return texts;
}

/** A digest of a file or folder; of what is neither, a name on the Hub say, the name. */
async function contentDigest(path: string): Promise<string> {
  if (!existsSync(path)) return path;
  if (existsSync(join(path, 'config.json'))) return modelDigest(path);
  const names = statSync(path).isDirectory() ? readdirSync(path, { recursive: true, encoding: 'utf8' }).sort() : [''];
  const hash = createHash('sha256');
  for (const name of names) {
    const file = join(path, name);
    if (!statSync(file).isFile()) continue;
    hash.update(`${name}\n`);
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  }
  return hash.digest('hex');
}
