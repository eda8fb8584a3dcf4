/**
 * TensorBoard's event files: TFRecord frames around protocol buffers, of which the six fields that scalars need are
 * written. Layout: tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto, summary.proto.
 */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';

/** The scalars of one moment. */
export interface ScalarEvent {
  /** Seconds since 1970. */
  time: number;
  step: number;
  /** Value by tag. TensorBoard keeps float32; NaN and infinities are kept. */
  scalars: Readonly<Record<string, number>>;
}

/** The name of an event file begun at a time, in the form by which TensorBoard finds it. */
export function eventFileName(time: Date, host = hostname()): string {
  const seconds = String(Math.floor(time.getTime() / 1000)).padStart(10, '0');
  return `events.out.tfevents.${seconds}.${host.replaceAll(/[^\w.-]/g, '_')}`;
}

/** The record with which an event file begins. */
function fileVersionRecord(time: number): Buffer {
  return record(Buffer.concat([double(1, time), bytes(3, Buffer.from('brain.Event:2'))]));
}

/** The record of scalars. */
function scalarRecord({ time, step, scalars }: ScalarEvent): Buffer {
  const values = Object.entries(scalars).map(([tag, value]) =>
    bytes(1, Buffer.concat([bytes(1, Buffer.from(tag)), float(2, value)])),
  );
  return record(Buffer.concat([double(1, time), varintField(2, step), bytes(5, Buffer.concat(values))]));
}

/**
 * The record that says that a run has started again before a step: TensorBoard drops what it has of that step and later
 * ones. Layout: SessionLog in tensorflow/core/util/event.proto, status START.
 */
function restartRecord(time: number, step: number): Buffer {
  return record(Buffer.concat([double(1, time), varintField(2, step), bytes(7, varintField(1, 1))]));
}

/** Appends records to a new event file. Errors: the system's. */
export class EventFileWriter implements Disposable {
  readonly #file: number;

  constructor(path: string, { time = new Date(), restartsAt }: { time?: Date; restartsAt?: number | undefined } = {}) {
    const seconds = time.getTime() / 1000;
    this.#file = openSync(path, 'wx');
    this.#append(fileVersionRecord(seconds));
    if (restartsAt !== undefined) this.#append(restartRecord(seconds, restartsAt));
  }

  write(event: ScalarEvent): void {
    this.#append(scalarRecord(event));
  }

  /** Makes sure that all is on the disk and closes the file. */
  [Symbol.dispose](): void {
    try {
      fsyncSync(this.#file);
    } finally {
      closeSync(this.#file);
    }
  }

  #append(data: Buffer): void {
    for (let done = 0; done < data.length; ) done += writeSync(this.#file, data, done);
  }
}

/** CRC-32C (Castagnoli), the polynomial 0x1EDC6F41 reflected. */
export function crc32c(data: Uint8Array): number {
  let crc = ~0;
  for (const byte of data) crc = crcTable[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

const crcTable = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

/** A TFRecord: length, its checksum, data, their checksum; little-endian. */
function record(data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeBigUInt64LE(BigInt(data.length));
  head.writeUInt32LE(masked(crc32c(head.subarray(0, 8))), 8);
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(masked(crc32c(data)));
  return Buffer.concat([head, data, tail]);
}

/** The checksum of data that may itself hold checksums, rotated and shifted as TensorFlow does. */
const masked = (crc: number) => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

// The wire format of protocol buffers: a key is the field's number and the type of what follows.
const key = (field: number, type: 0 | 1 | 2 | 5) => varint((field << 3) | type);
const varintField = (field: number, value: number) => Buffer.concat([key(field, 0), varint(value)]);
const bytes = (field: number, data: Buffer) => Buffer.concat([key(field, 2), varint(data.length), data]);

function double(field: number, value: number): Buffer {
  const data = Buffer.alloc(8);
  data.writeDoubleLE(value);
  return Buffer.concat([key(field, 1), data]);
}

function float(field: number, value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeFloatLE(value);
  return Buffer.concat([key(field, 5), data]);
}

/** A whole number from 0 on, seven bits a byte, the lowest first. */
function varint(value: number): Buffer {
  const data: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) data.push((rest % 128) | 128);
  return Buffer.from([...data, rest]);
}
