import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { processorMs } from '../../../../tests/support/processor-time.js';
import { FormatError, UserError } from '../errors.js';
import { type JsonLine, readJsonl, writeJsonl } from './jsonl.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'jsonl-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function read(file: string): Promise<JsonLine[]> {
  const lines: JsonLine[] = [];
  for await (const line of readJsonl(file)) lines.push(line);
  return lines;
}

function fileOf(content: string | Uint8Array, name = 'file.jsonl'): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

describe('what is read', () => {
  test('is what was written, gzipped or not', async () => {
    const values = fc.array(fc.jsonValue(), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(values, fc.constantFrom('a.jsonl', 'a.jsonl.gz'), async (values, name) => {
        const file = join(folder, name);
        await writeJsonl(file, values);
        const plain = JSON.parse(JSON.stringify(values)) as unknown[];
        expect(await read(file)).toEqual(plain.map((value, i) => ({ line: i + 1, value })));
      }),
      { numRuns: 100 },
    );
  });

  test('keeps U+2028, U+2029 and U+0085 inside of a line', async () => {
    const value = { text: 'a\u2028b\u2029c\u0085d\ve' };
    expect(await read(fileOf(`{"text": "a\u2028b\u2029c\u0085d\\u000be"}\n`))).toEqual([{ line: 1, value }]);
  });

  test('takes a byte order mark, CR LF, blank lines and a last line without end', async () => {
    expect(await read(fileOf('\ufeff1\r\n\n  \n"a"\n{}'))).toEqual([
      { line: 1, value: 1 },
      { line: 4, value: 'a' },
      { line: 5, value: {} },
    ]);
    expect(await read(fileOf(''))).toEqual([]);
  });

  test('is whole where a character or a line lies across chunks', async () => {
    const texts = Array.from({ length: 2000 }, (_, i) => '😀é中'.repeat(i % 97) + 'x'.repeat(i % 5));
    const long = 'ü'.repeat(300_000);
    const content = [...texts, long].map((text) => JSON.stringify(text)).join('\n');
    for (const bytes of [Buffer.from(content), gzipSync(content)]) {
      expect((await read(fileOf(bytes))).map(({ value }) => value)).toEqual([...texts, long]);
    }
  });

  test('is known as gzip by its first bytes, not by its name, in several members too', async () => {
    const members = Buffer.concat([gzipSync('1\n'), gzipSync('2\n')]);
    expect((await read(fileOf(members))).map(({ value }) => value)).toEqual([1, 2]);
    expect((await read(fileOf('3\n', 'plain.gz'))).map(({ value }) => value)).toEqual([3]);
  });

  test('may be left after the first line', async () => {
    for await (const { value } of readJsonl(fileOf(gzipSync('1\n'.repeat(100_000))))) {
      expect(value).toBe(1);
      break;
    }
  });
});

describe('what cannot be read is an error with its place', () => {
  const cut = gzipSync('{"a": 1}\n'.repeat(10_000)).subarray(0, -20);
  const damaged = Buffer.from(gzipSync(Array.from({ length: 500 }, (_, i) => `${i * 7919}\n`).join('')));
  damaged.fill(0xff, damaged.length >> 1, (damaged.length >> 1) + 8);
  test.each<[string, string | Uint8Array, RegExp]>([
    [
      'broken JSON',
      '{"a": 1}\n\n{"a": secret}\n',
      /file.jsonl:3:7: not JSON \(unexpected character\): a JSONL file has one whole JSON value a line/,
    ],
    ['a line cut short', '{"a": "b', /file.jsonl:1:9: not JSON \(the line ends too early\)/],
    ['JSON over several lines', '[\n  {"a": 1}\n]\n', /file.jsonl:1:2: not JSON \(the line ends too early\)/],
    ['another encoding', Buffer.from('1\n"\xe9"\n', 'latin1'), /file.jsonl:2: not UTF-8/],
    ['a gzip stream cut short', cut, /file.jsonl:\d+: the gzip stream is cut short/],
    ['a damaged gzip stream', damaged, /file.jsonl:\d+: the gzip stream is broken/],
    ['a Parquet file', 'PAR1...', /file.jsonl: a Parquet file: its name has to end in .parquet/],
  ])('%s', async (_name, content, message) => {
    const error = (await read(fileOf(content)).catch((error: unknown) => error)) as FormatError;
    expect(error).toBeInstanceOf(FormatError);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('secret');
    expect(error.file).toBe(join(folder, 'file.jsonl'));
  });

  test('a line without an end, and a gzip stream that unpacks to no end', async () => {
    await expect(read(fileOf(Buffer.alloc((1 << 26) + (1 << 17), 0x61)))).rejects.toThrow(
      /file\.jsonl:1: a line of more than 67108864 bytes/,
    );
    for (const byte of [10, 0x61]) {
      const begin = processorMs();
      await expect(read(fileOf(gzipSync(Buffer.alloc(1 << 26, byte))))).rejects.toThrow(
        /file\.jsonl:\d+: the gzip stream unpacks \d+ bytes to more than \d+: no rows are packed so well/,
      );
      expect(processorMs() - begin).toBeLessThan(2000);
    }
    // What is packed well, but is rows.
    const rows = gzipSync(
      Array.from({ length: 30_000 }, (_, i) => `{"index": ${i}, "text": "${'a'.repeat(400)}"}\n`).join(''),
    );
    expect(await read(fileOf(rows))).toHaveLength(30_000);
  });

  test('a missing file and a folder', async () => {
    await expect(read(join(folder, 'none'))).rejects.toThrow(/none does not exist: name a JSONL file/);
    await expect(read(folder)).rejects.toThrow(/is a folder: name a JSONL file/);
    await expect(read(folder)).rejects.toBeInstanceOf(UserError);
  });
});

describe('what is written', () => {
  test('is one line a value, from any source', async () => {
    async function* source() {
      yield { a: 'x\u2028' };
      yield [1, null];
    }
    const file = join(folder, 'out.jsonl');
    await writeJsonl(file, source());
    expect(readFileSync(file, 'utf8')).toBe('{"a":"x\u2028"}\n[1,null]\n');
    await writeJsonl(`${file}.gz`, [1, 2]);
    expect(gunzipSync(readFileSync(`${file}.gz`)).toString()).toBe('1\n2\n');
  });

  test.each(['failed.jsonl', 'failed.jsonl.gz'])('is nothing when the source fails: %s', async (name) => {
    async function* source() {
      yield 1;
      throw new Error('no more');
    }
    await expect(writeJsonl(join(folder, name), source())).rejects.toThrow('no more');
    expect(readdirSync(folder).filter((entry) => entry.startsWith('failed'))).toEqual([]);
    await expect(writeJsonl(join(folder, name), [1, undefined])).rejects.toThrow(
      'no JSON for a value of type undefined',
    );
  });
});
