import { generate } from '../generate/index.js';
import type { CausalLM } from '../models/causal-lm.js';
import { scoreCompletions } from '../models/score-completions.js';
import { mean, sum } from '../stats/index.js';
import type { Gold } from '../sweep/index.js';
import type { Tokenizer } from '../text/index.js';

/** What a policy does on held-out prompts. */
export interface Measured {
  step: number;
  /** Mean gold reward of a completion, and its standard error. */
  gold: number;
  goldError: number;
  /** Monte Carlo estimate of KL(policy || SFT model) of a completion, nats, and its standard error. */
  kl: number;
  klError: number;
  /** Share of different bigrams among all of the samples. */
  distinct2: number;
  /** Perplexity of the samples under the SFT model, per token. */
  perplexity: number;
  /** The first completions, after their prompts. */
  samples: { prompt: string; completion: string }[];
}

export interface MeasureOptions {
  sft: CausalLM;
  tokenizer: Tokenizer;
  gold: Gold;
  prompts: readonly string[];
  maxNewTokens: number;
  seed: number;
  /** Samples to keep. */
  shown: number;
  signal?: AbortSignal | undefined;
}

/** Samples one completion of each prompt at temperature 1 and measures them. The same random numbers every time. */
export async function measure(policy: CausalLM, step: number, options: MeasureOptions): Promise<Measured> {
  const { sft, tokenizer, gold, prompts, maxNewTokens, seed, shown, signal } = options;
  const ids = prompts.map((prompt) => Int32Array.from(tokenizer.encode(prompt)));
  const stopTokens = tokenizer.eosId === undefined ? [] : [tokenizer.eosId];
  const texts = (
    await generate(policy, ids, { maxNewTokens, temperature: 1, seed, stopTokens, batchSize: 128, signal })
  ).filter(({ tokens }) => tokens.length > 0);
  const groups = texts.map(({ prompt, tokens }) => ({ prompt: ids[prompt]!, completions: [tokens] }));
  const scores = await scoreCompletions(sft, groups, { signal });
  const ratios = texts.map(({ logprobs }, i) => sum(logprobs) - scores[i]![0]!);
  const completions = texts.map(({ tokens }) => tokenizer.decode(tokens));
  const rewards = completions.map(gold);
  const bigrams = texts.flatMap(({ tokens }) => Array.from(tokens.subarray(1), (token, i) => `${tokens[i]} ${token}`));
  const tokens = sum(texts.map((text) => text.tokens.length));
  return {
    step,
    gold: mean(rewards),
    goldError: standardError(rewards),
    kl: mean(ratios),
    klError: standardError(ratios),
    distinct2: new Set(bigrams).size / Math.max(1, bigrams.length),
    perplexity: Math.exp(-sum(scores.map(([score]) => score!)) / tokens),
    samples: texts.slice(0, shown).map(({ prompt }, i) => ({ prompt: prompts[prompt]!, completion: completions[i]! })),
  };
}

function standardError(values: readonly number[]): number {
  const center = mean(values);
  return Math.sqrt(sum(values.map((value) => (value - center) ** 2)) / Math.max(1, values.length - 1) / values.length);
}
