import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dataFolder } from '../../../../tests/support/repository.js';
import { FormatError, UserError } from '../errors.js';
import { commonPrompt, loadPreferenceRows, type PreferenceFormat } from './rows.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rows-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(...lines: unknown[]): string {
  const file = join(folder, `${Math.random()}.jsonl`);
  writeFileSync(file, lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''));
  return file;
}

const rowsOf = (lines: unknown[], format?: PreferenceFormat) => loadPreferenceRows([fileOf(...lines)], { format });
const explicit = { prompt: 'p', chosen: 'a', rejected: 'b' };
const implicit = { chosen: 'the sky is blue', rejected: 'the sky is green' };
const transcript = (question: string, answer: string) => `\n\nHuman: ${question}\n\nAssistant: ${answer}`;
const hh = { chosen: transcript('hi', 'hello'), rejected: transcript('hi', 'go away') };

describe('the form of the rows', () => {
  test('explicit prompts are taken as they are', async () => {
    expect(await rowsOf([{ ...explicit, score: 3 }])).toMatchObject([{ index: 0, line: 1, ...explicit }]);
  });

  test('implicit prompts are the common beginning, without a space at its end', async () => {
    expect(await rowsOf([implicit])).toMatchObject([{ prompt: 'the sky is', chosen: ' blue', rejected: ' green' }]);
  });

  test('transcripts are split after the last turn of the assistant', async () => {
    const long = {
      chosen: hh.chosen + transcript('more', 'yes'),
      rejected: hh.chosen + transcript('more', 'yesterday'),
    };
    expect(await rowsOf([hh, long])).toMatchObject([
      { prompt: '\n\nHuman: hi\n\nAssistant:', chosen: ' hello', rejected: ' go away' },
      { prompt: `${hh.chosen}\n\nHuman: more\n\nAssistant:`, chosen: ' yes', rejected: ' yesterday' },
    ]);
  });

  test('a prompt under another name is an error, not an implicit prompt; naming the format ignores the field', async () => {
    const row = { question: 'how is the sky?', ...implicit };
    await expect(rowsOf([row])).rejects.toThrow('"question" is not read; did you mean "prompt"?');
    expect(await rowsOf([row], 'implicit')).toMatchObject([{ prompt: 'the sky is' }]);
  });

  test('transcripts with different prompts are marked', async () => {
    const rows = await rowsOf([{ chosen: hh.chosen, rejected: transcript('ho', 'hello') }]);
    expect(rows).toMatchObject([{ skipped: 'different prompts', prompt: '\n\nHuman: hi\n\nAssistant:' }]);
  });

  test('a named form does not look at the first row, nor at a prompt that it does not use', async () => {
    expect(await rowsOf([hh], 'implicit')).toMatchObject([{ prompt: '\n\nHuman: hi\n\nAssistant:', chosen: ' hello' }]);
    expect(await rowsOf([{ prompt: ['x'], ...hh }], 'hh')).toMatchObject([{ prompt: '\n\nHuman: hi\n\nAssistant:' }]);
    expect(await rowsOf([{ ...hh, prompt: 'q' }])).toMatchObject([{ prompt: 'q', chosen: hh.chosen }]);
  });

  test('rows are numbered through all files, lines within each', async () => {
    const rows = await loadPreferenceRows([fileOf(explicit, '', explicit), fileOf(explicit)]);
    expect(rows.map(({ index, line }) => [index, line])).toEqual([
      [0, 1],
      [1, 3],
      [2, 1],
    ]);
    expect((await loadPreferenceRows([fileOf(explicit, explicit)], { limit: 1 })).length).toBe(1);
  });
});

describe('a malformed row is an error with its place', () => {
  test.each<[string, unknown[], PreferenceFormat, RegExp]>([
    ['a list', [[1]], 'auto', /:1: the row is a list, not an object; a row is \{"prompt", "chosen", "rejected"\}/],
    ['a missing field', [explicit, { prompt: 'p', chosen: 'a' }], 'auto', /:2: "rejected" is missing; a row is/],
    ['null', [{ ...explicit, chosen: null }], 'auto', /:1: "chosen" is null, not text; a row is/],
    ['a number', [{ ...explicit, prompt: 3 }], 'auto', /:1: "prompt" is a number, not text/],
    [
      'messages',
      [{ ...explicit, chosen: [{ role: 'user', content: 'x' }] }],
      'auto',
      /"chosen" is a list: conversations .* not supported yet/,
    ],
    [
      'a prompt too few',
      [explicit, implicit],
      'auto',
      /:2: "prompt" is missing: the first row has one, so every row must/,
    ],
    ['a prompt too many', [implicit, explicit], 'auto', /:2: "prompt" is given: the first row has none/],
    ['no prompt in explicit rows', [implicit], 'explicit', /:1: "prompt" is missing; a row is/],
    [
      'no answer in a transcript',
      [hh, { ...hh, rejected: '\n\nHuman: hi' }],
      'auto',
      /:2: "rejected" has no turn "\\n\\nAssistant:"/,
    ],
    ['a broken line', [explicit, '{"prompt": '], 'auto', /:2:12: not JSON/],
  ])('%s', async (_name, lines, format, message) => {
    const error = await rowsOf(lines, format).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(message);
  });

  test('a file without rows is an error', async () => {
    await expect(rowsOf([])).rejects.toThrow(UserError);
    await expect(rowsOf(['', ' '])).rejects.toThrow(/no rows; a row is/);
  });
});

describe('the common prompt is that of TRL', () => {
  test.each([
    ['ab', 'ac', 1],
    ['a b', 'a c', 1],
    ['a  b', 'a  c', 2],
    ['a', 'b', 0],
    [' a', ' b', 0],
    ['abc', 'abcd', 2],
    ['abc', 'abc', 2],
    ['a ', 'a b', 1],
    ['', 'a', 0],
    ['a😀', 'a😁', 1],
    ['a 😀', 'a 😁', 1],
    ['a😀', 'a😀b', 1],
  ])('%j and %j part at %i', (chosen, rejected, cut) => {
    expect(commonPrompt(chosen, rejected)).toBe(cut);
    expect(commonPrompt(rejected, chosen)).toBe(cut);
  });
});

test.skipIf(!dataFolder).each([
  ['hh-harmless-base', 1815, 5],
  ['hh-helpful-base', 1783, 7],
  ['ultrafeedback-1000', 1000, 0],
])('all rows of %s are read', async (name, count, differentPrompts) => {
  const rows = await loadPreferenceRows([join(dataFolder!, `preference/${name}.jsonl.gz`)]);
  expect(rows.length).toBe(count);
  expect(rows.filter(({ skipped }) => skipped !== undefined).length).toBe(differentPrompts);
});
