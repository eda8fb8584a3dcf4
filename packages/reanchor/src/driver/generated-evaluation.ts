import type { Group } from '../data/index.js';
import { drawnTokens, type GeneratedCompletion, generate } from '../generate/index.js';
import type { CausalLM } from '../models/causal-lm.js';
import { logRatios } from '../models/log-ratios.js';
import type { PassOptions } from '../models/passes.js';
import type { Recipe } from '../recipe/index.js';
import { distinct, mean, quantile, ratioEstimate, selfBleu } from '../stats/index.js';
import type { Tokenizer } from '../text/index.js';
import type { Metrics, Probed } from '../train/metrics.js';
import type { ModelWeights } from '../weights/weights.js';

type GenerateSection = NonNullable<Recipe['evaluate']['generate']>;

export interface GeneratedEvaluationOptions extends GenerateSection, Pick<PassOptions, 'signal' | 'world' | 'agree'> {
  /** Prompts as token ids; the first different ones are answered. */
  from: readonly Int32Array[];
  tokenizer: Tokenizer;
  stopTokens: readonly number[];
  seed: number;
  tokensPerMicroBatch: number;
}

/** Texts of an evaluation that are kept, and their code points: of a prompt the last ones, of an answer the first. */
const [fewestTexts, mostTexts] = [3, 6];
const [promptLength, completionLength] = [600, 1200];

/** A prompt and its answer in bounded length; `…` stands where something was cut off. */
export function keptText(prompt: string, completion: string): { prompt: string; completion: string } {
  const [read, written] = [[...prompt], [...completion]];
  return {
    prompt: read.length > promptLength ? `…${read.slice(-promptLength).join('')}` : prompt,
    completion: written.length > completionLength ? `${written.slice(0, completionLength).join('')}…` : completion,
  };
}

/** The models that the policy is compared with, by what metrics call them. */
export type Anchors = Readonly<Record<string, CausalLM | undefined>>;

/**
 * How the policy writes: answers at temperature 1 to a few prompts that it is not trained on, drawn with the same
 * random numbers each time, so that what changes is the policy.
 *
 * `kl/<anchor>` is KL(policy || anchor) of an answer in nats, the mean over answers of the sum of next-token
 * divergences, `kl/<anchor>_error` its standard error over prompts, `kl/<anchor>_token` the same per token.
 * `diversity/self_bleu` is on words over all answers, `diversity/self_bleu_prompt` over those to one prompt,
 * `diversity/distinct_1|2|3` the share of different n-grams; `length/mean|median` are in tokens, `length/ended` is the
 * share of answers that ended by themselves.
 */
export class GeneratedEvaluation {
  readonly #prompts: Int32Array[];

  constructor(private readonly options: GeneratedEvaluationOptions) {
    const different = new Map(options.from.filter(({ length }) => length > 0).map((ids) => [ids.join(), ids]));
    this.#prompts = [...different.values()].slice(0, options.prompts);
  }

  /** Whether anchors are asked for. */
  get needsAnchors(): boolean {
    return this.options.metrics.includes('kl');
  }

  /**
   * What is measured of the policy's answers, and a few of them, to the same prompts each time. Processes share the
   * batches of answers and the passes over them; each has the whole policy while it writes.
   */
  async measure(policy: ModelWeights, anchors: Anchors): Promise<Required<Probed>> {
    const { samples, maxNewTokens, stopTokens, seed, signal, world, agree, metrics } = this.options;
    const drawing = { samples, maxNewTokens, stopTokens, seed, signal, world, agree, temperature: 1 };
    const answers = await policy.gathered(() => generate(policy.model, this.#prompts, drawing));
    const measured = {
      ...(metrics.includes('kl') && (await this.#divergences(policy.model, anchors, answers))),
      ...(metrics.includes('diversity') && this.#diversity(answers)),
      ...(metrics.includes('length') && lengths(answers)),
    };
    return { metrics: measured, samples: this.#texts(answers) };
  }

  /** The first answer to each of a few prompts; where there are too few of these, further answers to them. */
  #texts(answers: readonly GeneratedCompletion[]): Required<Probed>['samples'] {
    const { samples, tokenizer } = this.options;
    const count = Math.min(answers.length, Math.max(fewestTexts, Math.min(this.#prompts.length, mostTexts)));
    return Array.from({ length: count }, (_, i) => {
      const [prompt, drawn] = [i % this.#prompts.length, Math.floor(i / this.#prompts.length)];
      const written = answers[prompt * samples + drawn]!;
      // What is special in an answer says something of the policy; in a prompt it would only be in the way.
      const asked = tokenizer.decode(this.#prompts[prompt]!, { skipSpecialTokens: true });
      return keptText(asked, tokenizer.decode(written.tokens));
    });
  }

  async #divergences(policy: CausalLM, anchors: Anchors, answers: readonly GeneratedCompletion[]): Promise<Metrics> {
    const { samples, tokensPerMicroBatch, signal, world, agree } = this.options;
    const groups = this.#prompts.map((prompt, i): Group => {
      return { prompt, completions: answers.slice(i * samples, (i + 1) * samples).map(drawnTokens) };
    });
    const found: Metrics = {};
    for (const [name, anchor] of Object.entries(anchors)) {
      if (anchor === undefined) continue;
      const passes = { tokensPerMicroBatch, signal, world, agree };
      const ofPrompts = await logRatios(policy, anchor, groups, { ...passes, exact: true });
      const clusters = ofPrompts.map((some) => ({
        sum: some.reduce((sum, { divergence }) => sum + divergence!, 0),
        count: some.length,
        tokens: some.reduce((sum, { tokens }) => sum + tokens, 0),
      }));
      const { estimate, standardError } = ratioEstimate(clusters);
      found[`kl/${name}`] = estimate;
      if (clusters.length > 1) found[`kl/${name}_error`] = standardError;
      found[`kl/${name}_token`] = ratioEstimate(clusters.map(({ sum, tokens: count }) => ({ sum, count }))).estimate;
    }
    return found;
  }

  #diversity(answers: readonly GeneratedCompletion[]): Metrics {
    const { samples, tokenizer } = this.options;
    const words = answers.map(({ tokens }) =>
      tokenizer
        .decode(tokens)
        .split(/\s+/)
        .filter((word) => word !== ''),
    );
    const found: Metrics = {};
    if (words.length > 1) found['diversity/self_bleu'] = mean(selfBleu(words));
    if (samples > 1) {
      const ofPrompts = this.#prompts.flatMap((_, i) => selfBleu(words.slice(i * samples, (i + 1) * samples)));
      found['diversity/self_bleu_prompt'] = mean(ofPrompts);
    }
    for (const n of [1, 2, 3]) {
      const share = distinct(words, n);
      if (!Number.isNaN(share)) found[`diversity/distinct_${n}`] = share;
    }
    return found;
  }
}

function lengths(answers: readonly GeneratedCompletion[]): Metrics {
  const tokens = answers.map(({ tokens: { length } }) => length);
  return {
    'length/mean': mean(tokens),
    'length/median': quantile(tokens, 0.5),
    'length/ended': mean(answers.map(({ finish }) => Number(finish === 'stop'))),
  };
}
