import { appendFileSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Float } from './exact-json.js';
import { Journal } from './journal.js';

const file = () => join(mkdtempSync(join(tmpdir(), 'journal-')), 'out.partial');
const head = { seed: 1, topK: undefined, names: ['a'] };

test('results come back, a line that was cut does not, and what is added then follows', async () => {
  const path = file();
  const first = await Journal.open(path, head);
  expect(first.earlier).toEqual([]);
  await first.add({ i: 0, text: 'ä\u2028b' });
  await first.add({ i: 1 });
  await first.close();
  appendFileSync(path, '{"i": 2, "te');
  const second = await Journal.open(path, head);
  expect(second.earlier).toEqual([{ i: 0, text: 'ä\u2028b' }, { i: 1 }]);
  await second.add({ i: 2 });
  await second.close();
  const third = await Journal.open(path, head);
  expect(third.earlier).toHaveLength(3);
  await third.remove();
  expect(existsSync(path)).toBe(false);
});

test('numbers come back as they were', async () => {
  const path = file();
  const first = await Journal.open(path, head);
  const result = { n: 12345678901234567890n, x: new Float(2), y: 1.5 };
  await first.add(result);
  await first.close();
  const second = await Journal.open(path, head);
  expect(second.earlier).toEqual([result]);
  await second.close();
});

test('a head that was cut is begun anew', async () => {
  const path = file();
  writeFileSync(path, '{"seed": 1, "na');
  const journal = await Journal.open(path, head);
  await journal.close();
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ seed: 1, names: ['a'] });
});

test('other work is refused by what differs, and nothing is changed; so is a file that is no journal', async () => {
  const path = file();
  await (await Journal.open(path, head)).close();
  const before = readFileSync(path);
  await expect(Journal.open(path, { ...head, seed: 2, topK: 5 })).rejects.toThrow(/different: seed, topK\)/);
  const large = file();
  writeFileSync(large, '{"seed": 12345678901234567890, "names": ["a"]}\n');
  await expect(Journal.open(large, head)).rejects.toThrow(/different: seed\)/);
  expect(readFileSync(path)).toEqual(before);
  const names = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`${i}${'x'.repeat(5000)}`, i]));
  const long = await Journal.open(path, { ...head, ...names }).catch((error: Error) => error);
  expect((long as Error).message.length).toBeLessThan(2000);
  const other = file();
  writeFileSync(other, 'notes\n');
  await expect(Journal.open(other, head)).rejects.toThrow(/:1: not JSON/);
  await expect(Journal.open(join(other, 'x'), head)).rejects.toThrow(/cannot be written/);
});

test('numbers of results stay what they are: large integers, and floats without a fraction', async () => {
  const path = file();
  const result = { i: 0, kwargs: { id: 12345678901234567890n, share: new Float(2) } };
  const first = await Journal.open(path, head);
  await first.add(result);
  await first.close();
  expect(readFileSync(path, 'utf8')).toContain('{"id":12345678901234567890,"share":2.0}');
  const second = await Journal.open(path, head);
  expect(second.earlier).toEqual([result]);
  await second.remove();
});
