import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteFile } from 'hyparquet-writer';
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest';
import { dataFolder } from '../../../../tests/support/repository.js';
import { loadRows } from './rows.js';
import { publishedRows, resolveSources, sourceRecords } from './sources.js';

const root = mkdtempSync(join(tmpdir(), 'reanchor-sources-'));
afterAll(() => rmSync(root, { recursive: true }));
beforeEach(() => vi.stubEnv('REANCHOR_SOURCES', root));
afterEach(() => vi.unstubAllEnvs());

function place(path: string, bytes: string | Uint8Array): void {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes);
}

async function parquet(path: string, columns: Record<string, unknown[]>): Promise<void> {
  const filename = join(root, path);
  mkdirSync(dirname(filename), { recursive: true });
  await parquetWriteFile({
    filename,
    columnData: Object.entries(columns).map(([name, data]) => ({
      name,
      data: data as never[],
      type: typeof data[0] === 'string' ? ('STRING' as const) : ('JSON' as const),
    })),
  });
}

async function rowsOf(kind: 'pairs' | 'sft', name: string, split: 'train' | 'validation') {
  const [source] = await resolveSources([name], split);
  return loadRows(kind, sourceRecords(source!.files));
}

test('Anthropic-HH: all four subsets, each split its own files', async () => {
  const pair = (answer: string) => {
    const row = { chosen: `\n\nHuman: a\n\nAssistant: ${answer}`, rejected: '\n\nHuman: a\n\nAssistant: no' };
    return gzipSync(`${JSON.stringify(row)}\n`);
  };
  for (const subset of ['harmless-base', 'helpful-base', 'helpful-online', 'helpful-rejection-sampled']) {
    place(`Anthropic/hh-rlhf/${subset}/train.jsonl.gz`, pair(subset));
    place(`Anthropic/hh-rlhf/${subset}/test.jsonl.gz`, pair(`${subset} test`));
  }
  place('Anthropic/hh-rlhf/red-team-attempts/train.jsonl.gz', gzipSync('{"other": 1}\n'));
  const train = await rowsOf('pairs', 'anthropic/hh-rlhf', 'train');
  expect(train.map((row) => ('chosen' in row ? row.chosen : ''))).toEqual([
    ' harmless-base',
    ' helpful-base',
    ' helpful-online',
    ' helpful-rejection-sampled',
  ]);
  expect(await rowsOf('pairs', 'Anthropic/hh-rlhf', 'validation')).toHaveLength(4);
});

test('UltraFeedback and UltraChat: Parquet shards of the split, conversations inside', async () => {
  const chat = (answer: string) => [
    { role: 'user', content: 'q' },
    { role: 'assistant', content: answer },
  ];
  const feedback = { prompt: ['q', 'q'], chosen: [chat('a'), chat('b')], rejected: [chat('c'), chat('d')] };
  await parquet('HuggingFaceH4/ultrafeedback_binarized/data/train_prefs-00000-of-00001.parquet', feedback);
  await parquet('HuggingFaceH4/ultrafeedback_binarized/data/train_sft-00000-of-00001.parquet', feedback);
  const [first] = await rowsOf('pairs', 'HuggingFaceH4/ultrafeedback_binarized', 'train');
  expect(first).toMatchObject({
    prompt: [{ role: 'user', content: 'q' }],
    chosen: [{ role: 'assistant', content: 'a' }],
    rejected: [{ role: 'assistant', content: 'c' }],
  });
  await expect(resolveSources(['HuggingFaceH4/ultrafeedback_binarized'], 'validation')).rejects.toThrow(
    /validation split/,
  );

  const chats = { prompt: ['q'], messages: [[...chat('a'), ...chat('b')]] };
  await parquet('HuggingFaceH4/ultrachat_200k/data/test_sft-00000-of-00001.parquet', chats);
  expect(await rowsOf('sft', 'HuggingFaceH4/ultrachat_200k', 'validation')).toMatchObject([
    { completion: [{ role: 'assistant', content: 'b' }] },
  ]);
});

test('Reddit TL;DR: the summary that was chosen, and a note on the rows of the paper', async () => {
  const id = 'UCL-DARK/openai-tldr-summarisation-preferences';
  const row = {
    info: { post: 'P', title: 'T', subreddit: 's' },
    summaries: [{ text: 'one' }, { text: 'two' }],
    choice: 1,
    split: 'train',
  };
  place(`${id}/train.jsonl`, `${JSON.stringify(row)}\n`);
  const [source] = await resolveSources([id], 'train');
  expect(source!.notes.join()).toMatch(/73,396/);
  expect(await rowsOf('pairs', id, 'train')).toMatchObject([
    { prompt: 'SUBREDDIT: r/s\n\nTITLE: T\n\nPOST: P\n\nTL;DR:', chosen: ' two', rejected: ' one' },
  ]);
});

test('the row counts of published splits are those of the paper', () => {
  expect(publishedRows('Anthropic/hh-rlhf', 'train')).toBe(160_800);
  expect(publishedRows('HuggingFaceH4/ultrachat_200k', 'validation')).toBe(23_110);
  expect(publishedRows('somebody/else', 'train')).toBeUndefined();
});

test('a folder is all data files below it, by name; other names say what is missing', async () => {
  place('folder/b.jsonl', '');
  place('folder/a/c.json', '[]');
  place('folder/readme.md', '');
  const [source] = await resolveSources([join(root, 'folder')], 'train');
  expect(source!.files).toEqual([join(root, 'folder/a/c.json'), join(root, 'folder/b.jsonl')]);
  await expect(resolveSources(['nobody/nothing'], 'train')).rejects.toThrow(/Anthropic\/hh-rlhf/);
  vi.stubEnv('REANCHOR_SOURCES', '');
  await expect(resolveSources(['Anthropic/hh-rlhf'], 'train')).rejects.toThrow(/set REANCHOR_SOURCES/);
});

test('JSON lists and broken Parquet files: rows, or an error with the name', async () => {
  place('x.json', JSON.stringify([{ text: 'a' }, { text: 'b' }]));
  expect(await loadRows('sft', sourceRecords([join(root, 'x.json')]))).toHaveLength(2);
  place('y.json', '{"text": "a"}');
  await expect(loadRows('sft', sourceRecords([join(root, 'y.json')]))).rejects.toThrow(/y\.json.*not a list of rows/);
  place('z.parquet', 'PAR1 but no more');
  await expect(loadRows('sft', sourceRecords([join(root, 'z.parquet')]))).rejects.toThrow(/z\.parquet.*not a readable/);
});

test.skipIf(!dataFolder)('real sets of many shapes are read whole', async () => {
  const count = async (kind: 'pairs' | 'unpaired' | 'sft', path: string) =>
    (await loadRows(kind, sourceRecords([join(dataFolder!, path)]))).length;
  expect(await count('pairs', 'preference/rmb-pairwise.jsonl.gz')).toBe(14_543);
  expect(await count('pairs', 'preference/dpo-demo-sharegpt.jsonl.gz')).toBe(300);
  expect(await count('unpaired', 'preference/kto-mix-test.jsonl.gz')).toBe(1092);
  expect(await count('sft', 'sft/lima.jsonl.gz')).toBe(1029);
  expect(await count('sft', 'sft/alpaca-demo.jsonl.gz')).toBe(999);
});
