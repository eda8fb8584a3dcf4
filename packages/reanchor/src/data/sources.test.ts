import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteFile } from 'hyparquet-writer';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { HubServer } from '../../../../tests/support/hub-server.js';
import { dataFolder } from '../../../../tests/support/repository.js';
import { countProblem, publishedSet } from './published.js';
import { loadRows } from './rows.js';
import { isLocalSource, resolveSources, sourceRecords } from './sources.js';

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
  return loadRows(kind, source!.records());
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

const tldr = 'UCL-DARK/openai-tldr-summarisation-preferences';
const comparison = (
  post: string,
  [chosen, rejected]: [string, string],
  info: object = { title: 'T', subreddit: 's' },
) => ({
  info: { post, ...info },
  summaries: [
    { text: rejected, policy: 'a' },
    { text: chosen, policy: 'b' },
  ],
  choice: 1,
  worker: 'w',
  batch: 'b',
  split: 'train',
});
const lines = (rows: unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

test('Reddit TL;DR: the summary that was chosen, and a note on the rows of the paper', async () => {
  place(`${tldr}/train.jsonl`, lines([comparison('P', ['two', 'one'])]));
  expect(await rowsOf('pairs', tldr, 'train')).toMatchObject([
    { prompt: 'SUBREDDIT: r/s\n\nTITLE: T\n\nPOST: P\n\nTL;DR:', chosen: ' two', rejected: ' one' },
  ]);
  const [source] = await resolveSources([tldr], 'train');
  await loadRows('pairs', source!.records());
  expect(source!.note(1)).toMatch(/train split: 1 rows were read, 1 rows are used: the paper uses 73,396.*every pair/);
  expect(source!.countProblem()).toMatch(/1 rows were read, and about 92,900 are published/);
});

test('Reddit TL;DR for SFT: each summary once that no comparison of its post rejects', async () => {
  const rows = [
    comparison('P', ['good', 'bad']),
    comparison('P', ['good', 'worse']),
    comparison('P', ['middling', 'bad']),
    comparison('P', ['best', 'middling']),
    comparison('Q', ['bad', 'good']),
    comparison('Q', ['bad ', 'other'], { title: 'another', subreddit: 's' }),
    comparison('R', ['same', 'same']),
  ];
  place(`${tldr}/valid.jsonl`, lines(rows));
  const [source] = await resolveSources([`${tldr}:sft`], 'validation');
  const kept = await loadRows('sft', source!.records());
  expect(kept.map(({ line, completion }) => [line, completion])).toEqual([
    [1, ' good'],
    [4, ' best'],
    [5, ' bad'],
    [6, ' bad'],
  ]);
  expect(source!.note(4)).toMatch(
    /4 of the 6 different preferred summaries in 7 comparisons were read, 4 rows are used: the paper has 11,941/,
  );
  expect(source!.countProblem()).toMatch(/7 rows were read, and about 33,100 are published/);
  await expect(resolveSources([`${tldr}:rl`], 'validation')).rejects.toThrow(
    /has no split rl; its splits are train .*, validation .*; it also has the parts sft;/,
  );
  await expect(resolveSources(['Anthropic/hh-rlhf:sft'], 'train')).rejects.toThrow(/has no split sft; its splits are/);
});

test('the row counts of published splits are those of the paper; of TL;DR those of its files, to three digits', () => {
  const rows = (id: string, split: 'train' | 'validation') => publishedSet(id)?.splits[split].rows;
  expect(rows('anthropic/HH-rlhf', 'train')).toEqual({ exactly: 160_800 });
  expect(rows('Anthropic/hh-rlhf', 'validation')).toEqual({ exactly: 8552 });
  expect(rows('HuggingFaceH4/ultrachat_200k', 'train')).toEqual({ exactly: 207_865 });
  expect(rows('HuggingFaceH4/ultrachat_200k', 'validation')).toEqual({ exactly: 23_110 });
  expect(rows('HuggingFaceH4/ultrafeedback_binarized', 'train')).toEqual({ exactly: 61_135 });
  expect(rows('HuggingFaceH4/ultrafeedback_binarized', 'validation')).toEqual({ exactly: 2000 });
  expect(rows('somebody/else', 'train')).toBeUndefined();
  expect(countProblem(8552, { exactly: 8552 })).toBeUndefined();
  expect(countProblem(8551, { exactly: 8552 })).toBe('8,551 rows were read, and 8,552 are published');
  expect(countProblem(92_858, { toHundred: 92_900 })).toBeUndefined();
  expect(countProblem(92_000, { toHundred: 92_900 })).toMatch(/92,000 rows were read, and about 92,900/);
});

test('shards have to be there in full number', async () => {
  place('HuggingFaceH4/ultrachat_200k/data/train_sft-00000-of-00003-abc.parquet', '');
  await expect(resolveSources(['HuggingFaceH4/ultrachat_200k'], 'train')).rejects.toThrow(
    /1 of the 3 files data\/train_sft-\*-of-00003 are there/,
  );
});

describe('from the Hub', () => {
  let hub: HubServer;
  beforeAll(async () => {
    hub = await HubServer.start();
  });
  afterAll(() => hub[Symbol.asyncDispose]());
  beforeEach(() => {
    vi.stubEnv('HF_HUB_OFFLINE', '0');
    vi.stubEnv('HF_ENDPOINT', hub.endpoint);
    vi.stubEnv('HF_HOME', join(root, 'hf'));
    vi.stubEnv('REANCHOR_SOURCES', join(root, 'none'));
  });
  const text = (name: string) => `${JSON.stringify({ text: name })}\n`;
  const add = (name: string, paths: string[]) => {
    const files = Object.fromEntries(
      paths.map((path) => [path, path.endsWith('.gz') ? gzipSync(text(path)) : text(path)]),
    );
    return hub.add(`datasets/${name}`, { revisions: { main: { ...files, 'README.md': '' } } });
  };
  const texts = async (name: string, split: 'train' | 'validation') =>
    (await rowsOf('sft', name, split)).map((row) => 'completion' in row && row.completion);

  test('a published set: the files of its split, from a local copy first', async () => {
    add('princeton-nlp/llama3-ultrafeedback', ['train.jsonl.gz', 'test.jsonl.gz']);
    expect(await texts('princeton-nlp/llama3-ultrafeedback', 'train')).toEqual(['train.jsonl.gz']);
    expect(hub.downloads().some(({ path }) => path.includes('test.jsonl'))).toBe(false);
    vi.stubEnv('REANCHOR_SOURCES', root);
    place('princeton-nlp/llama3-ultrafeedback/train.jsonl', text('local'));
    expect(await texts('princeton-nlp/llama3-ultrafeedback', 'train')).toEqual(['local']);
  });

  test('any other: the split by the names of files and folders, as Python names them', async () => {
    add('some/words', ['data/train.jsonl', 'valid.jsonl', 'test.jsonl', 'trainer.jsonl', 'dataset_infos.json']);
    expect(await texts('some/words', 'train')).toEqual(['data/train.jsonl']);
    expect(await texts('some/words', 'validation')).toEqual(['valid.jsonl']);
    expect(await texts('some/words:test', 'train')).toEqual(['test.jsonl']);
    add('some/folders', ['a/train/1.jsonl', 'b/train/1.jsonl', 'a/test/1.jsonl']);
    expect(await texts('some/folders', 'train')).toEqual(['a/train/1.jsonl', 'b/train/1.jsonl']);
    expect(await texts('some/folders', 'validation')).toEqual(['a/test/1.jsonl']);
    add('some/plain', ['one.jsonl', 'two.jsonl']);
    expect(await texts('some/plain', 'train')).toEqual(['one.jsonl', 'two.jsonl']);
    await expect(texts('some/plain', 'validation')).rejects.toThrow(
      /some\/plain has no split validation or test; its splits are train \(one\.jsonl, two\.jsonl\)/,
    );
  });

  test('a card that lists configurations; it and the files of the split are fetched, and nothing else', async () => {
    const card = '---\nconfigs:\n- config_name: en\n  data_files: en/*\n- config_name: de\n  data_files: de/*\n---\n';
    hub.add('datasets/some/languages', {
      revisions: {
        main: { 'README.md': card, 'en/a.jsonl': text('en'), 'de/a.jsonl': text('de') },
        v1: { 'README.md': '# none', 'a/train.jsonl': text('old') },
      },
    });
    await expect(texts('some/languages', 'train')).rejects.toThrow(/no default configuration among en, de/);
    expect(await texts('some/languages:de/train', 'validation')).toEqual(['de']);
    const fetched = hub.downloads().map(({ path }) => /some\/languages\/resolve\/[^/]*\/(.*)/.exec(path)?.[1]);
    expect(fetched.filter((path) => path !== undefined)).toEqual(['README.md', 'de/a.jsonl']);
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    expect(await texts('some/languages:de/train', 'train')).toEqual(['de']);
    vi.stubEnv('HF_HUB_OFFLINE', '0');
    for (const name of ['some/languages@v1:train', 'some/languages:train@v1', 'some/languages@v1']) {
      expect(await texts(name, 'train')).toEqual(['old']);
    }
  });

  test('a split of a published set that is not the one it is known by', async () => {
    add('HuggingFaceH4/ultrachat_200k', ['data/train_sft-00000-of-00001.jsonl', 'data/train_gen-00000-of-00001.jsonl']);
    const [source] = await resolveSources(['huggingfaceh4/ultrachat_200k:train_gen'], 'train');
    expect(source!.files.map((file) => file.split('/').at(-1))).toEqual(['train_gen-00000-of-00001.jsonl']);
    expect([source!.countProblem(), source!.note(1), source!.isSft]).toEqual([undefined, undefined, false]);
  });

  test('at a revision; a local copy is of no revision', async () => {
    hub.add('datasets/some/revised', {
      revisions: { main: { 'x.jsonl': text('new') }, v1: { 'x.jsonl': text('old') } },
    });
    vi.stubEnv('REANCHOR_SOURCES', root);
    place('some/revised/x.jsonl', text('local'));
    expect(await texts('some/revised', 'train')).toEqual(['local']);
    expect(await texts('some/revised@v1', 'train')).toEqual(['old']);
  });

  test('what is not there is said', async () => {
    await expect(texts('nobody/nothing', 'train')).rejects.toThrow(/shows no data set of this name/);
    await expect(texts('no/such/file.jsonl', 'train')).rejects.toThrow(/no\/such\/file\.jsonl does not exist/);
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    await expect(texts('some/other', 'train')).rejects.toThrow(/some\/other: .* not in the cache/);
  });
});

describe('a folder', () => {
  const folder = (name: string) => join(root, name);
  const filesOf = async (name: string, split: 'train' | 'validation') =>
    (await resolveSources([name], split))[0]!.files.map((file) => file.slice(root.length + 1));

  test('without names of splits is all data files below it, by name', async () => {
    for (const [path, bytes] of [
      ['b.jsonl', ''],
      ['a/c.jsonl', ''],
      ['readme.md', ''],
      ['.cache/d.jsonl', ''],
    ] as const) {
      place(`folder/${path}`, bytes);
    }
    for (const split of ['train', 'validation'] as const) {
      expect(await filesOf(folder('folder'), split)).toEqual(['folder/a/c.jsonl', 'folder/b.jsonl']);
    }
  });

  test('with a test split is not trained on it', async () => {
    place('std/data/train-00000-of-00001.jsonl', '');
    place('std/data/test-00000-of-00001.jsonl', '');
    expect(await filesOf(folder('std'), 'train')).toEqual(['std/data/train-00000-of-00001.jsonl']);
    expect(await filesOf(folder('std'), 'validation')).toEqual(['std/data/test-00000-of-00001.jsonl']);
    expect(await filesOf(`${folder('std')}:test`, 'train')).toEqual(['std/data/test-00000-of-00001.jsonl']);
    await expect(filesOf(`${folder('std')}:dev`, 'train')).rejects.toThrow(
      /std has no split dev; its splits are train \(.*\), test \(.*\); name one, such as .*std:train$/,
    );
  });

  test('is one of REANCHOR_SOURCES by its name, splits included', async () => {
    for (const split of ['train_prefs', 'train_sft', 'test_prefs'])
      place(`me/mix/data/${split}-00000-of-00001.jsonl`, '');
    await expect(filesOf('me/mix', 'train')).rejects.toThrow(/me\/mix has no split train; .*train_prefs .*train_sft/);
    expect(await filesOf('me/mix:train_sft', 'train')).toEqual(['me/mix/data/train_sft-00000-of-00001.jsonl']);
    expect([isLocalSource('me/mix:train_sft'), isLocalSource('me/mix@v1'), isLocalSource('me/none')]).toEqual([
      true,
      false,
      false,
    ]);
  });

  test('has splits, a file has none', async () => {
    place('folder/b.jsonl', '');
    await expect(filesOf(`${folder('folder/b.jsonl')}:train`, 'train')).rejects.toThrow(
      /b\.jsonl is a file, which has no splits/,
    );
    place('odd/a:b.jsonl', '');
    expect(await filesOf(folder('odd/a:b.jsonl'), 'train')).toEqual(['odd/a:b.jsonl']);
    expect(await filesOf(`${folder('no')}:train`, 'train').catch(() => 'x')).toEqual(['no:train']);
  });
});

test('broken Parquet files: an error with the name', async () => {
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
