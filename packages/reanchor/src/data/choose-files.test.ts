import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fixtures } from '../../../../tests/support/repository.js';
import { UserError } from '../errors.js';
import { chooseFiles, type FileChoice } from './choose-files.js';
import { isReadable } from './data-file-kinds.js';

const choose = (paths: readonly string[], choice: Partial<FileChoice> = {}, texts: Record<string, string> = {}) =>
  chooseFiles(
    { paths: [...paths, ...Object.keys(texts)], read: async (path) => texts[path]! },
    { name: 'some/set', selection: undefined, split: 'train', ...choice },
  );

interface Tree {
  paths: string[];
  card?: string;
  error?: string;
  configs: Record<string, Record<string, string[]> | null>;
  default: string | null;
}

describe("the files of some hundred trees are those that Python's datasets takes, or refused", () => {
  const trees = readFileSync(join(fixtures, 'splits/trees.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Tree);
  const found = ({ paths, card }: Tree, choice: Partial<FileChoice>) =>
    choose(paths, choice, card === undefined ? {} : { 'README.md': card }).catch((error: unknown) => {
      if (error instanceof UserError) return 'refused';
      throw error;
    });
  /** Of a split that has files which are not read, an error is wanted. */
  const wanted = (files: string[] | undefined) => (files?.length && files.every(isReadable) ? files : 'refused');
  const resolved = trees.filter(({ error }) => error === undefined);

  test('every split of every configuration', async () => {
    let count = 0;
    for (const tree of resolved) {
      for (const [config, splits] of Object.entries(tree.configs)) {
        for (const split of ['train', 'validation', 'test', 'logs', ...Object.keys(splits ?? {})]) {
          const selection = `${config}/${split}`;
          expect([tree.paths, tree.card, selection, await found(tree, { selection })]).toEqual([
            ...[tree.paths, tree.card, selection],
            wanted(splits?.[split]),
          ]);
          count++;
        }
      }
    }
    expect(resolved.length).toBeGreaterThan(500);
    expect(count).toBeGreaterThan(2000);
  });

  test('the default configuration and its training split', async () => {
    for (const tree of resolved) {
      const files = tree.default === null ? undefined : tree.configs[tree.default]?.train;
      expect([tree.paths, tree.card, await found(tree, {})]).toEqual([tree.paths, tree.card, wanted(files)]);
    }
  });

  test('trees of which datasets makes nothing at all', async () => {
    const none = trees.filter(({ error }) => error === 'EmptyDatasetError' || error === 'TypeError');
    expect(none.length).toBeGreaterThan(20);
    for (const tree of none) expect([tree, await found(tree, {})]).toEqual([tree, 'refused']);
  });
});

describe('a split that a name asks for', () => {
  const mix = [
    'data/train_prefs-00000-of-00001.jsonl',
    'data/train_sft-00000-of-00001.jsonl',
    'data/test_prefs-00000-of-00001.jsonl',
  ];

  test('is no other one whose name begins like it', async () => {
    await expect(choose(mix)).rejects.toThrow(
      /some\/set has no split train; its splits are test_prefs \(.*\), train_prefs \(.*\), train_sft \(.*\); name one, such as some\/set:train_prefs$/,
    );
    await expect(choose(mix, { split: 'validation' })).rejects.toThrow(/name one, such as some\/set:test_prefs$/);
    expect(await choose(mix, { selection: 'train_prefs' })).toEqual([mix[0]]);
    expect(await choose(mix, { selection: 'default/train_sft' })).toEqual([mix[1]]);
    await expect(choose(mix, { selection: 'train' })).rejects.toThrow(/has no split train;/);
  });

  test('for validation is test where there is no validation', async () => {
    const paths = ['train.jsonl', 'test.jsonl'];
    expect(await choose(paths, { split: 'validation' })).toEqual(['test.jsonl']);
    expect(await choose([...paths, 'dev.jsonl'], { split: 'validation' })).toEqual(['dev.jsonl']);
    await expect(choose(['train.jsonl'], { split: 'validation' })).rejects.toThrow(
      /has no split validation or test; its/,
    );
  });

  test("of one's own folder without names of splits is all of it, for training and for validation", async () => {
    const paths = ['a.jsonl', 'b/c.jsonl'];
    for (const split of ['train', 'validation'] as const) {
      expect(await choose(paths, { split, isOwn: true })).toEqual(paths);
      await expect(choose(['test.jsonl', 'train.jsonl'], { split, isOwn: true })).resolves.toHaveLength(1);
    }
    await expect(choose(paths, { split: 'validation' })).rejects.toThrow(/has no split validation or test/);
    await expect(choose(['test.jsonl'], { isOwn: true })).rejects.toThrow(
      /no split train; its splits are test \(test\.jsonl\)/,
    );
  });

  test.each([
    ['train[:100]', /parts and sums of splits are not read; .* data\.limit reads the first rows/],
    ['train+test', /parts and sums/],
    ['', /names no split: write some\/set:SPLIT or some\/set:CONFIGURATION\/SPLIT/],
    ['en/', /names no split/],
    ['en/train', /has no configuration "en"; it has default/],
  ])('is refused as %j', async (selection, message) => {
    await expect(choose(mix, { selection })).rejects.toThrow(message);
  });
});

describe('files beside the rows', () => {
  test('of another kind are left out with a note, and of a kind that is not read are refused', async () => {
    const notes: string[] = [];
    const onNote = (note: string) => notes.push(note);
    expect(await choose(['a.jsonl', 'b.jsonl', 'c.parquet', 'LICENSE.txt'], { onNote })).toEqual([
      'a.jsonl',
      'b.jsonl',
    ]);
    expect(notes).toEqual([
      "some/set: of split train the JSON files are read, and not LICENSE.txt, c.parquet, as Python's datasets does",
    ]);
    await expect(choose(['a.jsonl', 'b.txt', 'c.txt'])).rejects.toThrow(
      /split train has plain text files that are not read \(b\.txt, c\.txt\): make JSONL of them; what is read ends in \.jsonl/,
    );
    await expect(choose(['a.jsonl.zst'])).rejects.toThrow(/has JSON files that are not read \(a\.jsonl\.zst\)/);
    await expect(choose(['a.jsonl', 'more.zip'])).rejects.toThrow(/not read \(more\.zip\)/);
    await expect(choose(['train/data-00000-of-00001.arrow'])).rejects.toThrow(/Arrow files that are not read/);
  });

  test('that make the rows by a program are not run', async () => {
    await expect(choose(['rows.jsonl', 'set.py'])).rejects.toThrow(
      /some\/set is made by a script, set\.py, which is not run/,
    );
  });
});

describe('a card', () => {
  const card = (configs: string) => ({ 'README.md': `---\nlicense: mit\nconfigs:\n${configs}\n---\n# Rows\n` });
  const paths = ['one/a.jsonl', 'two/b.jsonl', 'train.jsonl'];
  const two = (more = '') =>
    card(
      `- config_name: en\n  data_files: one/*\n- config_name: de${more}\n  data_files: [{split: test, path: two/*}]`,
    );

  test('names configurations, of which one may be the default', async () => {
    await expect(choose(paths, {}, two())).rejects.toThrow(
      /some\/set has no default configuration among en, de: name one and its split, such as some\/set:en\/train/,
    );
    expect(await choose(paths, { selection: 'en/train' }, two())).toEqual(['one/a.jsonl']);
    expect(await choose(paths, { split: 'validation' }, two('\n  default: true'))).toEqual(['two/b.jsonl']);
    await expect(choose(paths, { selection: 'en/test' }, two())).rejects.toThrow(
      /some\/set:en has no split test; its splits are train \(one\/a\.jsonl\); name one, such as some\/set:en\/train/,
    );
    await expect(choose(paths, { selection: 'fr/train' }, two())).rejects.toThrow(
      /no configuration "fr"; it has en, de/,
    );
    await expect(
      choose(paths, {}, card('- config_name: a\n  default: true\n- config_name: b\n  default: true')),
    ).rejects.toThrow(/more than one default configuration among a, b/);
  });

  test('counts less than .huggingface.yaml beside it', async () => {
    const texts = { ...two(), '.huggingface.yaml': 'configs:\n- config_name: x\n  data_files: two/b.jsonl' };
    expect(await choose(paths, {}, texts)).toEqual(['two/b.jsonl']);
  });

  test.each([
    [
      '- config_name: a\n  data_files: no/such.jsonl',
      /some\/set: split train is "no\/such\.jsonl", and there is no such data file/,
    ],
    ['- config_name: a\n  data_files: https://example.org/x.jsonl', /there is no such data file/],
    ['- config_name: a\n  data_files: ../x.jsonl', /there is no such data file/],
    ['- config_name: a\n  data_files: "**.jsonl"', /the pattern "\*\*\.jsonl" has \*\* inside of a name/],
    ['- config_name: a\n  data_files: none*', /split train has no data file/],
    ['- data_files: one/*', /some\/set\/README\.md: configs: .* has no config_name/],
    ['- config_name: a\n  data_files: {train: one/*}', /data_files .* is neither a path nor \{ split, path \}/],
    ['- config_name: a\n  data_files: [{split: a-b, path: one/*}]', /"a-b" is not the name of a split/],
    ['- config_name: a\n  data_files: [{split: a, path: one}, {split: a, path: two}]', /lists split a twice/],
    ['- config_name: a\n- config_name: a', /"a" is listed twice/],
    ['  en: 1', /\{"en":1\} is not a list/],
    ['- [', /some\/set\/README\.md: its YAML cannot be read/],
  ])('that cannot be meant is refused: %j', async (configs, message) => {
    const error = await choose(paths, {}, card(configs)).catch((one: unknown) => one);
    expect(error).toBeInstanceOf(UserError);
    expect((error as Error).message).toMatch(message);
  });
});
