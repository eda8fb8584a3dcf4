import type { GeneratedCompletion, GenerateOptions } from './generate.js';

/** What a text needs to know of the options. */
type TextOptions = Pick<GenerateOptions, 'maxNewTokens' | 'stopTokens' | 'stopStrings' | 'decode'>;

/** A completion that is being written. */
export class Text {
  readonly tokens: number[] = [];
  readonly logprobs: number[] = [];
  finish: 'stop' | 'length' | undefined;
  /** The token that ended it. */
  stopToken: number | undefined;
  #text: string | undefined;

  constructor(
    readonly prompt: number,
    readonly sample: number,
    readonly ids: Int32Array,
    readonly uniform: () => number,
    readonly options: TextOptions,
  ) {}

  /** The position of the last token. */
  get position(): number {
    return this.ids.length + this.tokens.length - 1;
  }

  /** Takes the next token, which may finish the text; returns whether it is part of it. */
  add(token: number, logprob: number): boolean {
    const { stopTokens, maxNewTokens } = this.options;
    if (stopTokens?.includes(token)) {
      this.finish = 'stop';
      this.stopToken = token;
      return false;
    }
    this.tokens.push(token);
    this.logprobs.push(logprob);
    if (this.tokens.length >= maxNewTokens) this.finish = 'length';
    this.#cut();
    return true;
  }

  /** Ends the text at the first stop string. */
  #cut(): void {
    const { stopStrings = [], decode } = this.options;
    if (!decode || stopStrings.length === 0) return;
    // A stop string that is new ends in the last token and a token is a byte at least, those without text apart.
    const reach = Math.max(...stopStrings.map((stop) => Buffer.byteLength(stop))) + 16;
    const end = decode(this.tokens.slice(-reach), this.prompt);
    if (!stopStrings.some((stop) => end.includes(stop))) return;
    const text = decode(this.tokens, this.prompt);
    const places = stopStrings.map((stop) => text.indexOf(stop)).filter((place) => place !== -1);
    if (places.length === 0) return;
    this.#text = text.slice(0, Math.min(...places));
    this.finish = 'stop';
  }

  completion(): GeneratedCompletion {
    const { prompt, sample, tokens, logprobs, finish, stopToken, options } = this;
    const text = this.#text ?? options.decode?.(tokens, prompt);
    return { prompt, sample, tokens: Int32Array.from(tokens), logprobs, finish: finish!, stopToken, text };
  }
}
