/**
 * A file of token rows: the bytes of all rows, their numbers, the places of rows with a remark or left out, a header,
 * and at the end a digest of it all, so that what was cut short or altered is not taken for rows.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, fstatSync, readSync } from 'node:fs';
import { addPlace, type DataKind, type RowPlace, type Rows, type SkipReport, type TokenizedOf } from '../data/index.js';
import { createReadStream, openSync } from '../formats/index.js';
import { type Block, type Piece, RowLayout } from './layout.js';

/** What is known of rows besides their tokens. */
export interface TokenHead {
  kind: DataKind;
  /** Whether token ids have four bytes, not two. */
  isWide: boolean;
  /** The files that rows come from. */
  files: readonly string[];
  /** What is said of rows, in words, and whether they are left out for it. */
  words: readonly { text: string; isSkip: boolean }[];
  /** Rows that were read, those left out too. */
  total: number;
  rows: number;
  places: number;
  rowBytes: number;
  /** What the reader of the sources keeps. */
  facts: unknown;
}

const magic = 'reanchor token rows 1\n';
const digestBytes = 32;
const trailerBytes = digestBytes + 4 + magic.length;
/** The numbers of a place: what is said, and the row's ordinal, index, line and file. */
const placeWidth = 5;
/** Rows one after the other are read in pieces of so many bytes. */
const pieceBytes = 1 << 18;

/** Bytes by their place. */
interface Bytes {
  /** Fills `target` with the bytes from `at` on. */
  read(target: Uint8Array, at: number): void;
}

/** Token rows, of which those that are asked for are read. */
export class TokenFile<Kind extends DataKind = DataKind> {
  readonly #layout: RowLayout<Kind>;
  /** Where the bytes of each row begin, and after the last one where they end. */
  readonly #starts: Float64Array;
  #piece: (Piece & { start: number; end: number }) | undefined;

  constructor(
    readonly head: TokenHead,
    private readonly bytes: Bytes,
    private readonly numbers: Uint32Array,
    private readonly places: Uint32Array,
  ) {
    this.#layout = new RowLayout(head.kind as Kind, head.isWide, head.files);
    this.#starts = new Float64Array(head.rows + 1);
    for (let i = 0; i < head.rows; i++) {
      this.#starts[i + 1] = this.#starts[i]! + this.#layout.bytesOf(numbers, i);
    }
  }

  row(i: number): TokenizedOf[Kind] {
    const [start, end] = [this.#starts[i]!, this.#starts[i + 1]!];
    const last = this.#piece;
    if (last && start >= last.start && end <= last.end) {
      return this.#layout.decode(this.numbers, i, last, start - last.start);
    }
    // The first row, and one that follows the last piece, are of many; any other is alone.
    const isOfMany = start === (last?.end ?? 0);
    const wanted = isOfMany ? this.#endWithin(i, pieceBytes) : end;
    const bytes = new ArrayBuffer(wanted - start);
    this.bytes.read(new Uint8Array(bytes), start);
    this.#piece = { ...this.#layout.piece(bytes), start, end: wanted };
    return this.#layout.decode(this.numbers, i, this.#piece, 0);
  }

  /** Where the last row ends of those from row `i` on that have so many bytes together; that row at least. */
  #endWithin(i: number, bytes: number): number {
    let last = i + 1;
    while (last < this.head.rows && this.#starts[last + 1]! - this.#starts[i]! <= bytes) last++;
    return this.#starts[last]!;
  }

  ordinalOf(i: number): number {
    return this.#layout.ordinalOf(this.numbers, i);
  }

  indexOf(i: number): number {
    return this.#layout.indexOf(this.numbers, i);
  }

  /** The rows whose ordinals are `among` those asked for, and the report on all of these. */
  select(isAmong: (ordinal: number) => boolean = () => true): { rows: SelectedRows<Kind>; report: SkipReport } {
    const { head, places } = this;
    const positions = Array.from({ length: head.rows }, (_, i) => i).filter((i) => isAmong(this.ordinalOf(i)));
    let total = 0;
    for (let ordinal = 0; ordinal < head.total; ordinal++) if (isAmong(ordinal)) total++;
    const report: SkipReport = { total, kept: positions.length, byReason: new Map(), remarks: new Map() };
    for (let at = 0; at < places.length; at += placeWidth) {
      const [word, ordinal, index, line, file] = places.subarray(at, at + placeWidth) as unknown as PlaceNumbers;
      if (!isAmong(ordinal)) continue;
      const { text, isSkip } = head.words[word]!;
      const said = (isSkip ? report.byReason : report.remarks) as Map<string, RowPlace[]>;
      addPlace(said, text, { index, line, file: head.files[file]! });
    }
    return { rows: new SelectedRows(this, Uint32Array.from(positions)), report };
  }
}

type PlaceNumbers = [word: number, ordinal: number, index: number, line: number, file: number];

/** Some rows of a file, in their order. */
export class SelectedRows<Kind extends DataKind> implements Rows<TokenizedOf[Kind]> {
  constructor(
    private readonly file: TokenFile<Kind>,
    private readonly positions: Uint32Array,
  ) {}

  get length(): number {
    return this.positions.length;
  }

  at(position: number): TokenizedOf[Kind] | undefined {
    const i = this.positions.at(position);
    return i === undefined ? undefined : this.file.row(i);
  }

  *[Symbol.iterator](): Generator<TokenizedOf[Kind]> {
    for (const i of this.positions) yield this.file.row(i);
  }

  /** The index of each row in the whole input. */
  *indices(): Generator<number> {
    for (const i of this.positions) yield this.file.indexOf(i);
  }
}

/** Where the bytes of a file of token rows go. */
export interface Sink {
  write(bytes: Uint8Array): Promise<void>;
}

/** Writes rows as they come. */
export class TokenWriter {
  readonly #hash = createHash('sha256');
  readonly #numbers: Uint32Array[] = [];
  readonly #places: number[] = [];
  readonly #words = new Map<string, number>();
  #rows = 0;
  #total = 0;
  #rowBytes = 0;

  constructor(
    private readonly sink: Sink,
    private readonly layout: Pick<RowLayout<DataKind>, 'width'>,
  ) {}

  /** Adds the rows kept of `read` that were read, and what is said of them. */
  async add(read: number, { numbers, bytes }: Block, said: readonly SaidOfRow[]): Promise<void> {
    this.#total += read;
    this.#rows += numbers.length / this.layout.width;
    this.#rowBytes += bytes.length;
    this.#numbers.push(numbers);
    for (const { text, isSkip, ordinal, index, line, file } of said) {
      const key = `${isSkip ? '-' : '+'}${text}`;
      const word = this.#words.get(key) ?? this.#words.size;
      this.#words.set(key, word);
      this.#places.push(word, ordinal, index, line, file);
    }
    await this.#write(bytes);
  }

  /** Ends the file, with what is to be known of it. */
  async end(known: Pick<TokenHead, 'kind' | 'isWide' | 'files' | 'facts'>): Promise<void> {
    for (const numbers of this.#numbers) await this.#write(bytesOf(numbers));
    await this.#write(bytesOf(Uint32Array.from(this.#places)));
    const words = [...this.#words.keys()].map((key) => ({ text: key.slice(1), isSkip: key[0] === '-' }));
    const counts = { total: this.#total, rows: this.#rows, places: this.#places.length / placeWidth };
    const head: TokenHead = { ...known, words, ...counts, rowBytes: this.#rowBytes };
    const text = Buffer.from(JSON.stringify(head));
    await this.#write(text);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    await this.sink.write(Buffer.concat([this.#hash.digest(), length, Buffer.from(magic)]));
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    await this.sink.write(bytes);
  }
}

/** What is said of a row, with its place; `file` is its number. */
export interface SaidOfRow {
  text: string;
  isSkip: boolean;
  ordinal: number;
  index: number;
  line: number;
  file: number;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Uint32Array) => new Uint8Array(buffer, byteOffset, byteLength);

/** The rows of a file; undefined where it is not whole, or is none. Errors: those of the system. */
export async function openTokenFile<Kind extends DataKind>(path: string): Promise<TokenFile<Kind> | undefined> {
  const descriptor = openSync(path);
  try {
    const hash = createHash('sha256');
    // The last bytes are no part of what is digested.
    let tail = Buffer.alloc(0);
    let size = 0;
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      const all = Buffer.concat([tail, chunk]);
      const most = Math.max(0, all.length - trailerBytes);
      hash.update(all.subarray(0, most));
      tail = all.subarray(most);
    }
    const bytes = { read: (target: Uint8Array, at: number) => readFully(descriptor, target, at) };
    const file = tokenFileOf<Kind>(bytes, size, { trailer: tail, hash });
    if (file) closed.register(file, descriptor);
    else closeSync(descriptor);
    return file;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** A file that nobody reads any more is closed. */
const closed = new FinalizationRegistry<number>((descriptor) => closeSync(descriptor));

/** The head of a file, which may have been altered; undefined where there is none. */
export function readHead(path: string): TokenHead | undefined {
  const descriptor = openSync(path);
  try {
    const { size } = fstatSync(descriptor);
    const bytes = { read: (target: Uint8Array, at: number) => readFully(descriptor, target, at) };
    const trailer = Buffer.alloc(Math.min(size, trailerBytes));
    bytes.read(trailer, size - trailer.length);
    return headOf(bytes, size, trailer);
  } catch {
    return undefined;
  } finally {
    closeSync(descriptor);
  }
}

/** The rows of bytes in memory. */
export function tokenFileIn<Kind extends DataKind>(chunks: readonly Uint8Array[]): TokenFile<Kind> {
  const all = Buffer.concat(chunks);
  const bytes = { read: (target: Uint8Array, at: number) => target.set(all.subarray(at, at + target.length)) };
  return tokenFileOf<Kind>(bytes, all.length, { trailer: all.subarray(-trailerBytes) })!;
}

function tokenFileOf<Kind extends DataKind>(
  bytes: Bytes,
  size: number,
  { trailer, hash }: { trailer: Buffer; hash?: Hash },
): TokenFile<Kind> | undefined {
  if (hash && !hash.digest().equals(trailer.subarray(0, digestBytes))) return undefined;
  const head = headOf(bytes, size, trailer);
  if (head === undefined) return undefined;
  const { rows, places, rowBytes, kind, isWide, files } = head;
  const { width } = new RowLayout(kind, isWide, files);
  const numbers = new Uint32Array(taken(bytes, 4 * rows * width, rowBytes).buffer);
  const said = new Uint32Array(taken(bytes, 4 * places * placeWidth, rowBytes + numbers.byteLength).buffer);
  return new TokenFile<Kind>(head, bytes, numbers, said);
}

function headOf(bytes: Bytes, size: number, trailer: Buffer): TokenHead | undefined {
  if (size < trailerBytes || trailer.toString('latin1', digestBytes + 4) !== magic) return undefined;
  const length = trailer.readUInt32LE(digestBytes);
  return JSON.parse(Buffer.from(taken(bytes, length, size - trailerBytes - length)).toString()) as TokenHead;
}

function taken(bytes: Bytes, length: number, at: number): Uint8Array<ArrayBuffer> {
  const target = new Uint8Array(length);
  bytes.read(target, at);
  return target;
}

function readFully(descriptor: number, target: Uint8Array, at: number): void {
  for (let done = 0; done < target.length; ) {
    const count = readSync(descriptor, target, done, target.length - done, at + done);
    if (count === 0) throw new Error('a file of token rows has become shorter while it was read');
    done += count;
  }
}
