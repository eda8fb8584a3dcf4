import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fixtures } from '../../../../tests/support/repository.js';
import { FormatError, UserError } from '../errors.js';
import {
  openSafetensors,
  openWeights,
  parseSafetensorsHeader,
  readStored,
  type TensorToWrite,
  writeSafetensors,
} from './safetensors.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'safetensors-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (...names: string[]) => join(folder, ...names);

const widths = { F64: 8, I64: 8, F32: 4, BF16: 2, F16: 2, I8: 1, BOOL: 1 } as const;
type Width = keyof typeof widths;

interface Sample {
  name: string;
  dtype: Width;
  shape: number[];
  data: Uint8Array;
}
const sample: fc.Arbitrary<Sample> = fc
  .record({
    name: fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('__proto__', 'constructor', '"', '\\', 'a.b')),
    dtype: fc.constantFrom(...(Object.keys(widths) as Width[])),
    shape: fc.array(fc.nat({ max: 4 }), { maxLength: 3 }),
  })
  .chain(({ name, dtype, shape }) => {
    const size = shape.reduce((a, b) => a * b, widths[dtype]);
    return fc.uint8Array({ minLength: size, maxLength: size }).map((data) => ({ name, dtype, shape, data }));
  });
const samples = fc
  .uniqueArray(sample, { maxLength: 6, selector: ({ name }) => name })
  .filter((all) => all.every(({ name }) => name !== '__metadata__'));
const metadata = fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 });
const toWrite = (all: readonly Sample[]): TensorToWrite[] =>
  all.map(({ data, ...tensor }) => ({ ...tensor, bytes: () => data }));

/** A file with this header and so many bytes after it. */
function fileOf(header: unknown, dataBytes: number, name = 'x.safetensors'): string {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(at(name), Buffer.concat([length, json, Buffer.alloc(dataBytes)]));
  return at(name);
}
const f32 = (count: number, begin: number) => ({
  dtype: 'F32',
  shape: [count],
  data_offsets: [begin, begin + 4 * count],
});

describe('a file', () => {
  test('gives back names, types, shapes, bytes and metadata', async () => {
    await fc.assert(
      fc.asyncProperty(samples, metadata, async (all, metadata) => {
        await writeSafetensors(at('a'), toWrite(all), metadata);
        const opened = await openSafetensors(at('a'));
        const bytes = readFileSync(at('a'));
        expect(opened.fileBytes).toBe(bytes.length);
        expect(Object.entries(opened.metadata).sort()).toEqual(Object.entries(metadata).sort());
        expect(opened.tensors.size).toBe(all.length);
        for (const { name, dtype, shape, data } of all) {
          const tensor = opened.tensors.get(name)!;
          expect(tensor).toMatchObject({ dtype, shape });
          expect(new Uint8Array(bytes.subarray(tensor.begin, tensor.end))).toEqual(data);
          expect(tensor.begin % widths[dtype]).toBe(0);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('keeps the order of tensors of one type, and starts its data at a multiple of 8', async () => {
    const all = ['b', 'a', 'c'].map((name) => ({ name, dtype: 'F32', shape: [1], bytes: () => new Uint8Array(4) }));
    await writeSafetensors(at('a'), all);
    const { tensors, fileBytes } = await openSafetensors(at('a'));
    expect([...tensors.keys()]).toEqual(['b', 'a', 'c']);
    expect((fileBytes - 12) % 8).toBe(0);
  });

  test('made by Python is read', async () => {
    const { tensors, metadata } = await openSafetensors(join(fixtures, 'models/llama-tiny/model.safetensors'));
    expect(metadata).toEqual({ format: 'pt' });
    expect(tensors.get('model.embed_tokens.weight')).toMatchObject({ dtype: 'F32' });
  });

  test('with a type of less than a byte is read', async () => {
    const tensor = { dtype: 'F4', shape: [3, 2], data_offsets: [0, 3] };
    expect((await openSafetensors(fileOf({ tensor }, 3))).tensors.get('tensor')).toMatchObject({ dtype: 'F4' });
    await expect(openSafetensors(fileOf({ tensor: { ...tensor, shape: [3] } }, 3))).rejects.toThrow(FormatError);
  });
});

describe('a file that is not as it should be is refused with its place', () => {
  const a = f32(2, 0);
  test.each<[string, unknown, number, RegExp]>([
    ['no JSON', '{"a": ', 0, /x.safetensors, header: not JSON/],
    ['no object', [1], 0, /header: not a JSON object/],
    ['no UTF-8', '{"\xff', 0, /header: not (UTF-8|JSON)/],
    [
      'a name given twice',
      `{"a": ${JSON.stringify(a)}, "\\u0061": ${JSON.stringify(a)}}`,
      8,
      /header: "a" is given twice/,
    ],
    ['metadata that is no text', { __metadata__: { a: 1 } }, 0, /__metadata__ must be an object of strings/],
    ['no entry', { a: 3 }, 0, /header, tensor "a": must be an object with dtype, shape and data_offsets/],
    ['an unknown dtype', { a: { ...a, dtype: 'F33' } }, 8, /tensor "a": dtype "F33" is not one of F64/],
    ['a negative size', { a: { ...a, shape: [-2] } }, 8, /tensor "a": shape must be a list of whole numbers/],
    ['a size that is no number', { a: { ...a, shape: ['2'] } }, 8, /tensor "a": shape must be/],
    ['one offset', { a: { ...a, data_offsets: [0] } }, 8, /tensor "a": data_offsets must be two whole numbers/],
    [
      'offsets that run backwards',
      { a: { ...a, data_offsets: [8, 0] } },
      8,
      /tensor "a": F32 of shape \[2\] has 8 bytes/,
    ],
    ['too few bytes for the shape', { a: { ...a, data_offsets: [0, 4] } }, 4, /8 bytes, but data_offsets \[0, 4\]/],
    ['a shape beyond counting', { a: { ...a, shape: [2 ** 30, 2 ** 30, 2 ** 30] } }, 8, /has too many bytes/],
    ['an overlap', { a, b: f32(2, 4) }, 12, /tensor "b" at byte \d+ overlaps the tensor before it/],
    ['the same place twice', { a, b: a }, 8, /tensor "b" at byte \d+ overlaps/],
    ['a gap', { a, b: f32(1, 12) }, 16, /tensor "b" at byte \d+ leaves a gap before it/],
    ['a gap at the start', { a: f32(1, 4) }, 8, /tensor "a" at byte \d+ leaves a gap/],
    ['data cut short', { a }, 7, /the tensors end at byte \d+, but the file after \d+: it is cut short/],
    ['bytes left over', { a }, 9, /the file has \d+: what follows belongs to none/],
  ])('%s', async (_name, header, dataBytes, message) => {
    const error = (await openSafetensors(fileOf(header, dataBytes)).catch((error: unknown) => error)) as FormatError;
    expect(error).toBeInstanceOf(FormatError);
    expect(error.message).toMatch(message);
    expect(error.file).toBe(at('x.safetensors'));
    expect(error.where).not.toBe('');
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['empty', Buffer.alloc(0), /0 bytes are too few for a safetensors file/],
    [
      'a header longer than the file',
      Buffer.from('\x10\0\0\0\0\0\0\0{}'),
      /, byte 0: the header has 16 bytes, but the file ends after 10/,
    ],
    [
      'a header beyond the limit',
      Buffer.from('\xff\xff\xff\xff\xff\xff\xff\xff{}', 'latin1'),
      /at most 100000000 are read/,
    ],
    [
      'a Git LFS pointer',
      Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\n'),
      /a Git LFS pointer.*git lfs pull/,
    ],
    ['a zip of pickles', Buffer.from('PK\x03\x04................'), /a PyTorch pickle file.*convert it to safetensors/],
    ['a pickle', Buffer.from('\x80\x02}q\x00.......', 'latin1'), /a PyTorch pickle file/],
  ])('%s', async (_name, bytes, message) => {
    writeFileSync(at('x'), bytes);
    await expect(openSafetensors(at('x'))).rejects.toThrow(FormatError);
    await expect(openSafetensors(at('x'))).rejects.toThrow(message);
  });

  test('whatever bytes are changed, a header is read or refused with a FormatError', () => {
    const valid = Buffer.from(
      JSON.stringify({
        __metadata__: { format: 'pt' },
        a: f32(2, 0),
        b: { dtype: 'BF16', shape: [2, 1], data_offsets: [8, 12] },
      }),
    );
    const change = fc.tuple(
      fc.nat({ max: valid.length - 1 }),
      fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(...Buffer.from('0123456789-.e"[]{},: '))),
    );
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat({ max: 3 }), (changes, cut) => {
        const bytes = Buffer.from(valid);
        for (const [place, byte] of changes) bytes[place] = byte;
        const header = bytes.subarray(0, bytes.length - cut);
        try {
          const { tensors } = parseSafetensorsHeader(header, { file: 'f', fileBytes: 8 + header.length + 12 });
          for (const { begin, end } of tensors.values())
            expect(end <= 8 + header.length + 12 && begin <= end).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
          expect(error).toMatchObject({ file: 'f', where: expect.stringMatching(/^header/) });
        }
      }),
      { numRuns: 5000 },
    );
  });
});

test('a file that becomes shorter after it was opened is told, not a crash', async () => {
  const file = fileOf({ a: f32(1000, 0) }, 4000);
  const { tensors } = await openSafetensors(file);
  const handle = openSync(file, 'r');
  try {
    expect(readStored(handle, tensors.get('a')!, file)).toHaveLength(4000);
    truncateSync(file, 2000);
    expect(() => readStored(handle, tensors.get('a')!, file)).toThrow(
      'x.safetensors: the file became shorter while it was read',
    );
  } finally {
    closeSync(handle);
  }
});

describe('writing', () => {
  const good = { name: 'a', dtype: 'F32', shape: [2], bytes: () => new Uint8Array(8) };
  test.each<[string, TensorToWrite[], RegExp]>([
    ['a name twice', [good, good], /a is given twice or reserved/],
    ['the reserved name', [{ ...good, name: '__metadata__' }], /given twice or reserved/],
    ['an unknown type', [{ ...good, dtype: 'float32' }], /dtype float32 is not one of F64/],
    ['half a byte', [{ ...good, dtype: 'F4', shape: [1] }], /no whole number of bytes/],
    ['too few bytes', [good, { ...good, name: 'b', shape: [3] }], /tensor b has 8 bytes, its shape needs 12/],
  ])('%s fails and leaves nothing', async (_name, tensors, message) => {
    await expect(writeSafetensors(at('out'), tensors)).rejects.toThrow(message);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('asks for one tensor after the other, once each', async () => {
    const log: string[] = [];
    const tensors = ['a', 'b'].map((name) => ({
      ...good,
      name,
      bytes: async () => {
        log.push(`${name} asked`);
        await new Promise(setImmediate);
        log.push(`${name} given`);
        return new Uint8Array(8);
      },
    }));
    await writeSafetensors(at('out'), tensors);
    expect(log).toEqual(['a asked', 'a given', 'b asked', 'b given']);
  });
});

describe('a checkpoint', () => {
  const write = (name: string, ...names: string[]) =>
    writeSafetensors(
      at(name),
      names.map((tensor) => ({ name: tensor, dtype: 'F32', shape: [], bytes: () => new Uint8Array(4) })),
    );
  const index = (map: unknown) =>
    writeFileSync(at('model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
  const [one, two] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'] as const;

  test('is one file, or shards named by an index', async () => {
    await write(one, 'a', 'b');
    await write(two, 'c');
    index({ a: one, b: one, c: two });
    const shards = await openWeights(folder);
    expect([...shards.keys()]).toEqual(['a', 'b', 'c']);
    expect(shards.get('c')).toMatchObject({ file: at(two), dtype: 'F32', shape: [] });
    await write('model.safetensors', 'd');
    const single = await openWeights(folder);
    expect([...single.keys()]).toEqual(['d']);
  });

  test('of the fixtures has all its tensors', async () => {
    const found = await openWeights(join(fixtures, 'models/llama3-untied'));
    expect(new Set([...found.values()].map(({ file }) => file)).size).toBe(5);
  });

  test.each<[string, Record<string, string>, RegExp]>([
    [
      'a tensor that no shard holds',
      { a: one, b: one, c: two, d: two },
      /index.json: "d" should be in .*00002.*, but is not/,
    ],
    ['a tensor in another shard', { a: one, b: two, c: two }, /00001.* holds "b", which the index puts into .*00002/],
    ['a tensor that the index does not list', { a: one, c: two }, /holds "b", which the index does not list/],
    ['a missing shard', { a: one, b: one, c: two, d: 'x.safetensors' }, /x.safetensors does not exist/],
    [
      'a shard elsewhere',
      { a: '../x.safetensors' },
      /shard "..\/x.safetensors" is not the name of a .safetensors file beside it/,
    ],
    ['nothing', {}, /weight_map is empty/],
  ])('with an index that has %s is refused', async (_name, map, message) => {
    await write(one, 'a', 'b');
    await write(two, 'c');
    index(map);
    await expect(openWeights(folder)).rejects.toThrow(message);
    await expect(openWeights(folder)).rejects.toBeInstanceOf(UserError);
  });

  test('with a broken index is refused', async () => {
    for (const text of ['{', '[]', '{"weight_map": 3}', '{"weight_map": {"a": 1}}']) {
      writeFileSync(at('model.safetensors.index.json'), text);
      await expect(openWeights(folder)).rejects.toThrow(FormatError);
    }
  });

  test('without weights is an error that says what is needed', async () => {
    await expect(openWeights(folder)).rejects.toThrow(
      /has no weights: model.safetensors or model.safetensors.index.json/,
    );
    writeFileSync(at('pytorch_model.bin'), '');
    await expect(openWeights(folder)).rejects.toThrow(/pytorch_model.bin holds Python pickles, which are not read/);
    await expect(openWeights(at('none'))).rejects.toThrow(/none does not exist: name a Hugging Face model folder/);
    mkdirSync(at('model.safetensors'));
    await expect(openWeights(folder)).rejects.toThrow(UserError);
  });
});
