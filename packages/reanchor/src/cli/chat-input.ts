/** Where the lines of a chat come from: a person at a terminal, or a pipe. */
import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';
import { UserError } from '../errors.js';

/** Lines one after the other, and the wish that an answer ends. */
export interface ChatInput extends Disposable {
  /** The next line; undefined when there are no more. */
  next(): Promise<string | undefined>;
  /** Does work that Ctrl-C stops: the signal is aborted. */
  stoppable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

/** What is read from, and where a terminal echoes it. */
export interface ChatStreams {
  stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  stderr: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
}

/** The input of a terminal, with a prompt and a history of lines; or of a pipe or a file, as it is. */
export function openInput(streams: ChatStreams): ChatInput {
  return streams.stdin.isTTY && streams.stderr.isTTY ? new TerminalInput(streams) : new PlainInput(streams.stdin);
}

/** Lines of a stream. They end at line feeds only: real texts hold U+2028. Ctrl-C ends the command. */
class PlainInput implements ChatInput {
  readonly #lines: AsyncGenerator<string>;

  constructor(stdin: NodeJS.ReadableStream) {
    this.#lines = linesOf(stdin.setEncoding('utf8'));
  }

  async next(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next();
    return done ? undefined : value;
  }

  stoppable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return work(new AbortController().signal);
  }

  [Symbol.dispose](): void {}
}

async function* linesOf(stream: NodeJS.ReadableStream): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    for (const line of lines) yield line.replace(/\r$/, '');
  }
  if (rest !== '') yield rest;
}

const promptText = '> ';

/**
 * Lines that somebody types. The terminal is read all the time, in raw mode, so that Ctrl-C is a key: it stops an
 * answer, and at the prompt it ends the chat. What is typed, or pasted, during an answer is not shown in the midst of
 * it, and is the next line.
 */
class TerminalInput implements ChatInput {
  readonly #reader: Interface;
  readonly #lines: { text: string; isShown: boolean }[] = [];
  #isMuted = true;
  #isOver = false;
  #stop: AbortController | undefined;
  #wake: () => void = () => {};

  constructor(private readonly streams: ChatStreams) {
    const { stdin, stderr } = streams;
    const output = new Writable({
      write: (chunk, _encoding, done) => {
        if (!this.#isMuted) stderr.write(chunk);
        done();
      },
    });
    // Lines wrap where the terminal ends.
    Object.defineProperty(output, 'columns', { get: () => stderr.columns });
    this.#reader = createInterface({ input: stdin, output, terminal: true, prompt: promptText });
    this.#reader.on('line', (text) => {
      this.#lines.push({ text, isShown: !this.#isMuted });
      this.#wake();
    });
    this.#reader.on('SIGINT', () => (this.#stop ? this.#stop.abort(new UserError('stopped')) : this.#reader.close()));
    this.#reader.on('close', () => {
      this.#isOver = true;
      this.#wake();
    });
  }

  async next(): Promise<string | undefined> {
    if (this.#lines.length === 0 && !this.#isOver) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#isMuted = false;
      this.#reader.prompt(true);
      await woken;
      this.#isMuted = true;
    }
    const line = this.#lines.shift();
    if (line === undefined) this.streams.stderr.write('\n');
    else if (!line.isShown) this.streams.stderr.write(`${promptText}${line.text}\n`);
    return line?.text;
  }

  async stoppable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    this.#stop = stop;
    try {
      return await work(stop.signal);
    } finally {
      this.#stop = undefined;
    }
  }

  [Symbol.dispose](): void {
    this.#reader.close();
  }
}
