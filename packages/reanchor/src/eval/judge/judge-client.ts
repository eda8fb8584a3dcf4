/** What a judge's model is asked through, wherever it runs. */
import type { Budget } from './budget.js';
import type { ChatReply, MalformedReply } from './chat-reply.js';

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

export interface ChatRequest {
  messages: readonly ChatMessage[];
  temperature: number;
  /** The longest answer, in tokens. */
  maxNewTokens: number;
  /** How many of the most probable tokens are wanted in each place, with log-probabilities; none when left out. */
  topLogprobs?: number | undefined;
  /** Asks the same again: another number is another request. */
  attempt?: number | undefined;
}

/** What was read of a reply, or why nothing was. */
export type Asked<T> = ({ value: T } | { unparsed: string }) & { reply?: ChatReply | undefined };

/** Reads a reply. */
export type Read<T> = (reply: ChatReply) => { value: T } | { unparsed: string };

/** A model that judges: it is asked once for every question, and its answers are kept. */
export interface JudgeClient extends AsyncDisposable {
  readonly model: string;
  /** Where it runs, without anything secret. */
  readonly server: string;
  /** Answers that are kept from earlier. */
  readonly kept: number;
  /** Calls and tokens of this run. */
  readonly budget: Budget;
  /** What `read` makes of the reply; see {@link askTwice}. */
  ask<T>(request: ChatRequest, read: Read<T>): Promise<Asked<T>>;
}

/**
 * What `read` makes of the reply. A reply that is malformed, or that `read` cannot read, is asked for once more; then
 * it stays unparsed.
 */
export async function askTwice<T>(
  complete: (request: ChatRequest) => Promise<ChatReply | MalformedReply>,
  request: ChatRequest,
  read: Read<T>,
): Promise<Asked<T>> {
  let outcome: Asked<T> = { unparsed: '' };
  for (const attempt of [0, 1]) {
    const reply = await complete({ ...request, attempt });
    outcome = 'malformed' in reply ? { unparsed: reply.malformed } : { ...read(reply), reply };
    if ('value' in outcome) break;
  }
  return outcome;
}
