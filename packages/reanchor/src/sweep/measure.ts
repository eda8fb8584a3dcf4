/** What a policy writes on prompts, and the scores of it. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Group, modelPlace, type PromptText, promptColumns } from '../data/index.js';
import { makeFolder, readJsonl, writeJsonl } from '../formats/index.js';
import { drawnTokens, generate, stopTokens, TextGenerator } from '../generate/index.js';
import type { CausalLM } from '../models/causal-lm.js';
import { scoreCompletions } from '../models/score-completions.js';
import { recipeHere } from '../recipe/index.js';
import { groupBy, mean, standardError } from '../stats/index.js';
import type { Estimate, Measurement, RunJob } from './jobs.js';
import { drawPrompts } from './prompts.js';
import { Scorer } from './scorer.js';

/** What is kept of an answer, a line each. */
interface MeasuredAnswer {
  /** The place of its prompt, and its own among the prompt's. */
  index: number;
  /** Of a prompt that is no chat. */
  prompt?: unknown;
  sample: number;
  completion: string;
  ids: number[];
  kl: number;
  surprise: number;
  scores: Record<string, number>;
}

/** Answers that are computed at once. */
const batchSize = 128;
/** The answers to so many prompts say whether the KL has changed enough for a measurement. */
export const promptsLookedAt = 64;

const folderOf = (run: string) => join(run, 'measured');
const fileOf = (run: string, step: number) => join(folderOf(run), `step-${String(step).padStart(6, '0')}.jsonl`);

/** Measures the policy of a run while it trains, and keeps every answer in the run's folder. */
export class Measuring implements Disposable {
  private constructor(
    private readonly job: RunJob,
    private readonly initial: TextGenerator,
    private readonly scorer: Scorer,
    private readonly prompts: readonly PromptText[],
    private readonly stops: readonly number[],
    private readonly signal: AbortSignal,
  ) {}

  /** Errors: UserError, FormatError of the prompts, the initial model and the scores. */
  static async load(job: RunJob, signal: AbortSignal): Promise<Measuring> {
    const { model, adapter, data } = recipeHere(job.recipe);
    const place = await modelPlace(model, { adapter: adapter?.resumeFrom, signal });
    const { device } = job.recipe;
    const initial = await TextGenerator.load(place, { chatTemplate: data.chatTemplate ?? 'none', device, signal });
    try {
      const prompts = await drawPrompts(job.measure);
      const stops = await stopTokens(place, initial.tokenizer, data.chatTemplate);
      return new Measuring(job, initial, await Scorer.load(job.measure.scores, signal), prompts, stops, signal);
    } catch (error) {
      initial[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Samples answers at temperature 1, with the same random numbers each time, and measures them; returns what is logged
   * of them, or undefined between measurements that are a step of KL apart. Errors: those of scores; the signal's
   * reason once it is aborted.
   */
  async measure(policy: CausalLM, { step, isEnd }: { step: number; isEnd: boolean }) {
    if (!isEnd && !(await this.#isDue(policy, step))) return undefined;
    const answers = await this.#write(policy, this.prompts);
    const scores = await this.scorer.scores(answers);
    const kept = answers.map(({ index, sample, text, ids, kl, surprise }, i): MeasuredAnswer => {
      return { index, sample, completion: text, ids, kl, surprise, scores: scores[i]! };
    });
    await this.#keep(kept, step);
    return this.#logged(kept);
  }

  /** Whether the KL of the first answers has changed enough since they were measured last. */
  async #isDue(policy: CausalLM, step: number): Promise<boolean> {
    const { klStep } = this.job.measure;
    if (klStep === undefined) return true;
    const last = measuredSteps(this.job.out).findLast((measured) => measured < step);
    if (last === undefined) return true;
    const klOf = (answers: readonly Pick<MeasuredAnswer, 'index' | 'kl'>[]) =>
      mean(answers.filter(({ index }) => index < promptsLookedAt).map(({ kl }) => kl));
    const before = klOf(await readAnswers(this.job.out, last));
    const now = klOf(await this.#write(policy, this.prompts.slice(0, promptsLookedAt)));
    return Math.abs(now - before) >= klStep;
  }

  async #write(policy: CausalLM, prompts: readonly PromptText[]) {
    const { maxNewTokens, samples, seed } = this.job.measure;
    const { initial, signal, stops } = this;
    const ids = initial.encodeAll(prompts);
    const drawing = { maxNewTokens, samples, seed, temperature: 1, stopTokens: stops, batchSize, signal };
    const written = await generate(policy, ids, drawing);
    const groups = ids.map((prompt, i): Group => {
      return { prompt, completions: written.slice(i * samples, (i + 1) * samples).map(drawnTokens) };
    });
    const logprobsOf = async (model: CausalLM) => (await scoreCompletions(model, groups, { signal })).flat();
    const [ours, theirs] = [await logprobsOf(policy), await logprobsOf(initial.model)];
    const decoders = prompts.map((prompt, i) => initial.decoder(prompt, ids[i]));
    return written.map(({ prompt, sample, tokens, finish }, i) => ({
      ...{ index: prompt, sample, prompt: prompts[prompt]!, ids: [...tokens], length: tokens.length },
      text: decoders[prompt]!([...tokens]),
      isCut: finish === 'length',
      kl: ours[i]! - theirs[i]!,
      surprise: -theirs[i]!,
    }));
  }

  async #keep(answers: readonly MeasuredAnswer[], step: number): Promise<void> {
    await makeFolder(folderOf(this.job.out));
    const lines = answers.map(({ index, ...rest }) => ({ index, ...promptColumns(this.prompts[index]!), ...rest }));
    await writeJsonl(fileOf(this.job.out, step), lines);
  }

  /** The metrics of an evaluation event, and a few texts. */
  #logged(answers: readonly MeasuredAnswer[]) {
    const { scores, kl, distinct2 } = summary(answers);
    const metrics: Record<string, number> = {
      'kl/initial': kl.mean ?? Number.NaN,
      'samples/distinct2': distinct2 ?? 0,
    };
    for (const [name, estimate] of Object.entries(scores)) metrics[`score/${name}`] = estimate.mean ?? Number.NaN;
    const shown = answers.filter(({ sample }) => sample === 0).slice(0, 3);
    const samples = shown.flatMap(({ index, completion }) => {
      const { prompt } = this.prompts[index]!;
      return typeof prompt === 'string' ? [{ prompt, completion }] : [];
    });
    return { metrics, samples };
  }

  [Symbol.dispose](): void {
    this.scorer[Symbol.dispose]();
    this.initial[Symbol.dispose]();
  }
}

/** What the answers that a run has kept come to, by steps; `gradNorms` has logged steps and their norms, in order. */
export async function measurementsOf(
  run: string,
  gradNorms: readonly (readonly [step: number, norm: number])[],
): Promise<Measurement[]> {
  const found: Measurement[] = [];
  for (const step of measuredSteps(run)) {
    const norm = gradNorms.findLast(([logged]) => logged <= step)?.[1];
    found.push({ step, ...summary(await readAnswers(run, step)), grad_norm: finite(norm) });
  }
  return found;
}

/** The steps after which the answers of a run were kept, in their order. */
function measuredSteps(run: string): number[] {
  if (!existsSync(folderOf(run))) return [];
  const names = readdirSync(folderOf(run)).sort();
  return names.flatMap((name) => /^step-(\d+)\.jsonl$/.exec(name)?.[1] ?? []).map(Number);
}

/** The answers that a run has kept of a step, with the columns of their prompts. */
export async function readAnswers(run: string, step: number): Promise<MeasuredAnswer[]> {
  const answers: MeasuredAnswer[] = [];
  for await (const { value } of readJsonl(fileOf(run, step))) answers.push(value as MeasuredAnswer);
  return answers;
}

function summary(answers: readonly MeasuredAnswer[]): Pick<Measurement, 'scores' | 'kl' | 'distinct2'> {
  const names = Object.keys(answers[0]?.scores ?? {});
  const scores = names.map((name) => [name, estimate(answers, (answer) => answer.scores[name]!)] as const);
  const bigrams = answers.flatMap(({ ids }) => ids.slice(1).map((id, i) => `${ids[i]} ${id}`));
  return {
    scores: Object.fromEntries(scores),
    kl: estimate(answers, ({ kl }) => kl),
    distinct2: bigrams.length === 0 ? null : new Set(bigrams).size / bigrams.length,
  };
}

/** The mean over prompts of the mean of a prompt's answers, and its standard error over prompts. */
function estimate(answers: readonly MeasuredAnswer[], numberOf: (answer: MeasuredAnswer) => number): Estimate {
  const ofPrompts = groupBy(answers, ({ index }) => index);
  const means = [...ofPrompts.values()].map((some) => mean(some.map(numberOf)));
  return { mean: finite(mean(means)), se: finite(standardError(means)) };
}

const finite = (value: number | undefined) => (value !== undefined && Number.isFinite(value) ? value : null);
