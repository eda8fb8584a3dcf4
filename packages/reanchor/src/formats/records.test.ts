import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { type RawRecord, readRecords } from './records.js';

const folder = mkdtempSync(join(tmpdir(), 'records-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function read(name: string, bytes: string | Uint8Array): Promise<RawRecord[]> {
  const file = join(folder, name);
  writeFileSync(file, bytes);
  const records: RawRecord[] = [];
  for await (const record of readRecords(file)) records.push(record);
  return records;
}
const rows = async (name: string, bytes: string | Uint8Array) =>
  (await read(name, bytes)).map(({ line, value }) => [line, value]);

describe('JSON', () => {
  const [a, b] = [{ text: 'a' }, { text: 'b\n' }];
  const lines = `${JSON.stringify(a)}\n\n${JSON.stringify(b)}\n`;
  const list = JSON.stringify([a, b], null, 2);

  test.each(['x.json', 'x.jsonl', 'x.ndjson', 'x'])(
    '%s may be one list or have a row a line, gzipped or not',
    async (name) => {
      for (const space of ['', '\n \t', '\ufeff', '\ufeff\r\n']) {
        for (const pack of [Buffer.from, gzipSync] as const) {
          expect(await rows(name, pack(space + list))).toEqual([
            [1, a],
            [2, b],
          ]);
          const at = space.split('\n').length;
          expect(await rows(name, pack(space + lines))).toEqual([
            [at, a],
            [at + 2, b],
          ]);
        }
      }
      expect(await rows(name, lines.trim())).toHaveLength(2);
      expect(await rows(name, JSON.stringify(a))).toEqual([[1, a]]);
      expect(await rows(name, '[]')).toEqual([]);
      expect(await rows(name, ' \n')).toEqual([]);
    },
  );

  test('of another form is refused with its place', async () => {
    await expect(read('x.json', '{\n "text": "a"\n}')).rejects.toThrow(
      /x\.json:1:2: not JSON \(the line ends too early\)/,
    );
    await expect(read('x.json', '[{"text": "a"},')).rejects.toThrow(/x\.json: not JSON/);
    await expect(read('x.json.gz', gzipSync(lines).subarray(0, 20))).rejects.toThrow(/the gzip stream is cut short/);
    await expect(read('x.json', 'PAR1')).rejects.toThrow(/a Parquet file: its name has to end in \.parquet/);
  });
});

describe('CSV and TSV', () => {
  test('are rows of text, whatever a cell looks like', async () => {
    const text = '\ufeffprompt,completion,label\r\n"a, ""b""\nc",None,True\r\n1,,0\r\n';
    const expected = [
      { line: 2, value: { prompt: 'a, "b"\nc', completion: 'None', label: 'True' }, isText: true },
      { line: 4, value: { prompt: '1', completion: '', label: '0' }, isText: true },
    ];
    for (const pack of [Buffer.from, gzipSync] as const)
      expect(await read('x.csv', pack(text))).toMatchObject(expected);
    expect(await read('X.TSV', text.replaceAll(/,(?! )/g, '\t'))).toMatchObject(expected);
  });

  test('with messages written into a cell are refused', async () => {
    const chat = `[{'role': 'user', 'content': 'a'}]`;
    await expect(read('x.csv', `prompt,chosen\na,b\nc,"${chat}"\n`)).rejects.toThrow(
      /x\.csv:3: column "chosen" holds messages written as text, .*: make the file JSONL, with lists of messages/,
    );
    expect(await read('x.csv', 'prompt\n"[a] {role}"\n')).toHaveLength(1);
  });
});

test('a file that is not there is named with what is allowed', async () => {
  const none = async () => {
    for await (const _ of readRecords(join(folder, 'none.jsonl')));
  };
  await expect(none()).rejects.toThrow(
    /none\.jsonl does not exist: name a file of rows \(\.jsonl, \.json, \.csv, \.tsv/,
  );
});
