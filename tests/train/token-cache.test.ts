// Rows are made tokens once: by what their file in the cache is found again, and by what not.
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import { cacheVerb } from '#reanchor/cli/cache.js';
import { Terminal } from '#reanchor/cli/terminal.js';
import { type RecipeDataOptions, recipeData } from '#reanchor/planning/data.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { loadTokenizer } from '#reanchor/text/index.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'token-cache-'));
afterAll(() => rmSync(folder, { recursive: true }));

const file = join(folder, 'pairs.jsonl');
const model = join(folder, 'model');
beforeEach(() => {
  vi.stubEnv('REANCHOR_TOKENS', mkdtempSync(join(folder, 'tokens-')));
  cpSync(tinyPairs, file);
  cpSync(tinyModel, model, { recursive: true });
  return () => vi.unstubAllEnvs();
});

/** The rows of a recipe, and whether they were read anew. */
async function read(set: object = {}, options: RecipeDataOptions = {}, seed = 0) {
  const data = { train: file, maxLength: 96, ...set };
  const recipe = parseRecipe(JSON.stringify({ model, method: 'dpo', seed, data }), { file: 'test.yaml', env: {} });
  const onReading = vi.fn();
  const { train, ...others } = await recipeData(recipe, await loadTokenizer(model), { ...options, onReading });
  return { rows: { train: [...train], ...others }, isAnew: onReading.mock.calls.length > 0 };
}

test('the same rows are read once, and are the same from the cache, with all that is said of them', async () => {
  const first = await read({ validation: 8 });
  const again = await read({ validation: 8 });
  expect([first.isAnew, again.isAnew]).toEqual([true, false]);
  expect(again.rows).toEqual(first.rows);
  expect(first.rows.report.skips[0]!.byReason.size).toBeGreaterThan(0);
  vi.stubEnv('REANCHOR_TOKENS', 'off');
  const without = await read({ validation: 8 });
  expect(without).toEqual({ ...first, isAnew: true });
});

test('another seed holds out other rows of the same file', async () => {
  const [one, other] = [await read({ validation: 8 }), await read({ validation: 8 }, {}, 1)];
  expect(other.isAnew).toBe(false);
  const lines = ({ rows }: typeof one) => rows.validation.map(({ line }) => line);
  expect(lines(other)).not.toEqual(lines(one));
  const all = ({ rows }: typeof one) => [...rows.train, ...rows.validation].map(({ line }) => line).sort();
  expect(all(other)).toEqual(all(one));
});

test('what is evaluated on has no identical pairs, also where they are trained on', async () => {
  const both = await read({ validation: 8, keepIdentical: true });
  const pairs = both.rows.validation as { chosen: Int32Array; rejected: Int32Array }[];
  expect(pairs.every(({ chosen, rejected }) => chosen.join() !== rejected.join())).toBe(true);
});

test.each<[string, () => ReturnType<typeof read>]>([
  [
    'another content of the file',
    () => {
      appendFileSync(file, readFileSync(tinyPairs));
      return read();
    },
  ],
  ['maxLength', () => read({ maxLength: 64 })],
  ['limit', () => read({ limit: 5 })],
  ['truncate', () => read({ truncate: 'keepEnd' })],
  ['keepIdentical', () => read({ keepIdentical: true })],
  ['a chat template', () => read({ chatTemplate: 'hh' })],
  [
    'the tokenizer',
    () => {
      const name = join(model, 'tokenizer_config.json');
      const config = JSON.parse(readFileSync(name, 'utf8')) as object;
      writeFileSync(name, JSON.stringify({ ...config, eos_token: '<s>' }));
      return read();
    },
  ],
])('%s makes them anew', async (_, change) => {
  await read();
  expect((await change()).isAnew).toBe(true);
});

test('the day counts where the template writes it', async () => {
  const day = (of: number) => ({ now: new Date(2026, 10, of, 12) });
  const dated = {
    chatTemplate: "{{ strftime_now('%d') }}{% for m in messages %}{{ m.content + eos_token }}{% endfor %}",
  };
  await read(dated, day(1));
  expect((await read(dated, day(1))).isAnew).toBe(false);
  expect((await read(dated, day(2))).isAnew).toBe(true);
  mkdirSync(join(model, 'additional_chat_templates'));
  writeFileSync(join(model, 'chat_template.jinja'), '{% for m in messages %}{{ m.content + eos_token }}{% endfor %}');
  writeFileSync(join(model, 'additional_chat_templates/tool_use.jinja'), dated.chatTemplate);
  await read({ chatTemplate: 'model' }, day(1));
  expect((await read({ chatTemplate: 'model' }, day(1))).isAnew).toBe(false);
  expect((await read({ chatTemplate: 'model' }, day(2))).isAnew).toBe(true);
  await read({ chatTemplate: 'hh' }, day(1));
  expect((await read({ chatTemplate: 'hh' }, day(2))).isAnew).toBe(false);
});

test('reanchor cache lists what is kept, and clears it', async () => {
  await read();
  await read({ maxLength: 64 });
  const printed: string[] = [];
  const print = { write: (text: string) => printed.push(text) };
  const told = (flags: object, now?: number) => {
    printed.length = 0;
    cacheVerb(flags, new Terminal({ stdout: print, stderr: print, env: {} }), now);
    return printed.join('');
  };
  expect(told({})).toMatch(/^name +rows +size +used +of\n.*pairs\.jsonl\n.*pairs\.jsonl\n2 files, \d+ KiB in /);
  expect(JSON.parse(told({ json: true })).files).toHaveLength(2);
  expect(told({ clear: true, unusedFor: '30' })).toMatch(/^0 files/);
  expect(told({ clear: true, unusedFor: '30' }, Date.now() + 31 * 86_400_000)).toMatch(/deleted 2 files\n$/);
  expect(told({})).toMatch(/^0 files/);
  expect(() => told({ unusedFor: 'x' })).toThrow(/--unused-for/);
  expect((await read()).isAnew).toBe(true);
  vi.stubEnv('REANCHOR_TOKENS', 'off');
  expect(told({})).toBe('REANCHOR_TOKENS is off: no rows are kept\n');
  vi.stubEnv('REANCHOR_TOKENS', 'below/here');
  expect(() => told({})).toThrow(/REANCHOR_TOKENS is "below\/here": name an absolute folder/);
});
