/** A judge's model in a GGUF file, run by node-llama-cpp: the only file that knows it. */
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import type { LlamaContextSequence, LlamaModel } from 'node-llama-cpp';
import { UserError, unreadable } from '../../errors.js';
import { createReadStream } from '../../formats/index.js';
import { Budget } from './budget.js';
import type { ChatReply, MalformedReply } from './chat-reply.js';
import { Gate } from './gate.js';
import { type Asked, askTwice, type ChatRequest, type JudgeClient, type Read } from './judge-client.js';
import { type CacheEntry, ReplyCache } from './reply-cache.js';

/** The model that a {@link LocalChat} runs. */
export interface LocalChatOptions {
  /** The GGUF file. */
  file: string;
  /** The JSONL file of answers. */
  cacheFile: string;
}

interface Entry extends CacheEntry {
  reply: ChatReply | MalformedReply;
}

interface Loaded {
  llama: { dispose(): Promise<void> };
  session: typeof import('node-llama-cpp').LlamaChatSession;
  model: LlamaModel;
  sequence: LlamaContextSequence;
  contextSize: number;
}

const version = '3.22.1';

/**
 * Asks a model in a file, one request after the other, by the chat template that the file holds. Each answer goes into
 * the cache file before it is returned, under the SHA-256 of the model file and the request; what is there is not asked
 * again, and the model is loaded for the first question that is not. It gives no log-probabilities.
 *
 * Errors of {@link complete}: UserError for a missing package, and for a file that is no model.
 */
export class LocalChat implements JudgeClient {
  readonly budget = new Budget(undefined, undefined);
  readonly server = 'this machine';
  readonly #gate = new Gate(1);
  #loaded: Promise<Loaded> | undefined;

  private constructor(
    readonly model: string,
    private readonly hash: string,
    private readonly cache: ReplyCache<Entry>,
  ) {}

  /** Errors: UserError for a file that cannot be read, that is no GGUF, or a cache file that cannot be used. */
  static async open({ file, cacheFile }: LocalChatOptions): Promise<LocalChat> {
    return new LocalChat(file, await hashOf(file), await ReplyCache.open<Entry>(cacheFile));
  }

  get kept(): number {
    return this.cache.size;
  }

  /** The reply to a request, kept or new; malformed where it does not fit in the model's context. */
  complete(request: ChatRequest): Promise<ChatReply | MalformedReply> {
    const { messages, temperature, maxNewTokens, attempt = 0 } = request;
    const asked = JSON.stringify([this.hash, messages, temperature, maxNewTokens, attempt]);
    const key = createHash('sha256').update(asked).digest('hex');
    return this.#gate.pass(async () => {
      const kept = this.cache.get(key);
      if (kept) return kept.reply;
      this.#loaded ??= load(this.model);
      const reply = await this.#answer(await this.#loaded, request);
      await this.cache.put({ key, reply });
      return reply;
    });
  }

  /** What `read` makes of the reply; see {@link askTwice}. */
  ask<T>(request: ChatRequest, read: Read<T>): Promise<Asked<T>> {
    return askTwice((one) => this.complete(one), request, read);
  }

  async #answer(
    { session: Session, model, sequence, contextSize }: Loaded,
    { messages, temperature, maxNewTokens, attempt = 0 }: ChatRequest,
  ): Promise<ChatReply | MalformedReply> {
    const systemPrompt = messages.filter(({ role }) => role === 'system').map(({ content }) => content);
    const said = messages.filter(({ role }) => role !== 'system').map(({ content }) => content);
    const tokens = [...systemPrompt, ...said].reduce((sum, text) => sum + model.tokenize(text).length, 0);
    // The library would leave out the beginning.
    if (tokens + maxNewTokens > contextSize) {
      return {
        malformed: `${tokens} tokens and ${maxNewTokens} to be written do not fit in a context of ${contextSize}`,
      };
    }
    this.budget.reserve(tokens + maxNewTokens);
    const session = new Session({
      contextSequence: sequence,
      autoDisposeSequence: false,
      ...(systemPrompt.length > 0 && { systemPrompt: systemPrompt.join('\n\n') }),
    });
    try {
      const options = { maxTokens: maxNewTokens, temperature, seed: 1 + attempt };
      const { responseText, stopReason } = await session.promptWithMeta(said.join('\n\n'), options);
      this.budget.settle(tokens + maxNewTokens, tokens + model.tokenize(responseText).length);
      return { text: responseText, finish: stopReason === 'maxTokens' ? 'length' : 'stop', model: this.model };
    } finally {
      session.dispose();
      await sequence.clearHistory();
    }
  }

  /** Waits for the request under way, and frees the model. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#gate.pass(async () => {});
    await this.cache.close();
    const loaded = await this.#loaded?.catch(() => undefined);
    await loaded?.llama.dispose();
  }
}

async function load(file: string): Promise<Loaded> {
  let library: typeof import('node-llama-cpp');
  try {
    library = await import('node-llama-cpp');
  } catch (cause) {
    throw new UserError(
      (option) =>
        `a judge in a GGUF file needs the package node-llama-cpp (725 MB): npm install node-llama-cpp@${version}, or run the model behind ${option('baseUrl')}`,
      { cause },
    );
  }
  try {
    const llama = await library.getLlama({ gpu: 'auto', build: 'never', logLevel: 'error' });
    const model = await llama.loadModel({ modelPath: resolve(file) });
    const context = await model.createContext({});
    const { contextSize } = context;
    return { llama, session: library.LlamaChatSession, model, sequence: context.getSequence(), contextSize };
  } catch (cause) {
    throw new UserError(`${file} cannot be loaded by node-llama-cpp: ${(cause as Error).message}`, { cause });
  }
}

/** The SHA-256 of a GGUF file. Errors: UserError for one that cannot be read, or is none. */
async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  let isFirst = true;
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      if (isFirst && chunk.subarray(0, 4).toString('latin1') !== 'GGUF') {
        throw new UserError(`${file} is no GGUF file: it does not begin with GGUF`);
      }
      isFirst = false;
      hash.update(chunk);
    }
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`${unreadable(file, cause)}: name a GGUF file`, { cause });
  }
  if (isFirst) throw new UserError(`${file} is empty: name a GGUF file`);
  return hash.digest('hex');
}
