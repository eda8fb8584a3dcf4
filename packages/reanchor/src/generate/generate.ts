/** Sampling from a language model with a cache of keys and values. */
import { setImmediate } from 'node:timers/promises';
import { cat, noGrad, ProcessGroup, type Tensor, tidy } from '@reanchor/torch';
import { UserError } from '../errors.js';
import type { CausalLM } from '../models/causal-lm.js';
import { gather } from '../parallel/tell.js';
import { uniforms } from '../random.js';
import { KeyValueCache } from './key-value-cache.js';
import { continuedLogits, nextLogits, promptLogits } from './logits.js';
import type { PrefixCache } from './prefix-cache.js';
import { type SamplingOptions, sample } from './sample.js';
import { type GeneratedCompletion, Text, type TextOptions } from './text.js';

/** How completions are drawn. */
export interface GenerateOptions extends SamplingOptions, TextOptions {
  /** Completions of each prompt. Default: 1. */
  samples?: number | undefined;
  /** Every completion has random numbers of its own, from the seed, its prompt's place and its own. Default: 0. */
  seed?: number | undefined;
  /** Texts that are computed at once. Default: 32. */
  batchSize?: number | undefined;
  /** Whether a completion is wanted, by the places of its prompt and its own; the others are left out. Default: all. */
  isWanted?: ((prompt: number, sample: number) => boolean) | undefined;
  /** Hears every token of every completion as it is drawn. */
  onToken?: ((prompt: number, sample: number, token: number) => void) | undefined;
  /**
   * Hears every completion as it is finished, those of other processes when all have written a batch; the work waits
   * for it.
   */
  onCompletion?: ((completion: GeneratedCompletion) => void | Promise<void>) | undefined;
  /** Hears every step: how many completions are done, of how many, and the tokens of all so far. */
  onProgress?: ((progress: GenerateProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** Where one prompt with one completion finds what it has in common with the one before it, for the same model. */
  prefixCache?: PrefixCache | undefined;
  /**
   * The processes that share the work, each with the model and the same options; this one alone when left out. A batch
   * is written by one of them, and when one is asked to stop all do.
   */
  world?: ProcessGroup | undefined;
  /** Called after each batch, by all processes equally often: where they agree whether to stop. */
  agree?: (() => void) | undefined;
}

/** How far generating is: completions done, of so many, and their tokens. */
export interface GenerateProgress {
  done: number;
  of: number;
  tokens: number;
}

/** A completion with the token that ended it, which was drawn as well. */
export function drawnTokens({ tokens, stopToken }: Pick<GeneratedCompletion, 'tokens' | 'stopToken'>): Int32Array {
  return stopToken === undefined ? tokens : Int32Array.of(...tokens, stopToken);
}

/**
 * Completions of prompts of token ids, in the order of prompts, then samples. What a text becomes does not depend on
 * those it is computed with, but for rounding; batches are the same however many processes share them, and so are the
 * bits. All processes return all completions. Errors: UserError for an empty prompt, a token that the model does not
 * have, and logits that are not numbers; RangeError for options out of range; the signal's reason once it is aborted,
 * UserError where that of another process is; DistributedError.
 */
export async function generate(
  model: CausalLM,
  prompts: readonly Int32Array[],
  options: GenerateOptions,
): Promise<GeneratedCompletion[]> {
  requireOptions(options);
  requirePrompts(prompts, model);
  const { samples = 1, batchSize = 32, seed = 0, isWanted = () => true } = options;
  const texts = prompts.flatMap((ids, prompt) =>
    Array.from({ length: samples }, (_, sample) => sample)
      .filter((sample) => isWanted(prompt, sample))
      .map((sample) => new Text(prompt, sample, ids, uniforms(seed, generateKey, prompt, sample), options)),
  );
  if (options.prefixCache && texts.length !== 1)
    throw new RangeError(`prefixCache serves one completion at a time, and ${texts.length} are asked for`);
  const decoder = new Decoder(model, options, texts.length);
  // Prompts of like length waste little of the cache on one another.
  const order = [...texts].sort((a, b) => a.ids.length - b.ids.length);
  const batches = Array.from({ length: Math.ceil(order.length / batchSize) }, (_, i) =>
    order.slice(i * batchSize, (i + 1) * batchSize),
  );
  const { world = ProcessGroup.alone() } = options;
  const elsewhere = new Map<string, GeneratedCompletion>();
  for (let first = 0; first < batches.length; first += world.world) {
    const others = await decoder.round(batches.slice(first, first + world.world), world);
    for (const completion of others) elsewhere.set(placeOf(completion), completion);
  }
  return texts.map((text) => elsewhere.get(placeOf(text)) ?? text.completion());
}

const placeOf = ({ prompt, sample }: Pick<GeneratedCompletion, 'prompt' | 'sample'>) => `${prompt} ${sample}`;

const generateKey = 5;

/** Milliseconds for which the event loop does not turn at most, a step of the model apart. */
const turnMs = 10;

/** Tokens of prompts that are computed at once, a prompt at least: what they need is freed before the next. */
const promptTokens = 8192;

/** Draws the tokens of batches of texts, and tells how far it is over all of them. */
class Decoder {
  #done = 0;
  #tokens = 0;
  #turnedAt = performance.now();

  constructor(
    readonly model: CausalLM,
    readonly options: GenerateOptions,
    readonly count: number,
  ) {}

  /** Writes batches, one on each process; returns what the others have written. Errors: those of {@link generate}. */
  async round(batches: readonly Text[][], world: ProcessGroup): Promise<GeneratedCompletion[]> {
    const { onCompletion, onProgress, signal } = this.options;
    const own = batches[world.rank] ?? [];
    if (world.world === 1) {
      await this.complete(own);
      return [];
    }
    await this.complete(own).catch((error) => {
      if (!signal?.aborted || error !== signal.reason) throw error;
    });
    this.options.agree?.();
    // What was finished before a stop is not lost, on whatever process.
    const finished = own.filter(({ finish }) => finish !== undefined).map((text) => text.completion());
    const written = finished.map(({ tokens, ...rest }) => ({ ...rest, tokens: [...tokens] }));
    const all = gather(world, { written, isStopped: signal?.aborted === true });
    const others = all
      .filter((_, rank) => rank !== world.rank)
      .flatMap(({ written: theirs }) => theirs.map((one) => ({ ...one, tokens: Int32Array.from(one.tokens) })));
    for (const completion of others) {
      this.#done += 1;
      this.#tokens += completion.tokens.length;
      await onCompletion?.(completion);
    }
    onProgress?.({ done: this.#done, of: this.count, tokens: this.#tokens });
    // A signal that came while the event loop stood still is heard in the next turns.
    await setImmediate();
    await setImmediate();
    if (all.some(({ isStopped }) => isStopped)) {
      throw signal?.aborted ? signal.reason : new UserError('another process of the work was asked to stop');
    }
    return others;
  }

  /** Writes these texts to their ends, all at once. */
  private async complete(texts: readonly Text[]): Promise<void> {
    const { options } = this;
    if (texts.length === 0) return;
    const kept = options.prefixCache?.begin(texts[0]!.ids);
    using own = kept ? undefined : new KeyValueCache(texts.map(({ ids }) => ids.length));
    const cache = kept?.cache ?? own!;
    let live = texts;
    let logits = kept ? await this.#continue(texts[0]!, kept) : await this.#begin(texts, cache);
    for (;;) {
      const uniforms = live.map(({ uniform }) => uniform);
      const drawn = tidy(() => noGrad(() => sample(logits, options, uniforms)));
      logits.dispose();
      for (const [b, text] of live.entries()) {
        const token = drawn.tokens[b]!;
        if (!text.add(token, drawn.logprobs[b]!)) continue;
        this.#tokens += 1;
        options.onToken?.(text.prompt, text.sample, token);
      }
      const unfinished = [...live.keys()].filter((b) => live[b]!.finish === undefined);
      if (unfinished.length < live.length) {
        for (const text of live.filter(({ finish }) => finish !== undefined)) {
          this.#done += 1;
          await options.onCompletion?.(text.completion());
        }
        if (unfinished.length > 0) cache.select(unfinished);
        live = unfinished.map((b) => live[b]!);
      }
      options.onProgress?.({ done: this.#done, of: this.count, tokens: this.#tokens });
      await this.#turn();
      if (live.length === 0) return;
      const inputs = live.map(({ tokens }) => tokens.at(-1)!);
      const positions = live.map(({ position }) => position);
      cache.advance();
      logits = tidy(() => noGrad(() => nextLogits(this.model, inputs, positions, cache)));
      options.prefixCache?.add(inputs);
    }
  }

  /** The logits after the prompt of one text, a part of which may be in the cache. */
  async #continue(text: Text, { cache, past }: ReturnType<PrefixCache['begin']>): Promise<Tensor> {
    const rest = text.ids.subarray(past);
    await this.#turn();
    const logits =
      past === 0
        ? await this.#begin([text], cache)
        : tidy(() => noGrad(() => continuedLogits(this.model, rest, cache)));
    this.options.prefixCache!.add(rest);
    return logits;
  }

  /** The logits after the prompts, which are computed a part at a time. */
  async #begin(texts: readonly Text[], cache: KeyValueCache): Promise<Tensor> {
    const parts: Tensor[] = [];
    try {
      for (const part of partsOf(texts)) {
        await this.#turn();
        const prompts = part.map(({ ids }) => ids);
        parts.push(tidy(() => noGrad(() => promptLogits(this.model, prompts, cache))));
      }
      return tidy(() => cat(parts, 0));
    } finally {
      for (const part of parts) part.dispose();
    }
  }

  /** Lets the event loop turn now and then, which is when an abort is heard of. */
  async #turn(): Promise<void> {
    if (performance.now() - this.#turnedAt >= turnMs) {
      await setImmediate();
      this.#turnedAt = performance.now();
    }
    this.options.signal?.throwIfAborted();
  }
}

/** The texts in parts whose prompts have so many tokens, each counted once where texts share it. */
function partsOf(texts: readonly Text[]): Text[][] {
  const parts: Text[][] = [];
  let room = 0;
  let last: Int32Array | undefined;
  for (const text of texts) {
    const more = text.ids === last ? 0 : text.ids.length;
    if (parts.length === 0 || more > room) {
      parts.push([]);
      room = promptTokens;
    }
    parts.at(-1)!.push(text);
    room -= more;
    last = text.ids;
  }
  return parts;
}

function requirePrompts(prompts: readonly Int32Array[], { head_VD }: CausalLM): void {
  const vocabulary = head_VD.shape[0]!;
  for (const [i, prompt] of prompts.entries()) {
    if (prompt.length === 0) throw new UserError(`prompt ${i} has no token: begin it with the BOS token at least`);
    const foreign = prompt.find((id) => id < 0 || id >= vocabulary);
    if (foreign !== undefined)
      throw new UserError(`prompt ${i} has token ${foreign}; the model knows 0 to ${vocabulary - 1}`);
  }
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
  if (rest.stopStrings?.includes('')) throw new RangeError('a stop string is empty: it would end every text at once');
}
