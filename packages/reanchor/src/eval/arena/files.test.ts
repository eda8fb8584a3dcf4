import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { dataFolder } from '../../../../../tests/support/repository.js';
import { evaluateArena, readAllAnswers } from './evaluate.js';
import { readArenaAnswers, readQuestions, versionOf } from './files.js';
import { styleOf } from './style.js';

const folder = mkdtempSync(join(tmpdir(), 'arena-files-'));
afterAll(() => rmSync(folder, { recursive: true }));
const write = (name: string, rows: readonly unknown[]) => {
  writeFileSync(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return join(folder, name);
};

const judgment = (uid: string) => ({
  ...{ uid, category: 'hard_prompt', model: 'm', baseline: 'base' },
  games: [{ score: 'A>B' }, { score: 'A=B' }],
});

test('answers in the forms of 2.0, of 0.1 and of `reanchor generate` are read', async () => {
  const questions = [
    { uid: 'a', category: 'hard_prompt', prompt: 'p' },
    { uid: 'b', category: 'hard_prompt', prompt: 'q' },
  ];
  const read = async (name: string, rows: unknown[]) => [
    ...(await readArenaAnswers(write(name, rows), questions, 'n')).values(),
  ];
  const expected = { uid: 'b', model: 'm', text: 'yes', style: styleOf('yes') };
  const messages = [{ role: 'assistant', content: { answer: 'yes' } }];
  expect(await read('2.jsonl', [{ uid: 'b', model: 'm', messages }])).toEqual([expected]);
  const choices = [{ index: 0, turns: [{ content: 'yes', token_len: 1 }] }];
  const counted = { ...expected, style: { ...expected.style, length: 1 }, tokens: 1 };
  expect(await read('1.jsonl', [{ question_id: 'b', model_id: 'm', choices }])).toEqual([counted]);
  expect(await read('g.jsonl', [{ prompt: 'q', completion: 'yes' }])).toEqual([{ ...expected, model: 'n' }]);
  await expect(read('x.jsonl', [{ prompt: 'other', completion: 'yes' }])).rejects.toThrow(/x\.jsonl:1: neither a uid/);
});

describe('answers', () => {
  const questions = [
    { uid: 'a', category: 'hard_prompt', prompt: 'p' },
    { uid: 'b', category: 'hard_prompt', prompt: 'two  words' },
  ];
  const read = async (name: string, rows: unknown[], ...more: unknown[][]) =>
    readAllAnswers([write(name, rows), ...more.map((some, i) => write(`${i}-${name}`, some))], questions);
  const user = (content: string) => [{ role: 'user', content }];

  test('are matched with the questions by content: in any order, to chats, of several models in a file', async () => {
    const rows = [
      { prompt: user('two words'), completion: 'x2', model: 'org/x' },
      { instruction: 'two words\n', output: 'y2', generator: 'y' },
      { prompt: 'p', completion: 'y1', model: 'y' },
      { uid: 'a', output: 'x1', model: 'x' },
    ];
    const answers = await read('mixed.jsonl', rows);
    expect([...answers].map(([model, own]) => [model, [...own].map(([uid, { text }]) => [uid, text])])).toEqual([
      ['x', [['b', 'x2'], ['a', 'x1']]], // biome-ignore format: a table
      ['y', [['b', 'y2'], ['a', 'y1']]], // biome-ignore format: a table
    ]);
  });

  test('that a model gives twice are refused, in one file and in two', async () => {
    const row = { prompt: 'p', completion: 'x', model: 'm' };
    await expect(
      read('twice.jsonl', [
        { ...row, uid: 'a' },
        { ...row, uid: 'a' },
      ]),
    ).rejects.toThrow(/twice\.jsonl:2: a second answer of m to question a/);
    await expect(read('named.jsonl', [{ ...row, uid: 'a' }, row])).rejects.toThrow(/:2: a second answer of m to/);
    await expect(read('samples.jsonl', [row, row])).rejects.toThrow(/:2: neither a uid nor a prompt of the questions/);
    await expect(read('first.jsonl', [row], [row])).rejects.toThrow(
      /0-first\.jsonl: a second answer of m to question a/,
    );
  });

  test('and questions may have numbers for names, but one turn each', async () => {
    const asked = write('mt.jsonl', [{ question_id: 81, category: 'writing', turns: ['Write.'] }]);
    expect(await readQuestions(asked)).toEqual([{ uid: '81', category: 'writing', prompt: 'Write.' }]);
    const choices = (...turns: unknown[]) => [{ index: 0, turns }];
    const [answer] = await readArenaAnswers(
      write('mt-answers.jsonl', [{ question_id: 81, model_id: 'm', choices: choices('So.') }]),
      [],
    );
    expect(answer).toMatchObject({ uid: '81', model: 'm', text: 'So.' });
    await expect(readQuestions(write('two.jsonl', [{ question_id: 81, turns: ['a', 'b'] }]))).rejects.toThrow(
      /two\.jsonl:1: 2 turns; Arena-Hard has questions of one/,
    );
    const two = write('two-answers.jsonl', [{ question_id: 81, model_id: 'm', choices: choices('a', 'b') }]);
    await expect(readArenaAnswers(two, [])).rejects.toThrow(/two-answers\.jsonl:1: 2 turns/);
  });

  test('are compared in tokens only where all of them have tokens', async () => {
    const judged = write('lengths.jsonl', [judgment('a'), judgment('b')]);
    const answersOf = (model: string, length: number, tokens?: number) =>
      write(
        `${model}-${tokens}.jsonl`,
        ['a', 'b'].map((uid) => ({
          question_id: uid,
          model_id: model,
          choices: [{ turns: [{ content: 'x'.repeat(length), ...(tokens !== undefined && { token_len: tokens }) }] }],
        })),
      );
    const board = async (...files: string[]) => (await evaluateArena([judged], { answers: files }))[0]!;
    const tokens = await board(answersOf('m', 40, 7), answersOf('base', 80, 9));
    expect(tokens).toMatchObject({ length_unit: 'tokens', baseline_mean_length: 9, models: [{ mean_length: 7 }] });
    const mixed = await board(answersOf('m', 40), answersOf('base', 80, 9));
    expect(mixed).toMatchObject({ length_unit: 'characters / 4', baseline_mean_length: 20 });
    expect(mixed.models[0]!.mean_length).toBe(10);
  });
});

describe.skipIf(!dataFolder)('the questions', () => {
  const open = (name: string) => readQuestions(join(dataFolder!, 'eval/arena_hard', name));

  test('of both versions are read', async () => {
    const [v1, v2] = [await open('questions-v0.1.jsonl.gz'), await open('questions-v2.0.jsonl.gz')];
    expect([v1.length, v2.length]).toEqual([500, 750]);
    expect([versionOf(v1), versionOf(v2)]).toEqual(['v0.1', 'v2.0']);
    expect(new Set([...v1, ...v2].map(({ uid }) => uid)).size).toBe(1250);
  });
});
