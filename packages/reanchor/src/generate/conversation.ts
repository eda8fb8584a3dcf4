/** A conversation with a model, turn by turn. */
import { UserError } from '../errors.js';
import { positionsOf } from '../models/positions.js';
import type { Message } from '../text/index.js';
import { PrefixCache } from './prefix-cache.js';
import { streamText } from './stream-text.js';
import type { CompleteOptions, Prompt, TextGenerator } from './text-generator.js';

/** What was said to the model, and what it has said. */
interface Turn {
  question: string;
  answer: string;
}

/** What a conversation is made of. */
export interface ConversationOptions {
  /**
   * Whether there are no messages but one text, which the model goes on with: a line of the user's, what the model
   * wrote after it, the next line. Default: whether the model has no chat template.
   */
  isPlain?: boolean | undefined;
}

/** How an answer is drawn, and who hears of it. */
export interface AnswerOptions extends Omit<CompleteOptions, 'samples' | 'prefixCache'> {
  /** Hears each piece of the answer as it is written. */
  onText: (piece: string) => void;
}

/** What the model has said. */
export interface Answer {
  text: string;
  /** `stopped` by the signal. */
  finish: 'stop' | 'length' | 'stopped';
  /** The tokens that it might have had: maxNewTokens, or fewer where the model was made for no more. */
  limit: number;
}

/**
 * What a model answers to turns, each with all turns before it: what `generate` writes to the same messages with the
 * same seed, but for rounding. What the turns have in common is computed once ({@link PrefixCache}). The conversation
 * does not own its model.
 */
export class Conversation implements Disposable {
  readonly isPlain: boolean;
  readonly #prefixCache = new PrefixCache();
  #turns: Turn[] = [];
  #system: string | undefined;
  /** How many of the oldest turns the model no longer sees. */
  #leftOut = 0;

  constructor(
    readonly generator: TextGenerator,
    { isPlain = !generator.answersChats }: ConversationOptions = {},
  ) {
    this.isPlain = isPlain;
  }

  /** The conversation as a row that can be trained on: its messages, or its text where it is plain. */
  get row(): { messages: Message[] } | { text: string } {
    const prompt = this.#prompt(this.#turns);
    return typeof prompt === 'string' ? { text: prompt } : { messages: prompt };
  }

  get turns(): number {
    return this.#turns.length;
  }

  /** Forgets all turns; the system message stays. */
  reset(): void {
    this.#turns = [];
    this.#leftOut = 0;
  }

  /** Forgets the last turn. Errors: UserError where there is none. */
  undo(): void {
    if (this.#turns.pop() === undefined) throw new UserError('there is no turn to take back');
  }

  /**
   * Puts a system message in front of all turns, in place of the one before it; '' takes it away. Errors: UserError
   * where there is no template for one, or one that does not write it.
   */
  setSystem(text: string): void {
    if (this.isPlain)
      throw new UserError(
        'without a chat template a conversation is one text, which has no place for a system message: choose a template',
      );
    const question = { role: 'user', content: 'x' };
    const ids = (system: Message[]) => this.generator.encode([...system, question]).join();
    if (text !== '' && ids([{ role: 'system', content: text }]) === ids([]))
      throw new UserError('the chat template writes no system messages: name another template');
    this.#system = text === '' ? undefined : text;
  }

  /**
   * The answer to a question, which is a turn from then on, also where the signal stops it after its first piece. Where
   * the conversation has become longer than the model was made for, the oldest turns are left out of what it sees, and
   * `onNote` is told. Errors: UserError for a question that is too long by itself; those of `complete`, after which the
   * conversation is what it was before.
   */
  async ask(question: string, { onText, ...options }: AnswerOptions): Promise<Answer> {
    const { prompt, limit } = this.#fitted(question, options);
    let text = '';
    const write = (piece: string) => {
      text += piece;
      onText(piece);
    };
    const given = { ...options, maxNewTokens: limit, prefixCache: this.#prefixCache };
    try {
      const completion = await streamText(this.generator, prompt, given, write);
      this.#turns.push({ question, answer: completion.text });
      return { text: completion.text, finish: completion.finish, limit };
    } catch (error) {
      if (!options.signal?.aborted || error !== options.signal.reason) throw error;
      if (text !== '') this.#turns.push({ question, answer: text });
      return { text, finish: 'stopped', limit };
    }
  }

  /** What the model is asked: all turns, or as many of the newest as leave room for the answer. */
  #fitted(
    question: string,
    { maxNewTokens, onNote }: Omit<AnswerOptions, 'onText'>,
  ): { prompt: Prompt; limit: number } {
    const positions = positionsOf(this.generator.model);
    const room = Math.min(maxNewTokens, Math.floor(positions / 2));
    for (let leftOut = 0; ; leftOut++) {
      const prompt = this.#prompt(this.#turns.slice(leftOut), question);
      const { length } = this.generator.encode(prompt);
      const isAlone = leftOut === this.#turns.length;
      if (length + room > positions && !isAlone) continue;
      if (length >= positions) {
        throw new UserError(
          `this has ${length} tokens by itself, and the model was made for ${positions} with its answer (max_position_embeddings): shorten it`,
        );
      }
      if (leftOut > 0 && leftOut !== this.#leftOut) onNote?.(leftOutNote(leftOut, positions, this.#system));
      this.#leftOut = leftOut;
      return { prompt, limit: Math.min(maxNewTokens, positions - length) };
    }
  }

  /** Turns, and what is said to the model after them. */
  #prompt(turns: readonly Turn[], question?: string): string | Message[] {
    const last = question === undefined ? [] : [question];
    if (this.isPlain) return [...turns.map((turn) => turn.question + turn.answer), ...last].join('\n');
    return [
      ...(this.#system === undefined ? [] : [{ role: 'system', content: this.#system }]),
      ...turns.flatMap((turn) => [
        { role: 'user', content: turn.question },
        { role: 'assistant', content: turn.answer },
      ]),
      ...last.map((content) => ({ role: 'user', content })),
    ];
  }

  [Symbol.dispose](): void {
    this.#prefixCache[Symbol.dispose]();
  }
}

function leftOutNote(turns: number, positions: number, system: string | undefined): string {
  const [which, stays] =
    turns === 1 ? ['the oldest turn is', 'it stays'] : [`the oldest ${turns} turns are`, 'they stay'];
  const kept = system === undefined ? '' : ', the system message is not';
  return `the conversation is too long for the ${positions} tokens that the model was made for: ${which} left out of what it sees${kept}; ${stays} in what is saved`;
}
