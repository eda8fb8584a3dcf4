// The published data sets in small: their files, names and forms of rows, with texts of our own. Served by HubServer.
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer, type SchemaElement } from 'hyparquet-writer';
import type { Files } from './hub-server.js';

/** Rows in each training split; a fourth of it in each one for validation. */
export const publishedRows = 16;

const things = ['a kettle', 'two ladders', 'an old map', 'the night train', 'seven pears', 'a blue door', 'the tide'];
const question = (i: number) => `How would you describe ${things[i % things.length]} to somebody in town ${i}?`;
const goodAnswer = (i: number) =>
  `Plainly: ${things[i % things.length]}, as it is, with what it is for and where it stands.`;
const badAnswer = (i: number) => `I would not, whatever town ${i} is.`;

const text = (rows: unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
const numbers = (count: number, first = 0) => Array.from({ length: count }, (_, i) => first + i);
const splits = { train: numbers(publishedRows), validation: numbers(publishedRows / 4, 1000) };

/** Anthropic/hh-rlhf: four folders with gzipped transcripts, and one that is no preference data. */
export function hhRlhf(): Files {
  const rows = (split: number[], part: number) =>
    split
      .filter((i) => i % 4 === part)
      .map((i) => {
        const start = `\n\nHuman: ${question(i)}\n\nAssistant: Which one?\n\nHuman: The first.\n\nAssistant:`;
        return { chosen: `${start} ${goodAnswer(i)}`, rejected: `${start} ${badAnswer(i)}` };
      });
  const folders = ['harmless-base', 'helpful-base', 'helpful-online', 'helpful-rejection-sampled'];
  return Object.fromEntries([
    ...folders.flatMap((folder, part) => [
      [`${folder}/train.jsonl.gz`, gzipSync(text(rows(splits.train, part)))],
      [`${folder}/test.jsonl.gz`, gzipSync(text(rows(splits.validation, part)))],
    ]),
    ['red-team-attempts/red_team_attempts.jsonl.gz', gzipSync(text([{ transcript: 'x' }]))],
    ['README.md', '---\nlicense: mit\n---\n'],
  ]);
}

/** UCL-DARK/openai-tldr-summarisation-preferences: comparisons of summaries; every post has two of them. */
export function tldrPreferences(): Files {
  const row = (i: number, split: string) => {
    const post = Math.floor(i / 2);
    return {
      info: {
        id: `t3_${post}`,
        post: question(post),
        title: `On town ${post}`,
        subreddit: 'AskTowns',
        site: null,
        article: null,
      },
      summaries: [
        { text: ` ${i % 2 === 0 ? badAnswer(i) : goodAnswer(post)}`, policy: 'sup1', note: null },
        { text: ` ${i % 2 === 0 ? goodAnswer(post) : badAnswer(i)}`, policy: 'ref', note: null },
      ],
      choice: i % 2 === 0 ? 1 : 0,
      worker: 'w',
      batch: 'batch3',
      split,
      extra: { confidence: null },
    };
  };
  return {
    'train.jsonl': text(splits.train.map((i) => row(i, 'train'))),
    'validation.jsonl': text(splits.validation.map((i) => row(i, 'valid1'))),
    'test.jsonl': text([row(1, 'valid2')]),
  };
}

const user = (content: string) => ({ content, role: 'user' });
const assistant = (content: string) => ({ content, role: 'assistant' });

/** HuggingFaceH4/ultrachat_200k: conversations of several turns, in Parquet shards of four splits. */
export function ultrachat(): Files {
  const file = (rows: number[]) =>
    parquet(['string prompt', 'string prompt_id', 'chat messages'], {
      prompt: rows.map(question),
      prompt_id: rows.map((i) => `id-${i}`),
      messages: rows.map((i) => [
        user(question(i)),
        assistant('Which one?'),
        user('The first.'),
        assistant(goodAnswer(i)),
      ]),
    });
  const half = splits.train.length / 2;
  return {
    'data/train_sft-00000-of-00002-a3ecf92756993583.parquet': file(splits.train.slice(0, half)),
    'data/train_sft-00001-of-00002-0a1804bcb6ae68c6.parquet': file(splits.train.slice(half)),
    'data/test_sft-00000-of-00001-f7dfac4afe5b93f4.parquet': file(splits.validation),
    'data/train_gen-00000-of-00001-a6c9fb894be3e50b.parquet': file([1]),
    'data/test_gen-00000-of-00001-3d4cd8309148a71f.parquet': file([2]),
  };
}

/** HuggingFaceH4/ultrafeedback_binarized: a question, and two whole conversations that begin with it. */
export function ultrafeedback(): Files {
  const columns = [
    'string prompt',
    'string prompt_id',
    'chat chosen',
    'chat rejected',
    'chat messages',
    'double score_chosen',
    'double score_rejected',
  ];
  const file = (rows: number[]) =>
    parquet(columns, {
      ...pairs(rows),
      messages: rows.map((i) => [user(question(i)), assistant(goodAnswer(i))]),
      score_chosen: rows.map(() => 8.5),
      score_rejected: rows.map(() => 3),
    });
  return {
    'data/train_prefs-00000-of-00001.parquet': file(splits.train),
    'data/test_prefs-00000-of-00001.parquet': file(splits.validation),
    'data/train_sft-00000-of-00001.parquet': file([1]),
    'data/test_sft-00000-of-00001.parquet': file([2]),
  };
}

/** princeton-nlp/llama3-ultrafeedback: the same, with all answers that were drawn and their scores. */
export function llama3Ultrafeedback(): Files {
  const columns = [
    'string prompt_id',
    'string prompt',
    'strings all_generated_responses',
    'doubles all_rm_scores',
    'chat chosen',
    'chat rejected',
  ];
  const file = (rows: number[]) =>
    parquet(columns, {
      ...pairs(rows),
      all_generated_responses: rows.map((i) => [badAnswer(i), goodAnswer(i)]),
      all_rm_scores: rows.map(() => [0.1, 0.2]),
    });
  return {
    'data/train-00000-of-00001.parquet': file(splits.train),
    'data/test-00000-of-00001.parquet': file(splits.validation),
  };
}

const pairs = (rows: number[]) => ({
  prompt: rows.map(question),
  prompt_id: rows.map((i) => `id-${i}`),
  chosen: rows.map((i) => [user(question(i)), assistant(goodAnswer(i))]),
  rejected: rows.map((i) => [user(question(i)), assistant(badAnswer(i))]),
});

/** A Parquet file of columns `type name`, with the schema that Arrow gives them. */
function parquet(columns: string[], data: Record<string, unknown[]>): Uint8Array {
  const named = columns.map((column) => column.split(' ') as [string, string]);
  const list = (name: string, ...element: SchemaElement[]): SchemaElement[] => [
    { name, repetition_type: 'OPTIONAL', converted_type: 'LIST', num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    ...element,
  ];
  const string = (name: string): SchemaElement => ({
    name,
    type: 'BYTE_ARRAY',
    converted_type: 'UTF8',
    repetition_type: 'OPTIONAL',
  });
  const double = (name: string): SchemaElement => ({ name, type: 'DOUBLE', repetition_type: 'OPTIONAL' });
  const elements: Record<string, (name: string) => SchemaElement[]> = {
    string: (name) => [string(name)],
    double: (name) => [double(name)],
    strings: (name) => list(name, string('element')),
    doubles: (name) => list(name, double('element')),
    chat: (name) =>
      list(name, { name: 'element', repetition_type: 'OPTIONAL', num_children: 2 }, string('content'), string('role')),
  };
  return new Uint8Array(
    parquetWriteBuffer({
      columnData: named.map(([, name]) => ({ name, data: data[name]! })),
      schema: [
        { name: 'schema', num_children: named.length },
        ...named.flatMap(([type, name]) => elements[type]!(name)),
      ],
    }),
  );
}
