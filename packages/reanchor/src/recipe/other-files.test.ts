import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { RecipeError, UsageError } from '../errors.js';
import { readRecipe } from './parse.js';

const folder = mkdtempSync(join(tmpdir(), 'other-files-'));
const secret = 'what nobody needs to see';
const row = (i: number) =>
  JSON.stringify({ prompt: `${secret} ${i}`, chosen: `${secret}: {`, rejected: `- ${secret}` });
const rows = Array.from({ length: 351 }, (_, i) => row(i));

/** What is said of a file. */
function saidOf(name: string, content: string | Uint8Array): Error {
  const file = join(folder, name);
  writeFileSync(file, content);
  try {
    readRecipe(file);
  } catch (error) {
    return error as Error;
  }
  return expect.unreachable();
}

const recipe = 'a recipe is a YAML file with at least model, method and data;';

it.each<[name: string, content: string | Uint8Array, what: string, next: string]>([
  ['pairs.jsonl', rows.join('\n'), 'rows of data', 'its key data.train names such a file'],
  ['one.jsonl', row(0), 'rows of data', 'its key data.train names such a file'],
  ['rows', rows.join('\r\n'), 'rows of data', 'its key data.train names such a file'],
  ['large.json', rows.join('\n').repeat(1000), 'rows of data', 'its key data.train names such a file'],
  ['model-key.txt', rows.map((text) => text.replace('prompt', 'model')).join('\n'), 'rows of data', 'its key'],
  ['lists.json', '["a", "b"]\n["c", "d"]\n', 'rows of data', 'its key'],
  ['array.json', `[\n${rows.join(',\n')}\n]`, 'rows of data', 'its key'],
  ['pairs.csv', `prompt,chosen\n${secret},${secret}\n`, 'rows of data', 'its key'],
  ['pairs.jsonl.gz', gzipSync(rows.join('\n')), 'rows of data', 'its key'],
  ['pairs.parquet', Buffer.from('PAR1\0\0'), 'rows of data', 'its key'],
  ['model.safetensors', Buffer.from('\x10\0\0\0\0\0\0\0{"a":1}'), 'bytes that are no text', 'https://'],
  [
    'config.json',
    `{ "architectures": ["x"], "note": "${secret}" }`,
    'keys of which none is one of a recipe',
    'https://',
  ],
  ['row.json', row(1), 'keys of which none is one of a recipe', 'https://'],
  ['list.yaml', `- ${secret}\n- b\n`, 'a list', 'https://'],
  ['notes.txt', `${secret}\nand more\n`, 'no line of the form key: value', 'https://'],
  ['number', '42\n', 'no line of the form key: value', 'https://'],
  ['broken.txt', `${secret}\nx: "\n  y: [\n`, 'a text that is not YAML', 'https://'],
  [
    'run.json',
    JSON.stringify({ time: '', command: [], recipe: { model: 'm' }, versions: {} }),
    'the record of a run',
    'that of the run stands under the key recipe',
  ],
])('%s is no recipe, which one sentence says without a word of what is in it', (name, content, what, next) => {
  const error = saidOf(name, content);
  expect(error).toBeInstanceOf(UsageError);
  expect((error as RecipeError).problems).toHaveLength(1);
  expect(error.message).toContain(`${join(folder, name)} holds ${what} and is no recipe: ${recipe} ${next}`);
  expect(error.message).not.toContain(secret);
  expect(error.message).not.toContain('\n');
});

it('a recipe that extends such a file says so of that file', () => {
  saidOf('rows.jsonl', rows.join('\n'));
  expect(saidOf('above.yaml', 'extends: rows.jsonl\nmodel: m\n').message).toContain(
    `${join(folder, 'rows.jsonl')} holds rows of data and is no recipe`,
  );
});

it.each([
  ['in braces', '{ model: m,\n  method: dpo,\n  data: { train: a } }'],
  ['as JSON', JSON.stringify({ model: 'm', method: 'dpo', data: { train: 'a' } })],
  ['as JSON on many lines', JSON.stringify({ model: 'm', method: 'dpo', data: { train: 'a' } }, null, 2)],
  ['with comments', '# a recipe\n\nmodel: m\nmethod: dpo # {\ndata: { train: a }\n'],
])('a recipe %s is one', (name, text) => {
  const file = join(folder, `${name}.yaml`);
  writeFileSync(file, text);
  expect(readRecipe(file).model).toBe('m');
});

it.each([
  ['a key that is nearly one', 'modle: m\n', /modle: unknown key; did you mean model\?/],
  ['a key without its colon', 'model m\nmethod: dpo\n', /a colon is missing after model/],
  ['nothing but a section', 'optimizer: { lr: 1 }\n', /model: missing/],
  [
    'more than a recipe may hold',
    `model: m\n# ${'x'.repeat(1 << 20)}`,
    /characters, of which 65536 are read: is it another file\?/,
  ],
])('a text with %s is a recipe with a mistake', (_, text, message) => {
  const error = saidOf('mistake.yaml', text);
  expect(error).toBeInstanceOf(RecipeError);
  expect(error.message).toMatch(message);
});
