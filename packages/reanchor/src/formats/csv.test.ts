import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { type CsvOptions, csvText, readCsv } from './csv.js';

const folder = mkdtempSync(join(tmpdir(), 'csv-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'a.csv');
const read = (text: string | Buffer, options: CsvOptions = {}) => {
  writeFileSync(file, text);
  return readCsv(file, options);
};

test('cells by column, with quotes, line breaks, empty cells, CRLF and gzip', async () => {
  const text = '\ufeffa,b\r\n1,"x, ""y""\nz"\r\n,\n"last",2';
  const rows = [
    { line: 2, cells: { a: '1', b: 'x, "y"\nz' } },
    { line: 4, cells: { a: '', b: '' } },
    { line: 5, cells: { a: 'last', b: '2' } },
  ];
  expect(await read(text)).toEqual(rows);
  expect(await read(gzipSync(text))).toEqual(rows);
  expect(await read('a\n1\n\n2\n')).toEqual([
    { line: 2, cells: { a: '1' } },
    { line: 4, cells: { a: '2' } },
  ]);
});

test('tabs may separate them, and a quote inside of a cell is one', async () => {
  expect(await read('a\tb, c\n5" pipe\t"x\ty"\n', { separator: '\t' })).toEqual([
    { line: 2, cells: { a: '5" pipe', 'b, c': 'x\ty' } },
  ]);
});

test('what is written by the rules is read back', async () => {
  const cell = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' ', 'é'), maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(cell, cell), { maxLength: 5 }), async (rows) => {
      const quoted = rows.map((row) => row.map((one) => `"${one.replaceAll('"', '""')}"`).join(','));
      const found = await read(['x,y', ...quoted].join('\n'));
      expect(found.map(({ cells }) => [cells.x, cells.y])).toEqual(rows);
    }),
    { numRuns: 50 },
  );
});

test('mistakes are named with their line', async () => {
  await expect(read('')).rejects.toThrow(/a\.csv: no header/);
  await expect(read('a,b\n1\n')).rejects.toThrow(/a\.csv:2: 1 cells, the header has 2/);
  await expect(read('a,b\n1,2\n"x,2\n')).rejects.toThrow(/a\.csv:3: a quote/);
  await expect(read('a,b\n1,"x"y\n')).rejects.toThrow(/a\.csv:2: a quote that is not closed, or something behind one/);
  await expect(read('a,b,a\n')).rejects.toThrow(/a\.csv:1: two columns are called "a"/);
  await expect(read('a,b\n', { required: ['a', 'c', 'd'] })).rejects.toThrow(/no column c, d; its columns are a, b/);
  await expect(readCsv(join(folder, 'none.csv'))).rejects.toThrow(/none\.csv does not exist/);
});

test('what is written is read back', async () => {
  const cell = fc.string({ unit: fc.constantFrom('a', ' ', ',', '"', '\n', '\r', '\t', 'é') });
  const rows = fc.array(fc.tuple(cell, cell), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(rows, async (given) => {
      const found = await read(csvText([['x', 'y, z'], ...given]));
      expect(found.map(({ cells }) => [cells.x, cells['y, z']])).toEqual(given);
    }),
  );
});
