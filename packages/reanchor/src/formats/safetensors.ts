/**
 * Safetensors files: 8 bytes little-endian header length, a JSON header, then the tensors' bytes without gaps.
 * Source: https://github.com/huggingface/safetensors (format); the limits and checks are those of its reader.
 */
import { readSync } from 'node:fs';
import { type FileHandle, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError, shown, UserError, unreadable } from '../errors.js';
import { writeFileAtomic, writeFully } from './atomic.js';
import { isRecord } from './exact-json.js';
import { duplicateKey } from './json-text.js';
import { isPickle, pickleRefusal } from './pickle.js';
import { open, readFile } from './regular-file.js';

// biome-ignore format: a table
const bitsOf = {
  F64: 64, I64: 64, U64: 64, C64: 64,
  F32: 32, I32: 32, U32: 32,
  F16: 16, BF16: 16, I16: 16, U16: 16,
  F8_E4M3: 8, F8_E5M2: 8, F8_E8M0: 8, I8: 8, U8: 8, BOOL: 8,
  F6_E2M3: 6, F6_E3M2: 6, F4: 4,
} as const;

/** The element types of the format. */
export type SafetensorsDType = keyof typeof bitsOf;

/** The largest header that is read, in bytes. */
const headerLimit = 100_000_000;

/** Where a tensor lies in its file. */
export interface StoredTensor {
  dtype: SafetensorsDType;
  shape: number[];
  /** Offsets in bytes from the start of the file; the end is exclusive. */
  begin: number;
  end: number;
}

/** What the header of a file says. */
export interface SafetensorsFile {
  file: string;
  /** The size of the file. */
  fileBytes: number;
  metadata: Record<string, string>;
  /** In the order of the header. */
  tensors: Map<string, StoredTensor>;
}

/** A tensor of a checkpoint, with its file. */
export interface WeightTensor extends StoredTensor {
  file: string;
}

/**
 * The header of a safetensors file. Errors: UserError, which ends in `next`, for a file that cannot be read;
 * FormatError with the place.
 */
export async function openSafetensors(file: string, next = 'name a safetensors file'): Promise<SafetensorsFile> {
  let handle: FileHandle;
  try {
    handle = await open(file);
  } catch (cause) {
    throw notRead(file, cause, next);
  }
  try {
    const { size: fileBytes } = await handle.stat();
    const start = await readBytes(handle, 0, Math.min(64, fileBytes));
    const length = headerLength(start, { file, fileBytes });
    return parseSafetensorsHeader(await readBytes(handle, 8, length), { file, fileBytes });
  } catch (cause) {
    throw cause instanceof UserError ? cause : notRead(file, cause);
  } finally {
    await handle.close();
  }
}

/**
 * All tensors of a checkpoint folder by name: of `model.safetensors`, or of the shards that
 * `model.safetensors.index.json` names. Errors: UserError for a folder without them; FormatError for files that
 * contradict each other or the format.
 */
export async function openWeights(folder: string): Promise<Map<string, WeightTensor>> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (cause) {
    throw notRead(folder, cause, 'name a Hugging Face model folder');
  }
  if (names.includes('model.safetensors')) {
    const opened = await openSafetensors(join(folder, 'model.safetensors'));
    return new Map([...opened.tensors].map(([name, tensor]) => [name, inFile(tensor, opened)]));
  }
  const index = 'model.safetensors.index.json';
  if (names.includes(index)) return openShards(folder, join(folder, index));
  const pickled = names.filter(isPickle);
  const found = pickled.length > 0 ? `; ${pickled.join(', ')} holds ${pickleRefusal}` : '';
  throw new UserError(`${folder} has no weights: model.safetensors or ${index} with its shards is needed${found}`);
}

/** The bytes of a tensor, from a descriptor of its file. Errors: FormatError where the file has become shorter. */
export function readStored(handle: number, { begin, end }: StoredTensor, file: string): Uint8Array {
  const bytes = new Uint8Array(end - begin);
  const most = 1 << 30;
  for (let done = 0; done < bytes.length; ) {
    const read = readSync(handle, bytes, done, Math.min(most, bytes.length - done), begin + done);
    if (read === 0) throw new FormatError('the file became shorter while it was read', { file });
    done += read;
  }
  return bytes;
}

/** The tensors that a header describes. `bytes` is the header without its length. Errors: FormatError. */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  { file, fileBytes }: { file: string; fileBytes: number },
): SafetensorsFile {
  const fail = (message: string, where = 'header'): never => {
    throw new FormatError(message, { file, where });
  };
  const header = parseJsonObject(bytes, fail);
  const metadata = parseMetadata(header.__metadata__, fail);
  const dataStart = 8 + bytes.length;
  const tensors = new Map<string, StoredTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    tensors.set(
      name,
      parseEntry(entry, dataStart, (message) => fail(message, `header, tensor ${shown(name)}`)),
    );
  }
  checkLayout(tensors, dataStart, fileBytes, fail);
  return { file, fileBytes, metadata, tensors };
}

/** A tensor to be written: `bytes` gives its elements, little-endian, row after row, and is called once. */
export interface TensorToWrite {
  name: string;
  dtype: string;
  shape: readonly number[];
  bytes: () => Uint8Array | Promise<Uint8Array>;
}

/**
 * Writes a safetensors file that is whole or absent, one tensor in memory at a time. Tensors keep their order, except
 * that wider element types come first, so that each is aligned to its elements. The data start at a multiple of 8
 * bytes.
 *
 * Errors: UserError when the file cannot be written; Error for a name given twice, an unknown dtype, or bytes that do
 * not fit the shape.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToWrite>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const ordered = [...tensors].map((tensor) => ({ ...tensor, size: tensorBytes(tensor) }));
  ordered.sort((a, b) => bitsOf[b.dtype as SafetensorsDType] - bitsOf[a.dtype as SafetensorsDType]);
  const header = new Map<string, unknown>();
  if (Object.keys(metadata).length > 0) header.set('__metadata__', metadata);
  let end = 0;
  for (const { name, dtype, shape, size } of ordered) {
    if (header.has(name) || name === '__metadata__')
      throw new Error(`${path}: tensor name ${name} is given twice or reserved`);
    header.set(name, { dtype, shape, data_offsets: [end, end + size] });
    end += size;
  }
  await writeFileAtomic(path, async (handle) => {
    await writeFully(handle, encodeHeader(header));
    for (const { name, size, bytes } of ordered) {
      const data = await bytes();
      if (data.length !== size)
        throw new Error(`${path}: tensor ${name} has ${data.length} bytes, its shape needs ${size}`);
      await writeFully(handle, data);
    }
  });
}

function encodeHeader(header: ReadonlyMap<string, unknown>): Uint8Array {
  const entries = [...header].map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`);
  const json = Buffer.from(`{${entries.join(',')}}`);
  const length = Math.ceil(json.length / 8) * 8;
  const bytes = Buffer.alloc(8 + length, ' ');
  bytes.writeBigUInt64LE(BigInt(length), 0);
  json.copy(bytes, 8);
  return bytes;
}

/** The bytes of a tensor that is to be written. Errors: Error for an unknown dtype, or a shape without whole bytes. */
export function tensorBytes({ name, dtype, shape }: Omit<TensorToWrite, 'bytes'>): number {
  if (!isDType(dtype))
    throw new Error(`tensor ${name}: dtype ${dtype} is not one of ${Object.keys(bitsOf).join(', ')}`);
  const size = byteSize(dtype, shape);
  if (size === undefined)
    throw new Error(`tensor ${name}: shape [${shape.join(', ')}] of ${dtype} has no whole number of bytes`);
  return size;
}

const isDType = (value: unknown): value is SafetensorsDType =>
  typeof value === 'string' && Object.hasOwn(bitsOf, value);

/** The bytes of a shape; undefined where that is no whole, exactly representable number. */
function byteSize(dtype: SafetensorsDType, shape: readonly number[]): number | undefined {
  const bits = shape.reduce((product, size) => product * size, bitsOf[dtype]);
  return shape.every(isCount) && Number.isSafeInteger(bits) && bits % 8 === 0 ? bits / 8 : undefined;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function headerLength(start: Uint8Array, { file, fileBytes }: { file: string; fileBytes: number }): number {
  const fail = (message: string, where?: string): never => {
    throw new FormatError(message, { file, where });
  };
  const text = Buffer.from(start).toString('latin1');
  if (text.startsWith('version https://git-lfs')) {
    fail('a Git LFS pointer, not the file itself: fetch it (git lfs pull), or download the file again');
  }
  if (fileBytes < 8) fail(`${fileBytes} bytes are too few for a safetensors file: it is cut short`);
  const length = Number(Buffer.from(start).readBigUInt64LE(0));
  // A header of 640 bytes begins like a pickle; a pickle never begins like a header that fits its file.
  if (8 + length > fileBytes && (text.startsWith('PK\x03\x04') || (start[0] === 0x80 && start[1]! <= 5))) {
    fail('a PyTorch pickle file, which is not read: convert it to safetensors');
  }
  if (length > headerLimit) {
    fail(
      `a header of ${length} bytes; at most ${headerLimit} are read: this is no safetensors file, or a broken one`,
      'byte 0',
    );
  }
  if (8 + length > fileBytes) {
    fail(
      `the header has ${length} bytes, but the file ends after ${fileBytes}: it is cut short, or no safetensors file`,
      'byte 0',
    );
  }
  return length;
}

type Fail = (message: string) => never;

function parseJsonObject(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  let text = '';
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    fail('not UTF-8');
  }
  try {
    value = JSON.parse(text);
  } catch {
    fail('not JSON');
  }
  if (!isRecord(value)) return fail('not a JSON object');
  const twice = duplicateKey(text);
  if (twice !== undefined) fail(`${shown(twice)} is given twice`);
  return value;
}

function parseMetadata(metadata: unknown, fail: Fail): Record<string, string> {
  if (metadata === undefined || metadata === null) return {};
  if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== 'string')) {
    return fail('__metadata__ must be an object of strings');
  }
  return metadata as Record<string, string>;
}

function parseEntry(entry: unknown, dataStart: number, fail: Fail): StoredTensor {
  if (!isRecord(entry)) return fail('must be an object with dtype, shape and data_offsets');
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!isDType(dtype)) return fail(`dtype ${shown(dtype)} is not one of ${Object.keys(bitsOf).join(', ')}`);
  if (!Array.isArray(shape) || !shape.every(isCount)) return fail('shape must be a list of whole numbers from 0 on');
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    return fail('data_offsets must be two whole numbers from 0 on');
  }
  const [begin, end] = offsets as [number, number];
  const size = byteSize(dtype, shape);
  if (size !== end - begin) {
    return fail(
      `${dtype} of shape [${shape.join(', ')}] has ${size ?? 'too many'} bytes, but data_offsets [${begin}, ${end}]`,
    );
  }
  return { dtype, shape, begin: dataStart + begin, end: dataStart + end };
}

/** The tensors must cover the data exactly: no gap, no overlap, nothing left over. */
function checkLayout(tensors: Map<string, StoredTensor>, dataStart: number, fileBytes: number, fail: Fail): void {
  let covered = dataStart;
  for (const [name, { begin, end }] of [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== covered) {
      const what = begin < covered ? 'overlaps the tensor before it' : 'leaves a gap before it';
      fail(`tensor ${shown(name)} at byte ${begin} ${what}, which ends at byte ${covered}`);
    }
    covered = end;
  }
  if (covered > fileBytes) fail(`the tensors end at byte ${covered}, but the file after ${fileBytes}: it is cut short`);
  if (covered < fileBytes)
    fail(`the tensors end at byte ${covered}, but the file has ${fileBytes}: what follows belongs to none`);
}

async function openShards(folder: string, indexFile: string): Promise<Map<string, WeightTensor>> {
  const weightMap = await readWeightMap(indexFile);
  const fail = (message: string): never => {
    throw new FormatError(message, { file: indexFile });
  };
  const found = new Map<string, WeightTensor>();
  for (const shard of [...new Set(weightMap.values())].sort()) {
    const opened = await openSafetensors(join(folder, shard), `${indexFile} names it: fetch it too`);
    for (const [name, tensor] of opened.tensors) {
      const listed = weightMap.get(name);
      if (listed !== shard) {
        fail(
          `${shard} holds ${shown(name)}, which the index ${listed === undefined ? 'does not list' : `puts into ${listed}`}`,
        );
      }
      found.set(name, inFile(tensor, opened));
    }
  }
  for (const [name, shard] of weightMap) {
    if (!found.has(name)) fail(`${shown(name)} should be in ${shard}, but is not`);
  }
  return found;
}

/** Names are the choice of who wrote the index: none may lead out of its folder. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they have no business in a name
const isShardName = (name: string) => /^[^/\\\x00-\x1f\x7f]+\.safetensors$/.test(name) && name.length <= 255;

/** The files that an index file (model.safetensors.index.json) names. Errors: UserError, FormatError. */
export async function shardNames(indexFile: string): Promise<string[]> {
  return [...new Set((await readWeightMap(indexFile)).values())].sort();
}

async function readWeightMap(file: string): Promise<Map<string, string>> {
  const fail = (message: string): never => {
    throw new FormatError(message, { file });
  };
  const bytes = await readFile(file).catch((cause) => {
    throw notRead(file, cause);
  });
  const { weight_map: map } = parseJsonObject(bytes, fail);
  if (!isRecord(map)) return fail('weight_map is missing: it gives the shard of each tensor');
  const wrong = Object.entries(map).find(([, shard]) => typeof shard !== 'string');
  if (wrong) fail(`weight_map: the shard of ${shown(wrong[0])} must be a file name`);
  if (Object.keys(map).length === 0) fail('weight_map is empty');
  const elsewhere = Object.values(map).find((shard) => !isShardName(shard as string));
  if (elsewhere !== undefined) fail(`shard ${shown(elsewhere)} is not the name of a .safetensors file beside it`);
  return new Map(Object.entries(map) as [string, string][]);
}

const inFile = (tensor: StoredTensor, { file }: SafetensorsFile): WeightTensor => ({ ...tensor, file });

async function readBytes(handle: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) throw new Error('the file became shorter while it was read');
    done += bytesRead;
  }
  return bytes;
}

const notRead = (file: string, cause: unknown, next = 'name a safetensors file') =>
  new UserError(`${unreadable(file, cause)}: ${next}`, { cause });
