// Which labels say that a completion is desirable: those that Python's datasets and TRL read so, and what CSV writes.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadRows } from './rows.js';
import { sourceRecords } from './sources.js';

const folder = mkdtempSync(join(tmpdir(), 'labels-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function read(name: string, text: string) {
  const file = join(folder, name);
  writeFileSync(file, text);
  const notes: string[] = [];
  const onNote = (note: string) => notes.push(note.replace(file, name));
  const rows = await loadRows('unpaired', sourceRecords([file, file]), { onNote });
  return { labels: rows.map(({ label }) => label), notes };
}
const jsonl = (...labels: unknown[]) =>
  labels.map((label) => JSON.stringify({ prompt: 'p', completion: 'c', label })).join('\n');
const csv = (...labels: string[]) => ['prompt,completion,label', ...labels.map((label) => `p,c,${label}`)].join('\n');

test('true and false say it without a note', async () => {
  expect(await read('a.jsonl', jsonl(true, false))).toEqual({ labels: [true, false, true, false], notes: [] });
  expect(await read('a.csv', csv('True', 'FALSE'))).toEqual({ labels: [true, false, true, false], notes: [] });
});

test('1 and 0 do, with one note a file', async () => {
  const note = '"label" is 1 or 0; 1 is read as true, a desirable completion, 0 as false';
  expect(await read('b.jsonl', jsonl(1, 0))).toEqual({
    labels: [true, false, true, false],
    notes: [`b.jsonl: ${note}`],
  });
  expect(await read('b.csv', csv('1', '0.0'))).toEqual({
    labels: [true, false, true, false],
    notes: [`b.csv: ${note}`],
  });
  const float = '{"prompt": "p", "completion": "c", "label": 1.0}';
  for (const text of [float, `[${float}]`]) {
    expect(await read('b.json', text)).toEqual({ labels: [true, true], notes: [`b.json: ${note}`] });
  }
  const tagged = JSON.stringify({ instruction: 'p', output: 'c', tag: 0 });
  expect(await read('c.jsonl', tagged)).toMatchObject({
    labels: [false, false],
    notes: [expect.stringMatching(/"tag" is 1 or 0/)],
  });
});

test.each<[string, string]>([
  ['a number', jsonl(2)],
  ['a number', jsonl(-1)],
  ['a number', jsonl(0.5)],
  // Python takes every text but the empty one for true.
  ['text', jsonl('false')],
  ['text', jsonl('1')],
])('%s that may mean something else is refused: %s', async (what, text) => {
  await expect(read('d.jsonl', text)).rejects.toThrow(
    new RegExp(`d\\.jsonl:1: "label" is ${what}, not true or false \\(or 1 or 0\\); a row is`),
  );
});

test('of CSV, other words are refused', async () => {
  for (const word of ['good', '', '10', '-1', 'yes']) {
    await expect(read('d.csv', csv(word))).rejects.toThrow(/d\.csv:2: "label" is text, not true or false/);
  }
});
