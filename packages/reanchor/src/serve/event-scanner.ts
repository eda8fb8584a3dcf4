/**
 * Reads the lines of events.jsonl from bytes, several times as fast as JSON.parse: a run of a million steps has half a
 * gigabyte of them. Lines of steps, evaluations and reference updates are read here as {@link encodeEvent} writes them;
 * every other line, and one of these in any other form, goes through JSON.parse and the schema of events.
 *
 * Numbers are read to 15 digits.
 */
import { eventSchema, type RunEvent } from '../runs/index.js';

/** What hears the events of a file, in order. Offsets are bytes in the file; `metric` is a place in the names. */
export interface ScanSink {
  /** A step or an evaluation begins; true if its metrics are wanted. */
  begin(type: 'step' | 'evaluation', step: number, begin: number, end: number): boolean;
  metric(metric: number, value: number): void;
  reference(update: ReferenceLine, begin: number, end: number): void;
  /** Any other event. */
  event(event: RunEvent): void;
  /** A line that is no event. */
  bad(begin: number): void;
}

export interface ReferenceLine {
  step: number;
  version: number;
  share: number;
  update: string;
  /** NaN where there is none. */
  distanceBefore: number;
  distanceAfter: number;
}

/** Bytes to compare with, four at a time. */
interface Literal {
  words: Int32Array;
  /** The bytes after the last whole word. */
  rest: Uint8Array;
  length: number;
}

function literal(bytes: Uint8Array): Literal {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const words = Int32Array.from({ length: bytes.length >> 2 }, (_, i) => view.getInt32(4 * i, true));
  return { words, rest: bytes.slice(4 * words.length), length: bytes.length };
}

const ascii = (text: string) => literal(Uint8Array.from(Buffer.from(text, 'latin1')));
/** Bytes that may be looked at beyond the end of a line. */
const lookahead = 16;
const head = ascii('{"time":"');
/** Where the type begins: after a time of 24 characters, `2026-01-02T03:04:05.678Z`. */
const typeAt = head.length + 24 + '","type":"'.length;
const typeKey = ascii('","type":"');
const stepType = ascii('step","step":');
const evaluationType = ascii('evaluation","step":');
const referenceType = ascii('reference","step":');
/** The first four bytes of types, as the view gives them. */
const typeStart = (type: string) => Buffer.from(type).readInt32LE();
const [stepStart, referenceStart] = [typeStart('step'), typeStart('reference')];
/** Events of which there may be very many, or very long ones, and which say nothing of how a run stands. */
const textStarts = [typeStart('samples'), typeStart('skipped')];
const epochKey = ascii(',"epoch":');
const metricsKey = ascii(',"metrics":{');
const versionKey = ascii(',"version":');
const updateKey = ascii(',"update":"');
const shareKey = ascii('","share":');
const beforeKey = ascii(',"distanceBefore":');
const afterKey = ascii(',"distanceAfter":');
const powers = Float64Array.from({ length: 23 }, (_, i) => 10 ** i);

export class EventScanner {
  /** Names of the metrics that were found, in the order of their first appearance. */
  readonly names: string[] = [];
  /** The time of the last event; '' before the first. */
  time = '';
  /**
   * Bytes from one line of a step that is read to the next, likewise of a reference update; those between are passed
   * over, and so are samples and skipped rows. All other events are read, and the newest step of every call. At 0 all
   * are.
   */
  stride = 0;
  /** Where in the file the last line of a step, and of an update, that was read begins. */
  readonly #readAt = new Map<number, number>();
  readonly #keys: Literal[] = [];
  readonly #ids = new Map<string, number>();
  /** Which metric followed each one the last time (the first one at place 0): it will follow again. */
  readonly #next: number[] = [-1];
  #bytes: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  /** Metrics of the line at hand: a line is handed over only when all of it was understood. */
  readonly #lineMetrics = new Int32Array(4096);
  readonly #lineValues = new Float64Array(4096);
  #lineCount = 0;

  /**
   * Reads whole lines; returns how many bytes they were, the rest being a line that is not whole yet. `offset` is where
   * in the file the bytes begin.
   */
  scan(bytes: Buffer, offset: number, sink: ScanSink): number {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let start = 0;
    let timeAt = -1;
    let passed: [start: number, end: number] | undefined;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      const type = this.stride > 0 && end - start > typeAt + 4 ? this.#view.getInt32(start + typeAt, true) : 0;
      if (type !== 0 && this.#isPassed(type, offset + start)) {
        timeAt = start + head.length;
        if (type === stepStart) passed = [start, end];
      } else {
        if (type === stepStart) passed = undefined;
        timeAt = this.#read(start, end, offset, sink) ? start + head.length : -1;
      }
      start = end + 1;
    }
    if (timeAt >= 0) this.time = bytes.toString('latin1', timeAt, timeAt + 24);
    if (passed) this.#readNewest(...passed, offset, sink);
    return start;
  }

  /** Whether a line is passed over, by the first bytes of its type and where it begins in the file. */
  #isPassed(type: number, begin: number): boolean {
    if (textStarts.includes(type)) return true;
    if (type !== stepStart && type !== referenceStart) return false;
    const before = this.#readAt.get(type);
    if (before !== undefined && begin - before < this.stride) return true;
    this.#readAt.set(type, begin);
    return false;
  }

  /** Reads a line; whether it is in the usual form, so that its time stands in its place. */
  #read(start: number, end: number, offset: number, sink: ScanSink): boolean {
    if (end - start > typeAt && end + lookahead <= this.#bytes.length && this.#line(start, offset, sink)) return true;
    if (end > start) this.#slowLine(this.#bytes.subarray(start, end), offset + start, offset + end + 1, sink);
    return false;
  }

  /** Reads a step that was passed over; what came after it is not undone by it. */
  #readNewest(start: number, end: number, offset: number, sink: ScanSink): void {
    const { time } = this;
    this.#read(start, end, offset, sink);
    this.time = time;
  }

  /** Reads a whole line in its usual form; false if it is not in that form. */
  #line(start: number, offset: number, sink: ScanSink): boolean {
    this.#at = start;
    this.#understood = true;
    if (!this.#literal(head)) return false;
    this.#at = start + typeAt - typeKey.length;
    if (!this.#literal(typeKey)) return false;
    if (this.#literal(stepType)) return this.#metricsLine('step', start, offset, sink);
    if (this.#literal(referenceType)) return this.#referenceLine(start, offset, sink);
    if (this.#literal(evaluationType)) return this.#metricsLine('evaluation', start, offset, sink);
    return false;
  }

  #metricsLine(type: 'step' | 'evaluation', start: number, offset: number, sink: ScanSink): boolean {
    const step = this.#number();
    if (!Number.isSafeInteger(step) || step < 0) return false;
    if (type === 'step') {
      if (!this.#literal(epochKey)) return false;
      this.#number();
    }
    if (!this.#literal(metricsKey)) return false;
    const bytes = this.#bytes;
    this.#lineCount = 0;
    let before = 0;
    if (bytes[this.#at] === 125) {
      this.#at += 1;
    } else {
      for (;;) {
        const metric = this.#key(before);
        if (metric < 0 || this.#lineCount >= this.#lineMetrics.length) return false;
        this.#lineMetrics[this.#lineCount] = metric;
        this.#lineValues[this.#lineCount] = this.#value();
        this.#lineCount += 1;
        before = metric + 1;
        const byte = bytes[this.#at++];
        if (byte === 125) break;
        if (byte !== 44) return false;
      }
    }
    if (bytes[this.#at] !== 125 || bytes[this.#at + 1] !== 10) return false;
    this.#at += 2;
    if (!this.#understood) return false;
    if (sink.begin(type, step, offset + start, offset + this.#at)) {
      for (let i = 0; i < this.#lineCount; i++) sink.metric(this.#lineMetrics[i]!, this.#lineValues[i]!);
    }
    return true;
  }

  #referenceLine(start: number, offset: number, sink: ScanSink): boolean {
    const bytes = this.#bytes;
    const step = this.#number();
    if (!Number.isSafeInteger(step) || step < 0 || !this.#literal(versionKey)) return false;
    const version = this.#number();
    if (!this.#literal(updateKey)) return false;
    const updateAt = this.#at;
    while (bytes[this.#at]! >= 97 && bytes[this.#at]! <= 122) this.#at += 1;
    const update = words[bytes[updateAt]!] ?? '';
    if (update.length !== this.#at - updateAt || !this.#literal(shareKey)) return false;
    const share = this.#number();
    const distanceBefore = this.#literal(beforeKey) ? this.#value() : Number.NaN;
    const distanceAfter = this.#literal(afterKey) ? this.#value() : Number.NaN;
    if (!this.#understood || bytes[this.#at] !== 125 || bytes[this.#at + 1] !== 10) return false;
    this.#at += 2;
    const line = { step, version, share, update, distanceBefore, distanceAfter };
    sink.reference(line, offset + start, offset + this.#at);
    return true;
  }

  /** Any line, by JSON.parse and the schema. */
  #slowLine(line: Buffer, begin: number, end: number, sink: ScanSink): void {
    let event: RunEvent;
    try {
      const result = eventSchema.safeDecode(JSON.parse(line.toString('utf8')));
      if (!result.success) throw result.error;
      event = result.data;
    } catch {
      sink.bad(begin);
      return;
    }
    this.time = event.time;
    if (event.type === 'step' || event.type === 'evaluation') {
      if (!sink.begin(event.type, event.step, begin, end)) return;
      for (const [name, value] of Object.entries(event.metrics)) sink.metric(this.#id(name), value);
    } else if (event.type === 'reference') {
      const { step, version, share, update, distanceBefore = Number.NaN, distanceAfter = Number.NaN } = event;
      sink.reference({ step, version, share, update, distanceBefore, distanceAfter }, begin, end);
    } else {
      sink.event(event);
    }
  }

  /** Steps behind the literal if it is here. */
  #literal({ words, rest, length }: Literal): boolean {
    let at = this.#at;
    const view = this.#view;
    for (let i = 0; i < words.length; i++, at += 4) if (view.getInt32(at, true) !== words[i]) return false;
    const bytes = this.#bytes;
    for (let i = 0; i < rest.length; i++, at++) if (bytes[at] !== rest[i]) return false;
    this.#at += length;
    return true;
  }

  /** The metric whose key and colon are here; -1 if there is no plain key. */
  #key(before: number): number {
    const expected = this.#next[before]!;
    if (expected >= 0 && this.#literal(this.#keys[expected]!)) return expected;
    const bytes = this.#bytes;
    if (bytes[this.#at] !== 34) return -1;
    let end = this.#at + 1;
    while (end < bytes.length && bytes[end] !== 34) {
      if (bytes[end] === 92 || bytes[end] === 10) return -1;
      end += 1;
    }
    if (bytes[end + 1] !== 58) return -1;
    const name = Buffer.from(bytes.buffer, bytes.byteOffset + this.#at + 1, end - this.#at - 1).toString('utf8');
    this.#at = end + 2;
    const id = this.#id(name);
    this.#next[before] = id;
    return id;
  }

  #id(name: string): number {
    let id = this.#ids.get(name);
    if (id === undefined) {
      id = this.names.length;
      this.#ids.set(name, id);
      this.names.push(name);
      this.#keys.push(literal(Uint8Array.from(Buffer.from(`${JSON.stringify(name)}:`))));
      this.#next.push(-1);
    }
    return id;
  }

  /** Whether all numbers of the line were numbers. */
  #understood = true;

  /** A number, or one of the texts that stand for numbers that JSON does not have. */
  #value(): number {
    if (this.#bytes[this.#at] !== 34) return this.#number();
    for (const [text, value] of notFinite) if (this.#literal(text)) return value;
    this.#understood = false;
    return 0;
  }

  #number(): number {
    const bytes = this.#bytes;
    let at = this.#at;
    const isNegative = bytes[at] === 45;
    if (isNegative) at += 1;
    const first = at;
    let [mantissa, exponent] = [0, 0];
    for (let digit = bytes[at]! - 48; digit >= 0 && digit <= 9; digit = bytes[++at]! - 48) {
      if (mantissa < exact) mantissa = mantissa * 10 + digit;
      else exponent += 1;
    }
    if (at === first) this.#understood = false;
    if (bytes[at] === 46) {
      const point = ++at;
      const view = this.#view;
      // Four digits at once: their bytes less those of '0' are below ten, and a number in base 256 becomes one in base
      // ten.
      while (mantissa < exact / 1000) {
        const four = view.getInt32(at, true) ^ 0x30303030;
        if (((four | (four + 0x06060606)) & 0xf0f0f0f0) !== 0) break;
        const pairs = (four & 0xff00ff) * 10 + ((four >>> 8) & 0xff00ff);
        mantissa = mantissa * 10000 + (pairs & 0xffff) * 100 + (pairs >>> 16);
        at += 4;
      }
      let digit = bytes[at]! - 48;
      for (; mantissa < exact && digit >= 0 && digit <= 9; digit = bytes[++at]! - 48) mantissa = mantissa * 10 + digit;
      exponent -= at - point;
      while (digit >= 0 && digit <= 9) digit = bytes[++at]! - 48;
    }
    if (bytes[at] === 101 || bytes[at] === 69) at = this.#exponent(at + 1);
    else this.#power = 0;
    this.#at = at;
    const size = scaled(mantissa, exponent + this.#power);
    return isNegative ? -size : size;
  }

  #power = 0;

  /** Reads the exponent at `at` into {@link #power}; returns where it ends. */
  #exponent(at: number): number {
    const bytes = this.#bytes;
    const isSmall = bytes[at] === 45;
    let place = isSmall || bytes[at] === 43 ? at + 1 : at;
    let power = 0;
    for (let digit = bytes[place]! - 48; digit >= 0 && digit <= 9; digit = bytes[++place]! - 48) {
      power = power * 10 + digit;
    }
    const last = bytes[place - 1]! - 48;
    if (!(last >= 0 && last <= 9)) this.#understood = false;
    this.#power = isSmall ? -power : power;
    return place;
  }
}

/** Below 2^53 / 10 another digit keeps the mantissa exact. */
const exact = 900719925474099;

function scaled(mantissa: number, exponent: number): number {
  if (exponent === 0 || mantissa === 0) return mantissa;
  if (exponent < 0) return exponent >= -22 ? mantissa / powers[-exponent]! : Number(`${mantissa}e${exponent}`);
  return exponent <= 22 ? mantissa * powers[exponent]! : Number(`${mantissa}e${exponent}`);
}

/** The updates by their first letter. */
const words: Record<number, string> = { 115: 'soft', 104: 'hard', 109: 'mixed', 112: 'plateau' };

const notFinite: [Literal, number][] = [
  [ascii('"NaN"'), Number.NaN],
  [ascii('"Infinity"'), Number.POSITIVE_INFINITY],
  [ascii('"-Infinity"'), Number.NEGATIVE_INFINITY],
];
