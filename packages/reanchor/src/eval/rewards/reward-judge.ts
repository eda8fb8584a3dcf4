/** A judge without a judge model: the implicit rewards of a model against its reference. */
import { setImmediate } from 'node:timers/promises';
import { type Content, folderOf, type Group, modelPlace } from '../../data/index.js';
import { exactJson } from '../../formats/index.js';
import { TextGenerator } from '../../generate/index.js';
import type { HubOptions } from '../../hub/index.js';
import type { CausalLM } from '../../models/causal-lm.js';
import { chooseDevice } from '../../models/device.js';
import { logRatios } from '../../models/log-ratios.js';
import { ModelLoader } from '../../models/model-loader.js';
import type { PassOptions } from '../../models/passes.js';
import { positionsNote, shortestOf } from '../../models/positions.js';
import { tell } from '../../parallel/tell.js';
import { afterRankZero, leads } from '../../parallel/together.js';
import { runTextOfModels } from '../../runs/index.js';
import { sigmoid } from '../../stats/index.js';
import type { Pair, PairJudge, Verdict } from '../judge/judge.js';
import { referencePlace } from '../reference-place.js';
import { requireSameInputs } from '../same-inputs.js';
import { requireSameTokens } from '../same-tokens.js';

/** The two models whose log-probabilities are the rewards of a {@link RewardJudge}. */
export interface RewardJudgeOptions extends HubOptions {
  /** The model whose rewards judge: a Hugging Face folder, or owner/name on the Hub. */
  model: string;
  /** The adapter on it, named so too. */
  adapter?: string | undefined;
  /** What it was trained against. */
  reference: string;
  referenceAdapter?: string | undefined;
  /** Strength beta of the rewards. Default: 0.1. */
  beta?: number | undefined;
  chatTemplate?: string | undefined;
  /** auto, cpu, cuda or cuda:N. Default: auto. */
  device?: string | undefined;
  tokensPerMicroBatch?: number | undefined;
  /** The processes that are the judge together: rank 0 is asked, and the others {@link RewardJudge.assist}. */
  world?: PassOptions['world'];
}

/**
 * Prefers the answer with the larger implicit reward r = beta (log pi(y | x) - log ref(y | x)), sums over an answer's
 * tokens as `reanchor score` takes them, with what ends it; one that was cut has no end. The share of the first answer
 * is the Bradley-Terry probability sigmoid(r_1 - r_2): 1/2, a tie, where rewards are equal. A place means nothing to
 * it, and each answer is scored once. Source: Rafailov et al. 2023 (2305.18290).
 */
export class RewardJudge implements PairJudge, Disposable {
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly #rewards = new Map<string, Promise<number>>();
  #waiting: { group: Group; resolve(reward: number): void; reject(error: unknown): void }[] = [];
  #working: Promise<void> = Promise.resolve();
  #isTold = false;

  private constructor(
    private readonly generator: TextGenerator,
    private readonly reference: CausalLM,
    private readonly beta: number,
    private readonly options: RewardJudgeOptions,
  ) {
    const { model, adapter, reference: anchor, referenceAdapter, chatTemplate } = options;
    this.name = `implicit reward of ${adapter ?? model}`;
    const models = { model, adapter, reference: anchor, referenceAdapter };
    this.settings = { judge: 'implicit reward', ...models, beta, chatTemplate };
  }

  /** Errors: UserError, FormatError of the models; UserError for a reference with another tokenizer; RangeError. */
  static async load(options: RewardJudgeOptions): Promise<RewardJudge> {
    const { model, beta = 0.1, chatTemplate, world } = options;
    if (!(beta > 0)) throw new RangeError(`beta is ${beta}; numbers above 0 are allowed`);
    const { own, other } = await afterRankZero(world, async () => {
      return { own: await modelPlace(model, options), other: await referencePlace(options.reference, options) };
    });
    await requireSameInputs(world, [own, other], 'answers', []);
    const run = runTextOfModels([own, other].map(folderOf), options.onNote);
    using loader = new ModelLoader({ dtype: 'float32', device: chooseDevice(options.device) });
    const generator = await TextGenerator.load(own, { ...options, chatTemplate, run, loader });
    try {
      const sample = 'One plain sentence, with 3 numbers: 1, 22 and 333.\n\nAnd one more?';
      const why = `${model}: rewards need a reference with the same tokenizer`;
      await requireSameTokens(other, generator.tokenizer, ({ encode }) => encode(sample).join(), why);
      return new RewardJudge(generator, await loader.load(other), beta, options);
    } catch (error) {
      generator[Symbol.dispose]();
      throw error;
    }
  }

  async judge({ prompt, first, second, isCut: [isFirstCut, isSecondCut] = [false, false] }: Pair): Promise<Verdict> {
    const [a, b] = await Promise.all([
      this.reward(prompt, first, isFirstCut),
      this.reward(prompt, second, isSecondCut),
    ]);
    const text = `${a} and ${b}`;
    if (!Number.isFinite(a - b)) return { first: undefined, text, unparsed: 'a reward is no number' };
    return { first: sigmoid(a - b), text };
  }

  /** The implicit reward of an answer. Errors: UserError for one that cannot be tokenised. */
  reward(prompt: Content, answer: string, isCut = false): Promise<number> {
    const key = exactJson([prompt, answer, isCut]);
    const known = this.#rewards.get(key);
    if (known) return known;
    const { generator } = this;
    const reward = new Promise<number>((resolve, reject) => {
      const ids = isCut ? generator.encodeWritten(prompt, answer, undefined) : generator.encodeAnswer(prompt, answer);
      const group = { prompt: generator.encode(prompt), completions: [ids] };
      this.#noteLength(group);
      if (this.#waiting.push({ group, resolve, reject }) === 1) this.#working = this.#working.then(() => this.#work());
    });
    this.#rewards.set(key, reward);
    return reward;
  }

  /** Tells once of an answer that is longer than the models were made for. */
  #noteLength(group: Group): void {
    if (this.#isTold) return;
    const models = shortestOf([this.generator.model, this.reference]);
    const tooLong = positionsNote(models, [group], () => 'such rewards mean little');
    this.#isTold = tooLong !== undefined;
    if (tooLong !== undefined) this.options.onNote?.(tooLong);
  }

  /** Scores all answers that wait, together. */
  async #work(): Promise<void> {
    await setImmediate();
    const batch = this.#waiting;
    this.#waiting = [];
    const groups = batch.map(({ group }) => group);
    try {
      tell<Asked>(this.options.world, groups.map(plainIds));
      const scores = await this.#logRatios(groups);
      for (const [i, { resolve }] of batch.entries()) resolve(this.beta * scores[i]![0]!.logRatio);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  #logRatios(groups: readonly Group[]) {
    const { tokensPerMicroBatch = 16384, signal, world } = this.options;
    return logRatios(this.generator.model, this.reference, groups, { tokensPerMicroBatch, signal, world });
  }

  /** On another process than rank 0: scores a part of what is asked there, until it is done. */
  async assist(): Promise<undefined> {
    for (;;) {
      const asked = tell<Asked>(this.options.world);
      if (asked === 'done') return;
      await this.#logRatios(asked.map(typedIds));
    }
  }

  [Symbol.dispose](): void {
    const { world } = this.options;
    try {
      if (leads(world)) tell<Asked>(world, 'done');
    } catch {
      // The others have failed, or have heard that this one has.
    }
    this.generator[Symbol.dispose]();
    this.reference[Symbol.dispose]();
  }
}

/** What rank 0 has the others score: groups as plain lists, with one completion each. */
type Asked = [prompt: number[], completion: number[]][] | 'done';

const plainIds = ({ prompt, completions: [ids] }: Group): [number[], number[]] => [[...prompt], [...ids!]];
const typedIds = ([prompt, ids]: [number[], number[]]): Group => ({
  prompt: Int32Array.from(prompt),
  completions: [Int32Array.from(ids)],
});
