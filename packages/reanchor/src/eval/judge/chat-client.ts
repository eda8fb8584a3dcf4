/** Asking a model behind an OpenAI-compatible chat endpoint, with every answer kept. */
import { createHash } from 'node:crypto';
import { type Clock, systemClock, timeLimit } from '../../clock.js';
import { UserError } from '../../errors.js';
import { bytesAtMost } from '../../formats/index.js';
import { addressShown } from '../../secrets.js';
import { Budget } from './budget.js';
import { type ChatReply, type MalformedReply, readChatBody } from './chat-reply.js';
import { Gate } from './gate.js';
import { type Asked, askTwice, type ChatRequest, type JudgeClient, type Read } from './judge-client.js';
import { KeyGuard } from './key-guard.js';
import { type CacheEntry, ReplyCache } from './reply-cache.js';

/** The server that a {@link ChatClient} asks, and how. */
export interface ChatClientOptions {
  /** Such as https://api.example.org/v1; requests go to its /chat/completions. */
  baseUrl: string;
  model: string;
  /** Sent as a bearer token; never written anywhere. */
  apiKey?: string | undefined;
  /** The JSONL file of answers. */
  cacheFile: string;
  /** Requests under way at once; default 8. */
  concurrency?: number | undefined;
  /** Of one request, its answer included; default 120,000. Node itself gives up after 300,000 without a sign. */
  timeoutMs?: number | undefined;
  /** Further tries after a failure that may pass (429, 5xx, time-out, broken connection); default 6. */
  retries?: number | undefined;
  /** The first wait before a further try; it doubles each time, up to a minute. Default 1,000. */
  backoffMs?: number | undefined;
  maxCalls?: number | undefined;
  maxTokens?: number | undefined;
  /** Further fields of the request's body; null takes one out. */
  extra?: Readonly<Record<string, unknown>> | undefined;
  /** By which it waits; the system's when left out. */
  clock?: Clock | undefined;
}

interface Entry extends CacheEntry {
  reply: ChatReply | MalformedReply;
}

/** A failure that may pass, and the wait that the server asks for. */
interface Passing {
  what: string;
  waitMs: number;
}

const longestWaitMs = 60_000;
/** Bytes of a reply at most; one of 16,000 tokens with log-probabilities of twenty has a tenth. */
const mostBodyBytes = 1 << 26;
const longestRetryAfterMs = 600_000;

/**
 * Asks a model. Each answer goes into the cache file before it is returned, under the hash of server, model and
 * request; what is there is not asked again, by this run or a later one, nor is what is being asked. After an error
 * that ends the run, no further request is sent.
 *
 * Errors of {@link complete}: BudgetError; UserError for a server that refuses (key, model, request) or goes on
 * failing, and for a cache file that cannot be written. No message holds the key.
 */
export class ChatClient implements JudgeClient {
  /** Calls and tokens of this run. */
  readonly budget: Budget;
  readonly #options: ChatClientOptions;
  readonly #url: string;
  readonly #cache: ReplyCache<Entry>;
  readonly #gate: Gate;
  readonly #clock: Clock;
  readonly #guard: KeyGuard;
  readonly #underWay = new Map<string, Promise<ChatReply | MalformedReply>>();
  #failure: unknown;
  #hasAnswered: boolean;

  private constructor(options: ChatClientOptions, cache: ReplyCache<Entry>) {
    this.#options = options;
    this.#url = endpoint(options.baseUrl);
    this.#cache = cache;
    this.#hasAnswered = cache.size > 0;
    this.#clock = options.clock ?? systemClock;
    this.#gate = new Gate(options.concurrency ?? 8, this.#clock);
    this.#guard = new KeyGuard(options.apiKey);
    this.budget = new Budget(options.maxCalls, options.maxTokens);
  }

  /** Opens the cache. Errors: UserError for a URL, key or cache file that cannot be used. */
  static async open(options: ChatClientOptions): Promise<ChatClient> {
    endpoint(options.baseUrl);
    if (options.apiKey !== undefined && !/^[\x21-\x7e]+$/.test(options.apiKey)) {
      throw new UserError('the key for the judge has characters that no key has, such as a space or a line break');
    }
    return new ChatClient(options, await ReplyCache.open<Entry>(options.cacheFile));
  }

  get model(): string {
    return this.#options.model;
  }

  /** The server, without a path or anything secret. */
  get server(): string {
    return new URL(this.#url).origin;
  }

  /** Answers in the cache file. */
  get kept(): number {
    return this.#cache.size;
  }

  /** The reply to a request, kept or new; or what was wrong with the body, which is kept as well. */
  async complete(request: ChatRequest): Promise<ChatReply | MalformedReply> {
    const body = this.#body(request);
    const key = this.#key(body, request.attempt ?? 0);
    const kept = this.#cache.get(key);
    if (kept) return kept.reply;
    const underWay = this.#underWay.get(key);
    if (underWay) return underWay;
    const estimate = request.messages.reduce((sum, { content }) => sum + content.length, 0) / 3 + request.maxNewTokens;
    const asked = this.#gate.pass(async () => {
      try {
        const reply = await this.#ask(body, Math.ceil(estimate));
        await this.#cache.put({ key, reply });
        return reply;
      } catch (error) {
        // Before the next one passes, so that it is not sent.
        this.#failure ??= error;
        throw error;
      }
    });
    this.#underWay.set(key, asked);
    try {
      return await asked;
    } finally {
      this.#underWay.delete(key);
    }
  }

  /** What `read` makes of the reply; see {@link askTwice}. */
  ask<T>(request: ChatRequest, read: Read<T>): Promise<Asked<T>> {
    return askTwice((one) => this.complete(one), request, read);
  }

  /** Waits for the requests under way, whose answers are kept too, and closes the cache. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#failure ??= new UserError('the judge was closed');
    await Promise.allSettled(this.#underWay.values());
    await this.#cache.close();
  }

  /** One reply, over as many tries as it takes. */
  async #ask(body: string, estimate: number): Promise<ChatReply | MalformedReply> {
    const { retries = 6, backoffMs = 1000 } = this.#options;
    for (let attempt = 0; ; attempt++) {
      await this.#gate.calm();
      if (this.#failure) throw this.#failure;
      this.budget.reserve(estimate);
      const result = await this.#send(body, estimate);
      if (!('what' in result)) return result;
      if (attempt >= retries) {
        throw new UserError(
          `the judge at ${this.server} failed ${attempt + 1} times (${result.what}): what it has answered is kept; run the same command again to go on`,
        );
      }
      const backoff = Math.min(longestWaitMs, backoffMs * 2 ** attempt) * (0.75 + Math.random() / 2);
      if (result.waitMs > 0) this.#gate.holdFor(result.waitMs);
      else await this.#clock.sleep(backoff);
    }
  }

  /** Sends a request once. */
  async #send(body: string, estimate: number): Promise<ChatReply | MalformedReply | Passing> {
    const { apiKey, timeoutMs = 120_000 } = this.#options;
    // What a request has cost that was accepted and then broke off, nobody knows.
    let usedTokens: number | undefined;
    using limit = timeLimit(this.#clock, timeoutMs, new DOMException('no answer in time', 'TimeoutError'));
    try {
      const headers = {
        'content-type': 'application/json',
        ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
      };
      const { signal } = limit;
      const response = await fetch(this.#url, { method: 'POST', headers, body, signal, redirect: 'manual' });
      const bytes = await bytesAtMost(response.body, mostBodyBytes);
      if (bytes === undefined && response.ok) return { malformed: `the body has more than ${mostBodyBytes} bytes` };
      const text = bytes?.toString('utf8') ?? '';
      if (!response.ok) {
        usedTokens = 0;
        return this.#refusal(response, text);
      }
      const { reply, usedTokens: counted } = readChatBody(text);
      usedTokens = counted;
      if ('text' in reply) this.#hasAnswered = true;
      return this.#guard.reply(reply);
    } catch (error) {
      if (error instanceof UserError) throw error;
      // fetch gives TypeErrors for the network, whose causes say more, and a TimeoutError.
      const { name, message, cause } = error as Error & { cause?: { code?: string } };
      if (cause?.code === 'ECONNREFUSED' || cause?.code === 'ENOTFOUND') usedTokens = 0;
      const what = name === 'TimeoutError' ? `no answer in ${timeoutMs / 1000} s` : (cause?.code ?? message);
      return { what: this.#guard.hide(what), waitMs: 0 };
    } finally {
      this.budget.settle(estimate, usedTokens);
    }
  }

  /** What a status other than 2xx means: try again, leave this request, or stop. Errors: UserError. */
  #refusal({ status, headers }: Response, body: string): Passing | MalformedReply {
    if (status === 429 || status === 408 || status >= 500) {
      return { what: `status ${status}`, waitMs: retryAfterMs(headers.get('retry-after')) };
    }
    // A single request may be too long or be filtered; when nothing has been answered yet, it is rather the settings.
    if ([400, 413, 422].includes(status) && this.#hasAnswered) {
      return { malformed: `the server refused the request (status ${status})` };
    }
    const location = headers.get('location');
    const hint =
      status === 401 || status === 403
        ? 'check the key'
        : location !== null
          ? `it redirects to ${addressShown(location)}: give that address`
          : 'check the URL, the model and the settings';
    const words = this.#guard.hide(body).replace(/\s+/g, ' ').trim();
    const said = this.#guard.isDisguisedIn(words) ? 'the key, spelled in another way' : words.slice(0, 300);
    throw new UserError(
      `the judge at ${this.server} refused (status ${status}): ${this.#guard.hide(hint)}${said && `; it said: ${said}`}`,
    );
  }

  #body({ messages, temperature, maxNewTokens, topLogprobs }: ChatRequest): string {
    const fields: Record<string, unknown> = {
      model: this.#options.model,
      messages: messages.map(({ role, content }) => ({ role, content })),
      temperature,
      max_tokens: maxNewTokens,
      ...(topLogprobs !== undefined && { logprobs: true, top_logprobs: topLogprobs }),
      ...this.#options.extra,
    };
    return JSON.stringify(Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)));
  }

  #key(body: string, attempt: number): string {
    return createHash('sha256')
      .update(JSON.stringify([this.#url, body, attempt]))
      .digest('hex');
  }
}

function endpoint(baseUrl: string): string {
  const url = parsed(baseUrl);
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.username || url.password) {
    throw new UserError(
      'the judge needs a URL such as https://api.example.org/v1 or http://127.0.0.1:8000/v1, without user name and password',
    );
  }
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/chat/completions`;
  return url.href;
}

function parsed(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** Milliseconds of a Retry-After header, seconds or a date; 0 without a sensible one. */
function retryAfterMs(header: string | null): number {
  if (header === null) return 0;
  const ms = /^\d+(\.\d+)?$/.test(header.trim()) ? 1000 * Number(header) : Date.parse(header) - Date.now();
  return ms > 0 ? Math.min(ms, longestRetryAfterMs) : 0;
}
