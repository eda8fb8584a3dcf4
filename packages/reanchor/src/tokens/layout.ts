/** How token rows of each kind lie in a file: numbers of a row side by side, then its token ids and its marks. */
import type { DataKind, RowPlace, TokenizedOf } from '../data/index.js';

interface Parts {
  /** Lists of token ids; of those that may be left out, one without ids is. */
  ids: readonly { name: string; isOptional?: boolean }[];
  /** Lists of marks, a byte each, which may be left out. */
  marks: readonly string[];
  flags: readonly string[];
}

/** The parts of a row besides its place, in the order in which a tokenised row has them. */
const partsOf: Readonly<Record<DataKind, Parts>> = {
  pairs: {
    ids: [{ name: 'prompt' }, { name: 'chosen' }, { name: 'rejected' }],
    marks: ['chosenScored', 'rejectedScored'],
    flags: ['boundaryMismatch'],
  },
  unpaired: {
    ids: [{ name: 'prompt' }, { name: 'completion' }, { name: 'uncut', isOptional: true }],
    marks: ['scored'],
    flags: ['label', 'boundaryMismatch'],
  },
  sft: { ids: [{ name: 'prompt' }, { name: 'completion' }], marks: ['scored'], flags: ['boundaryMismatch'] },
};

/** Numbers of a row before its lengths: its ordinal, index, line, file and flags. */
const placeNumbers = 5;

/** A row and its number among all that were read, those left out too. */
export interface NumberedRow<Kind extends DataKind> {
  ordinal: number;
  row: TokenizedOf[Kind];
}

/** Rows as they lie in a file: `numbers`, `width` of them a row, and the bytes of one row after the other. */
export interface Block {
  numbers: Uint32Array<ArrayBuffer>;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Bytes of rows, and what they are as token ids. */
export interface Piece {
  bytes: ArrayBuffer;
  ids: Int32Array;
}

/** How rows of a kind are written and read, with token ids of two bytes, or of four (`isWide`). */
export class RowLayout<Kind extends DataKind> {
  readonly #parts: Parts;
  /** Numbers of a row. */
  readonly width: number;

  constructor(
    kind: Kind,
    private readonly isWide: boolean,
    /** The files that rows come from, which places name by their number. */
    private readonly files: readonly string[],
  ) {
    this.#parts = partsOf[kind];
    this.width = placeNumbers + this.#parts.ids.length + this.#parts.marks.length;
  }

  encode(rows: readonly NumberedRow<Kind>[]): Block {
    const numbers = new Uint32Array(rows.length * this.width);
    for (const [i, row] of rows.entries()) numbers.set(this.#numbersOf(row), i * this.width);
    let size = 0;
    for (let i = 0; i < rows.length; i++) size += this.bytesOf(numbers, i);
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const [i, { row }] of rows.entries()) {
      this.#writeRow(row as never, bytes, at);
      at += this.bytesOf(numbers, i);
    }
    return { numbers, bytes };
  }

  #numbersOf({ ordinal, row }: NumberedRow<Kind>): number[] {
    const { ids, marks, flags } = this.#parts;
    const given = row as unknown as Record<string, Int32Array | Uint8Array | boolean | undefined>;
    const bits = flags.reduce((sum, flag, i) => sum + (given[flag] ? 1 << i : 0), 0);
    const lengths = [...ids.map(({ name }) => name), ...marks].map((name) => (given[name] as Uint8Array)?.length ?? 0);
    return [ordinal, row.index, row.line, this.files.indexOf(row.file), bits, ...lengths];
  }

  #writeRow(
    row: Readonly<Record<string, Int32Array | undefined>>,
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
  ): void {
    const { ids, marks } = this.#parts;
    let at = start;
    for (const { name } of ids) {
      const given = row[name];
      if (!given) continue;
      const target = this.#idsAt(bytes.buffer, at, given.length);
      target.set(given);
      at += target.byteLength;
    }
    for (const name of marks) {
      const given = row[name];
      if (!given) continue;
      bytes.set(given, at);
      at += given.length;
    }
  }

  #idsAt(buffer: ArrayBuffer, at: number, length: number): Uint16Array | Uint32Array {
    return this.isWide ? new Uint32Array(buffer, at, length) : new Uint16Array(buffer, at, length);
  }

  /** The bytes of row `i` of `numbers`, which are a multiple of four. */
  bytesOf(numbers: Uint32Array, i: number): number {
    const { ids, marks } = this.#parts;
    const first = i * this.width + placeNumbers;
    let [count, size] = [0, 0];
    for (let k = 0; k < ids.length; k++) count += numbers[first + k]!;
    for (let k = 0; k < marks.length; k++) size += numbers[first + ids.length + k]!;
    return Math.ceil((count * (this.isWide ? 4 : 2) + size) / 4) * 4;
  }

  /** Bytes of one row after the other, ready to be decoded. */
  piece(bytes: ArrayBuffer): Piece {
    return { bytes, ids: this.isWide ? new Int32Array(bytes) : Int32Array.from(new Uint16Array(bytes)) };
  }

  /** Row `i` of `numbers`, whose bytes are in a piece from `start` on; its lists are parts of the piece. */
  decode(numbers: Uint32Array, i: number, { bytes, ids: all }: Piece, start: number): TokenizedOf[Kind] {
    const { ids, marks, flags } = this.#parts;
    const first = i * this.width;
    const lengthOf = (part: number) => numbers[first + placeNumbers + part]!;
    const file = this.files[numbers[first + 3]!]!;
    const row: RowPlace & Record<string, unknown> = { index: numbers[first + 1]!, line: numbers[first + 2]!, file };
    const size = this.isWide ? 4 : 2;
    let at = start / size;
    for (const [k, { name, isOptional }] of ids.entries()) {
      const length = lengthOf(k);
      if (length > 0 || !isOptional) row[name] = all.subarray(at, at + length);
      at += length;
    }
    at *= size;
    for (const [k, name] of marks.entries()) {
      const length = lengthOf(ids.length + k);
      if (length > 0) row[name] = new Uint8Array(bytes, at, length);
      at += length;
    }
    const bits = numbers[first + 4]!;
    for (const [k, flag] of flags.entries()) row[flag] = (bits & (1 << k)) !== 0;
    return row as unknown as TokenizedOf[Kind];
  }

  ordinalOf(numbers: Uint32Array, i: number): number {
    return numbers[i * this.width]!;
  }

  indexOf(numbers: Uint32Array, i: number): number {
    return numbers[i * this.width + 1]!;
  }
}
