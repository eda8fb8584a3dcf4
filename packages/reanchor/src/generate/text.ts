/** What ends a text. */
export interface TextOptions {
  maxNewTokens: number;
  /** Tokens that end a text; they are not part of the completion. */
  stopTokens?: readonly number[] | undefined;
  /** Strings that end a text, cut off from it; with `decode`, which turns tokens of a completion of
   * a prompt into text. */
  stopStrings?: readonly string[] | undefined;
  decode?: ((tokens: readonly number[], prompt: number) => string) | undefined;
}

/** A completion as token ids. */
export interface GeneratedCompletion {
  /** The place of its prompt, and its own among the prompt's completions, from 0. */
  prompt: number;
  sample: number;
  /** Without the token that ended it, and without those that a stop string cut off. */
  tokens: Int32Array;
  /** log p of each token under the model, whatever the sampling options. */
  logprobs: number[];
  /** A stop token or string, or maxNewTokens. */
  finish: 'stop' | 'length';
  /** The stop token that ended it, where one did; it is part of what the model drew. */
  stopToken: number | undefined;
  /** The stop string that ended it, where one did; it is cut off. */
  stopString: string | undefined;
  /** The text without a stop string and what follows it; where `decode` is given. */
  text: string | undefined;
}

/** A completion that is being written. */
export class Text {
  readonly tokens: number[] = [];
  readonly logprobs: number[] = [];
  finish: 'stop' | 'length' | undefined;
  /** The token, or the string, that ended it. */
  stopToken: number | undefined;
  stopString: string | undefined;
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
    const [first] = stopStrings
      .map((stop) => ({ stop, place: text.indexOf(stop) }))
      .filter(({ place }) => place !== -1)
      .sort((a, b) => a.place - b.place);
    if (!first) return;
    this.#text = text.slice(0, first.place);
    this.finish = 'stop';
    this.stopString = first.stop;
  }

  /** The tokens that the text is made of: of those with a part of a stop string the ones that begin before it. */
  #kept(): number {
    const { decode } = this.options;
    let count = this.tokens.length;
    if (this.#text === undefined) return count;
    const isWhole = (tokens: number) => decode!(this.tokens.slice(0, tokens), this.prompt).startsWith(this.#text!);
    while (count > 0 && isWhole(count - 1)) count--;
    return count;
  }

  completion(): GeneratedCompletion {
    const { prompt, sample, finish, stopToken, stopString, options } = this;
    const kept = this.#kept();
    const tokens = Int32Array.from(this.tokens.slice(0, kept));
    const text = this.#text ?? options.decode?.(this.tokens, prompt);
    const logprobs = this.logprobs.slice(0, kept);
    return { prompt, sample, tokens, logprobs, finish: finish!, stopToken, stopString, text };
  }
}
