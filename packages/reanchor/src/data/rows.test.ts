import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dataFolder } from '../../../../tests/support/repository.js';
import { FormatError, UserError } from '../errors.js';
import { dataSchema } from '../recipe/data-section.js';
import { formsOf, rowForms } from './forms.js';
import { commonPrompt } from './messages.js';
import type { DataKind, RawRecord } from './row.js';
import { loadPreferenceRows, loadRows, type RowFormat } from './rows.js';
import { sourceRecords } from './sources.js';

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

const rowsOf = (lines: unknown[], format?: RowFormat) => loadPreferenceRows([fileOf(...lines)], { format });
const explicit = { prompt: 'p', chosen: 'a', rejected: 'b' };
const implicit = { chosen: 'the sky is blue', rejected: 'the sky is green' };
const transcript = (question: string, answer: string) => `\n\nHuman: ${question}\n\nAssistant: ${answer}`;
const hh = { chosen: transcript('hi', 'hello'), rejected: transcript('hi', 'go away') };

const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });
const tldr = {
  info: { subreddit: 'tifu', title: 'A title', post: 'A post.\n' },
  summaries: [{ text: ' first' }, { text: 'second' }],
  choice: 1,
};
const kindOf = <Kind extends DataKind>(kind: Kind, lines: unknown[], format?: RowFormat) =>
  loadRows(kind, sourceRecords([fileOf(...lines)]), { format });

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

describe('conversations', () => {
  const [question, a, b] = [user('q'), assistant('a'), assistant('b')];
  const pair = { prompt: [question], chosen: [a], rejected: [b] };

  test.each<[string, unknown, unknown]>([
    ['an explicit prompt', pair, pair],
    ['an implicit prompt', { chosen: [question, a], rejected: [question, b] }, pair],
    ['a prompt as text beside whole chats', { prompt: 'q', chosen: [question, a], rejected: [question, b] }, pair],
    ['a prompt as text beside answers', { prompt: 'q', chosen: [a], rejected: [b] }, pair],
    [
      'equal chats, whose last message is the completion',
      { chosen: [question, a], rejected: [question, a] },
      { ...pair, rejected: [a] },
    ],
    [
      'answers of several messages',
      { chosen: [question, a, question, b], rejected: [question, b] },
      { prompt: [question], chosen: [a, question, b], rejected: [b] },
    ],
    ['no common message', { chosen: [question, a], rejected: [b, a] }, { skipped: 'different prompts' }],
    [
      'ShareGPT',
      {
        conversations: [
          { from: 'system', value: 's' },
          { from: 'human', value: 'q' },
        ],
        chosen: { from: 'gpt', value: 'a' },
        rejected: { from: 'gpt', value: 'b' },
      },
      { ...pair, prompt: [{ role: 'system', content: 's' }, question] },
    ],
    [
      'RMB',
      { conversation_input: [{ ...question, language: 'English' }], chosen: { answer: 'a' }, reject: { answer: 'b' } },
      pair,
    ],
  ])('%s', async (_name, row, expected) => {
    expect(await kindOf('pairs', [row])).toMatchObject([expected as object]);
  });
});

describe('rows that others write', () => {
  const asked = (instruction: string, input = '') => ({ instruction, input });
  test.each<[string, DataKind, unknown, unknown]>([
    [
      'instruction, input and two answers',
      'pairs',
      { ...asked('i', 'x'), history: [['q', 'a']], system: 's', chosen: 'c', rejected: 'r' },
      {
        prompt: [{ role: 'system', content: 's' }, user('q'), assistant('a'), user('i\n\nx')],
        chosen: [assistant('c')],
        rejected: [assistant('r')],
      },
    ],
    [
      'answers as messages',
      'pairs',
      { ...asked('i'), chosen: [assistant('c')], rejected: [assistant('r')] },
      { prompt: [user('i')] },
    ],
    [
      'a label beside instruction, input and output',
      'unpaired',
      { ...asked('i', 'x'), output: 'o', kto_tag: false },
      { prompt: [user('i\n\nx')], completion: [assistant('o')], label: false },
    ],
    [
      'a label beside messages',
      'unpaired',
      { messages: [user('q'), assistant('a')], label: true },
      { prompt: [user('q')], completion: [assistant('a')], label: true },
    ],
    [
      "a label beside ShareGPT's messages",
      'unpaired',
      {
        conversations: [
          { from: 'human', value: 'q' },
          { from: 'gpt', value: 'a' },
        ],
        kto_tag: true,
      },
      { prompt: [user('q')], completion: [assistant('a')], label: true },
    ],
    [
      'messages with two answers beside them',
      'pairs',
      { messages: [user('q')], chosen: assistant('c'), rejected: assistant('r') },
      { prompt: [user('q')], chosen: [assistant('c')], rejected: [assistant('r')] },
    ],
    [
      'messages after the last answer, which are told of',
      'sft',
      { messages: [user('q'), assistant('a'), user('t')] },
      { completion: [assistant('a')], remarks: ['messages after the last answer are left out'] },
    ],
  ])('%s', async (_name, kind, row, expected) => {
    expect(await kindOf(kind, [row])).toMatchObject([expected as object]);
  });

  test('messages that are alike but for a field are not one prompt', async () => {
    const first = { ...user('q'), name: 'x' };
    const rows = await rowsOf([{ chosen: [first, assistant('a')], rejected: [user('q'), assistant('b')] }]);
    expect(rows).toMatchObject([{ skipped: 'different prompts' }]);
  });
});

describe('published comparisons', () => {
  test('TL;DR: the post is the prompt, the summaries begin with a space', async () => {
    expect(await kindOf('pairs', [tldr])).toMatchObject([
      {
        prompt: 'SUBREDDIT: r/tifu\n\nTITLE: A title\n\nPOST: A post.\n\nTL;DR:',
        chosen: ' second',
        rejected: ' first',
      },
    ]);
    const article = { ...tldr, info: { subreddit: null, title: 'x', post: null, article: 'y' } };
    expect(await kindOf('pairs', [article])).toMatchObject([{ skipped: 'not a Reddit post' }]);
  });

  test('WebGPT: the score decides, and ties are skipped', async () => {
    const text = ['## Human:\nq\n\n## Assistant:\n one', '## Human:\nq\n\n## Assistant:\n two'];
    expect(await kindOf('pairs', [{ text, score: [0.5, 1.5] }])).toMatchObject([
      { prompt: '## Human:\nq\n\n## Assistant:\n', chosen: ' two', rejected: ' one' },
    ]);
    expect(await kindOf('pairs', [{ text, score: [1, 1] }])).toMatchObject([{ skipped: 'tie' }]);
  });
});

describe('examples with a label', () => {
  test('are read plain, as chats and from instructions', async () => {
    const plain = { prompt: 'p', completion: 'c', label: false };
    expect(await kindOf('unpaired', [plain])).toMatchObject([plain]);
    const chat = { prompt: [user('p')], completion: [assistant('c')], label: true };
    expect(await kindOf('unpaired', [chat])).toMatchObject([chat]);
    expect(await kindOf('unpaired', [{ instruction: 'p', output: 'c', tag: true }])).toMatchObject([chat]);
  });

  test('come from pairs too: the chosen one, then the rejected one, with the place of the pair', async () => {
    const rows = await kindOf('unpaired', [explicit, hh]).catch((error: Error) => error.message);
    expect(rows).toMatch(/:2: "prompt" is missing: the first row has one/);
    expect(await kindOf('unpaired', [explicit, { ...explicit, prompt: 'r' }])).toMatchObject([
      { index: 0, prompt: 'p', completion: 'a', label: true },
      { index: 0, prompt: 'p', completion: 'b', label: false },
      { index: 1, prompt: 'r', completion: 'a', label: true },
      { index: 1, prompt: 'r', completion: 'b', label: false },
    ]);
  });
});

describe('texts to be imitated', () => {
  const chat = [user('p'), assistant('c'), user('q'), assistant('d')];
  test.each<[string, unknown, unknown]>([
    ['a prompt and a completion', { prompt: 'p', completion: 'c' }, { prompt: 'p', completion: 'c' }],
    ['a whole text', { text: 't' }, { prompt: '', completion: 't' }],
    ['messages', { prompt: 'p', messages: chat }, { prompt: chat.slice(0, 3), completion: chat.slice(3) }],
    ['messages after the last answer', { messages: [...chat, user('x')] }, { completion: chat.slice(3) }],
    ['messages without an answer', { messages: [user('x')] }, { skipped: 'no answer in the chat' }],
    [
      'ShareGPT',
      {
        conversations: [
          { from: 'human', value: 'p' },
          { from: 'gpt', value: 'c' },
        ],
      },
      { prompt: [user('p')], completion: [assistant('c')] },
    ],
    [
      'an instruction with input',
      { instruction: 'do', input: 'this', output: 'c' },
      { prompt: [user('do\n\nthis')], completion: [assistant('c')] },
    ],
    [
      'an instruction with history',
      { instruction: 'q', input: '', output: 'd', history: [['p', 'c']], system: 's' },
      { prompt: [{ role: 'system', content: 's' }, ...chat.slice(0, 3)], completion: chat.slice(3) },
    ],
    ['the chosen one of a pair', explicit, { prompt: 'p', completion: 'a' }],
    ['the chosen one of transcripts', hh, { prompt: '\n\nHuman: hi\n\nAssistant:', completion: ' hello' }],
    [
      'the chosen one of transcripts with different prompts',
      { ...hh, rejected: transcript('ho', 'x') },
      { completion: ' hello', skipped: undefined },
    ],
    ['a desirable example', { prompt: 'p', completion: 'c', label: true }, { completion: 'c', skipped: undefined }],
    ['an undesirable one', { prompt: 'p', completion: 'c', label: false }, { skipped: 'undesirable completion' }],
  ])('%s', async (_name, row, expected) => {
    expect(await kindOf('sft', [row])).toMatchObject([expected as object]);
  });
});

test('a recipe can name every form', () => {
  const { options } = dataSchema.shape.format.unwrap();
  expect([...options].sort()).toEqual(['auto', ...Object.keys(rowForms)].sort());
  expect(new Set(Object.values(formsOf).flat())).toEqual(new Set(Object.keys(rowForms)));
});

test('each file has its own form, and errors name the place that the record has', async () => {
  const files = [fileOf({ prompt: 'p', completion: 'c' }), fileOf({ text: 't' })];
  expect(await loadRows('sft', sourceRecords(files))).toMatchObject([
    { completion: 'c' },
    { completion: 't', index: 1 },
  ]);
  async function* records(): AsyncGenerator<RawRecord> {
    yield { file: 'a.parquet', where: 7, line: 7, value: { prompt: 'p', completion: 3 } };
  }
  await expect(loadRows('sft', records())).rejects.toThrow('a.parquet:7: "completion" is a number, not text');
});

describe('a malformed row is an error with its place', () => {
  test.each<[string, unknown[], RowFormat, RegExp]>([
    [
      'a list',
      [explicit, [1]],
      'auto',
      /:2: the row is a list, not an object; a row is \{"prompt", "chosen", "rejected"\}/,
    ],
    ['a missing field', [explicit, { prompt: 'p', chosen: 'a' }], 'auto', /:2: "rejected" is missing; a row is/],
    ['null', [{ ...explicit, chosen: null }], 'auto', /:1: "chosen" is null, not text; a row is/],
    ['a number', [{ ...explicit, prompt: 3 }], 'auto', /:1: "prompt" is a number, not text/],
    [
      'messages',
      [{ ...explicit, chosen: [{ role: 'user', content: 'x' }] }],
      'auto',
      /:1: "rejected" is text, not a list; a row is/,
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

  test.each<[string, DataKind, unknown[], RowFormat, RegExp]>([
    [
      'a message without text',
      'pairs',
      [{ chosen: [user('a'), { role: 'assistant', content: null }], rejected: [] }],
      'auto',
      /:1: "chosen\[1\].content" is null, not text/,
    ],
    [
      'a label that is another number',
      'unpaired',
      [{ prompt: 'p', completion: 'c', label: -1 }],
      'auto',
      /:1: "label" is a number, not true or false \(or 1 or 0\); a row is \{"prompt", "completion", "label"/,
    ],
    [
      'no label',
      'unpaired',
      [{ prompt: 'p', completion: 'c' }],
      'auto',
      /:1: the row has no label \(its form is prompt-completion\); a row is/,
    ],
    [
      'a tag that is text',
      'unpaired',
      [{ instruction: 'p', output: 'c', tag: 'true' }],
      'auto',
      /:1: "tag" is text, not true or false/,
    ],
    [
      'one completion where two are needed',
      'pairs',
      [{ messages: [user('a'), assistant('b')] }],
      'auto',
      /:1: the row has no chosen and rejected completion \(its form is messages\)/,
    ],
    [
      'nothing known',
      'sft',
      [{ question: 'x' }],
      'auto',
      /:1: "prompt" is missing; a row is \{"messages".*; other forms: alpaca, sharegpt, explicit, implicit/,
    ],
    ['a choice of three', 'pairs', [{ ...tldr, choice: 2 }], 'auto', /:1: "choice" is neither 0 nor 1/],
    [
      'a summary too many',
      'pairs',
      [{ ...tldr, summaries: [1, 2, 3] }],
      'auto',
      /:1: "summaries" is a list of 3, not of 2/,
    ],
    [
      'a summary without text',
      'pairs',
      [{ ...tldr, summaries: [{ text: 'x' }, {}] }],
      'auto',
      /:1: "summaries\[1\].text" is missing/,
    ],
    [
      'history that is no pairs',
      'sft',
      [{ instruction: 'a', output: 'b', history: [['x']] }],
      'auto',
      /:1: "history\[0\]" is a list of 1, not of 2/,
    ],
    [
      'another form than the named one',
      'sft',
      [{ text: 'x' }],
      'messages',
      /:1: "messages" is missing; a row is \{"messages"/,
    ],
    [
      'another form than the first row',
      'sft',
      [{ text: 'x' }, { prompt: 'a', completion: 'b' }],
      'auto',
      /:2: "text" is missing/,
    ],
    [
      'a chat and a text',
      'unpaired',
      [{ prompt: [user('x')], completion: 'b', label: true }],
      'auto',
      /:1: "prompt" is a list, not text/,
    ],
  ])('%s', async (_name, kind, lines, format, message) => {
    const error = await kindOf(kind, lines, format).catch((error: unknown) => error);
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

test.skipIf(!dataFolder).each<[string, DataKind, number, number]>([
  ['preference/hh-harmless-base', 'pairs', 1815, 5],
  ['preference/hh-helpful-base', 'pairs', 1783, 7],
  ['preference/hh-helpful-base', 'sft', 1783, 0],
  ['preference/ultrafeedback-1000', 'pairs', 1000, 0],
  ['preference/dpo-demo-sharegpt', 'pairs', 300, 0],
  ['preference/rmb-pairwise', 'pairs', 14_543, 0],
  ['preference/webgpt-comparisons', 'pairs', 901, 245],
  ['preference/kto-mix-test', 'unpaired', 1092, 0],
  ['preference/kto-mix-test', 'sft', 1092, 546],
  ['preference/ultrafeedback-1000', 'unpaired', 2000, 0],
  ['sft/lima', 'sft', 1029, 0],
  ['sft/alpaca-demo', 'sft', 999, 0],
])('all rows of %s are read as %s', async (name, kind, count, skipped) => {
  const rows = await loadRows(kind, sourceRecords([join(dataFolder!, `${name}.jsonl.gz`)]));
  expect(rows.length).toBe(count);
  expect(rows.filter((row) => row.skipped !== undefined).length).toBe(skipped);
});
