// Sampling from a language model with a cache of keys and values.
// Shapes: B texts, N packed tokens, D width, V vocabulary.
import { setImmediate } from 'node:timers/promises';
import { decodeLinear, noGrad, type Tensor, tensor, tidy } from '@reanchor/torch';
import { uniforms } from '../data/index.js';
import { UserError } from '../errors.js';
import type { CausalLM } from '../models/causal-lm.js';
import { spanAttention } from '../nn/attention.js';
import { decoding } from '../nn/decoding.js';
import type { TokenBatch } from '../nn/spans.js';
import { KeyValueCache, type PromptSpan } from './key-value-cache.js';
import { type SamplingOptions, sample } from './sample.js';

export interface GenerateOptions extends SamplingOptions {
  maxNewTokens: number;
  /** Tokens that end a text; they are not part of the completion. */
  stopTokens?: readonly number[] | undefined;
  /** Strings that end a text, cut off from it; with `decode`, which turns a completion's tokens into text. */
  stopStrings?: readonly string[] | undefined;
  decode?: ((tokens: readonly number[]) => string) | undefined;
  /** Completions of each prompt. Default: 1. */
  samples?: number | undefined;
  /** Every completion has random numbers of its own, from the seed, its prompt's place and its own. Default: 0. */
  seed?: number | undefined;
  /** Texts that are computed at once. Default: 32. */
  batchSize?: number | undefined;
  /** Hears every token of every completion as it is drawn. */
  onToken?: ((prompt: number, sample: number, token: number) => void) | undefined;
  /** Hears how many completions are done. */
  onProgress?: ((done: number, of: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export interface GeneratedCompletion {
  /** The place of its prompt, and its own among the prompt's completions, from 0. */
  prompt: number;
  sample: number;
  /** Without the token that ended it. */
  tokens: Int32Array;
  /** log p of each token under the model, whatever the sampling options. */
  logprobs: number[];
  /** A stop token or string, or maxNewTokens. */
  finish: 'stop' | 'length';
  /** The text without a stop string and what follows it; where `decode` is given. */
  text: string | undefined;
}

/**
 * Completions of prompts of token ids, in the order of prompts, then samples. What a text becomes does not depend on
 * those it is computed with, but for rounding. Errors: UserError for an empty prompt or a token that the model does not
 * have; RangeError for options out of range; the signal's reason once it is aborted.
 */
export async function generate(
  model: CausalLM,
  prompts: readonly Int32Array[],
  options: GenerateOptions,
): Promise<GeneratedCompletion[]> {
  requireOptions(options);
  const [vocabulary] = model.head_VD.shape as [number, number];
  for (const [i, prompt] of prompts.entries()) {
    if (prompt.length === 0) throw new UserError(`prompt ${i} has no token: begin it with the BOS token at least`);
    const foreign = prompt.find((id) => id < 0 || id >= vocabulary);
    if (foreign !== undefined)
      throw new UserError(`prompt ${i} has token ${foreign}; the model knows 0 to ${vocabulary - 1}`);
  }
  const { samples = 1, batchSize = 32, seed = 0, onProgress, signal } = options;
  const texts = prompts.flatMap((ids, prompt) =>
    Array.from(
      { length: samples },
      (_, sample) => new Text(prompt, sample, ids, uniforms(seed, generateKey, prompt, sample)),
    ),
  );
  // Prompts of like length waste little of the cache on one another.
  const order = [...texts].sort((a, b) => a.ids.length - b.ids.length);
  for (let first = 0; first < order.length; first += batchSize) {
    await complete(model, order.slice(first, first + batchSize), options);
    onProgress?.(Math.min(first + batchSize, order.length), order.length);
    signal?.throwIfAborted();
  }
  return texts.map((text) => text.completion());
}

const generateKey = 5;

/** A text that is being written. */
class Text {
  readonly tokens: number[] = [];
  readonly logprobs: number[] = [];
  finish: 'stop' | 'length' | undefined;
  decoded: string | undefined;

  constructor(
    readonly prompt: number,
    readonly sample: number,
    readonly ids: Int32Array,
    readonly uniform: () => number,
  ) {}

  /** Takes the next token; the text may be finished by it. */
  add(token: number, logprob: number, options: GenerateOptions): void {
    if (options.stopTokens?.includes(token)) {
      this.finish = 'stop';
      return;
    }
    this.tokens.push(token);
    this.logprobs.push(logprob);
    options.onToken?.(this.prompt, this.sample, token);
    if (this.tokens.length >= options.maxNewTokens) this.finish = 'length';
    if (!options.decode) return;
    const isLast = this.finish !== undefined;
    if (!isLast && !options.stopStrings?.length) return;
    this.decoded = options.decode(this.tokens);
    const ends = (options.stopStrings ?? []).map((stop) => this.decoded!.indexOf(stop)).filter((end) => end !== -1);
    if (ends.length === 0) return;
    this.decoded = this.decoded.slice(0, Math.min(...ends));
    this.finish = 'stop';
  }

  close(options: GenerateOptions): void {
    if (options.decode && this.decoded === undefined) this.decoded = options.decode(this.tokens);
  }

  completion(): GeneratedCompletion {
    const { prompt, sample, logprobs, finish, decoded: text } = this;
    return { prompt, sample, tokens: Int32Array.from(this.tokens), logprobs, finish: finish!, text };
  }
}

/** Writes these texts to their ends, all at once. */
async function complete(model: CausalLM, texts: Text[], options: GenerateOptions): Promise<void> {
  const { spans, ids } = packed(texts);
  using cache = new KeyValueCache(spans);
  let live = texts;
  let logits = tidy(() => noGrad(() => promptLogits(model, ids, spans, cache)));
  for (;;) {
    const drawn = sample(
      logits,
      options,
      live.map(({ uniform }) => uniform),
    );
    logits.dispose();
    for (const [b, text] of live.entries()) text.add(drawn.tokens[b]!, drawn.logprobs[b]!, options);
    const kept = live.flatMap(({ finish }, b) => (finish === undefined ? [b] : []));
    if (kept.length < live.length) {
      if (kept.length > 0) cache.select(kept);
      live = kept.map((b) => live[b]!);
    }
    if (live.length === 0) break;
    await setImmediate();
    options.signal?.throwIfAborted();
    const inputs = live.map(({ tokens }) => tokens.at(-1)!);
    cache.advance();
    logits = tidy(() =>
      noGrad(() =>
        nextLogits(
          model,
          inputs,
          live.map(({ ids, tokens }) => ids.length + tokens.length - 1),
          cache,
        ),
      ),
    );
  }
  for (const text of texts) text.close(options);
}

/** The prompts one after the other, each once however many texts begin with it; and where each text's prompt lies. */
function packed(texts: readonly Text[]): { ids: Int32Array; spans: PromptSpan[] } {
  const starts = new Map<Int32Array, number>();
  let end = 0;
  for (const { ids } of texts) {
    if (starts.has(ids)) continue;
    starts.set(ids, end);
    end += ids.length;
  }
  const all = new Int32Array(end);
  for (const [ids, start] of starts) all.set(ids, start);
  return { ids: all, spans: texts.map(({ ids }) => ({ start: starts.get(ids)!, length: ids.length })) };
}

function promptLogits(model: CausalLM, ids: Int32Array, spans: readonly PromptSpan[], cache: KeyValueCache): Tensor {
  const groups = [...new Map(spans.map((span) => [span.start, span])).values()].map(({ start, length }) => ({
    start,
    prefix: length,
    completions: 0,
    mask: undefined,
  }));
  const positions = Int32Array.from(groups.flatMap(({ prefix }) => Array.from({ length: prefix }, (_, i) => i)));
  return logitsOf(model, {
    tokens_N: tensor(ids, { dtype: 'int64' }),
    positions_N: tensor(positions, { dtype: 'int64' }),
    longestPosition: Math.max(...positions),
    rows_M: tensor(
      Int32Array.from(spans, ({ start, length }) => start + length - 1),
      { dtype: 'int64' },
    ),
    attend(_layer, q_NHC, k_NKC, v_NKC) {
      cache.storePrompts(k_NKC, v_NKC);
      return spanAttention(q_NHC, k_NKC, v_NKC, groups);
    },
  });
}

function nextLogits(
  model: CausalLM,
  tokens: readonly number[],
  positions: readonly number[],
  cache: KeyValueCache,
): Tensor {
  const ids = (values: readonly number[]) => tensor(Int32Array.from(values), { dtype: 'int64' });
  const batch: TokenBatch = {
    tokens_N: ids(tokens),
    positions_N: ids(positions),
    longestPosition: Math.max(...positions),
    rows_M: ids(tokens.map((_, b) => b)),
    attend: (layer, q_BHC, k_BKC, v_BKC) => cache.attend(layer, q_BHC, k_BKC, v_BKC),
  };
  return hasKernels(model) ? decoding(() => logitsOf(model, batch)) : logitsOf(model, batch);
}

const hasKernels = ({ head_VD }: CausalLM) => head_VD.dtype === 'float32' && head_VD.device === 'cpu';

function logitsOf(model: CausalLM, batch: TokenBatch): Tensor {
  const hidden_BD = model.hidden(batch);
  return hasKernels(model) ? decodeLinear(hidden_BD, model.head_VD) : hidden_BD.matmul(model.head_VD.t());
}

function requireOptions({
  maxNewTokens,
  temperature,
  topK,
  topP,
  samples = 1,
  batchSize = 1,
  ...rest
}: GenerateOptions): void {
  const isCount = (value: number) => Number.isInteger(value) && value >= 1;
  const rules: [string, unknown, boolean, string][] = [
    ['maxNewTokens', maxNewTokens, isCount(maxNewTokens), 'whole numbers from 1'],
    ['temperature', temperature, temperature >= 0 && Number.isFinite(temperature), 'numbers from 0'],
    ['topK', topK, topK === undefined || isCount(topK), 'whole numbers from 1'],
    ['topP', topP, topP === undefined || (topP > 0 && topP <= 1), 'numbers above 0, to 1'],
    ['samples', samples, isCount(samples), 'whole numbers from 1'],
    ['batchSize', batchSize, isCount(batchSize), 'whole numbers from 1'],
  ];
  for (const [name, value, holds, allowed] of rules) {
    if (!holds) throw new RangeError(`${name} is ${value}; allowed: ${allowed}`);
  }
  if (rest.stopStrings?.length && !rest.decode) throw new RangeError('stopStrings need decode, to see the text');
}
