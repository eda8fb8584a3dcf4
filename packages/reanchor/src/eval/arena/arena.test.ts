import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { fixtures } from '../../../../../tests/support/repository.js';
import { evaluateArena } from './evaluate.js';
import { readJudgments } from './files.js';
import type { Leaderboard } from './leaderboard.js';
import { styleDifference, styleOf } from './style.js';

interface Reference {
  styles: Record<string, number[][]>;
  judgments: { uid: string; model: string; games: { score: string }[] }[];
  plain: number[];
  controlled: number[];
  equal: number[];
  coefficients: number[];
}
const reference = (JSON.parse(readFileSync(join(fixtures, 'stats/reference.json'), 'utf8')) as { arena: Reference })
  .arena;

const folder = mkdtempSync(join(tmpdir(), 'arena-'));
afterAll(() => rmSync(folder, { recursive: true }));
const write = (name: string, rows: readonly unknown[]) => {
  writeFileSync(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return join(folder, name);
};

const judgments = write('judgments.jsonl', reference.judgments);
const answers = Object.entries(reference.styles).map(([model, styles]) =>
  write(
    `${model}.jsonl`,
    styles.map(([token_len, headers, lists, bolds], i) => ({
      uid: `q${i}`,
      model,
      messages: [{ role: 'user' }, { role: 'assistant', content: { answer: 'x' } }],
      metadata: {
        token_len,
        header_count: { h1: headers, h2: 0 },
        list_count: { ordered: lists },
        bold_count: { '**': bolds },
      },
    })),
  ),
);
const scores = (boards: Leaderboard[]) =>
  ['m1', 'm2', 'm3'].map((name) => boards[0]!.models.find(({ model }) => model === name)!.score);

describe('scores are those of an independent computation', () => {
  test('without style control: the weighted mean of the verdicts', async () => {
    const boards = await evaluateArena([judgments], { resamples: 50 });
    expect(scores(boards)).toBeCloseToTensor(reference.plain, 1e-7);
    expect(boards[0]!.models.map(({ score }) => score)).toEqual(scores(boards).sort((a, b) => b - a));
    for (const { low, score, high, wins, ties, losses } of boards[0]!.models) {
      expect(low).toBeLessThan(score);
      expect(high).toBeGreaterThan(score);
      expect(wins + ties + losses).toBe(80);
    }
  });

  test('with style control, at the mean and at equal style', async () => {
    const options = { answers, style: 'both', resamples: 5 } as const;
    const atMean = await evaluateArena([judgments], { ...options, styleAt: 'mean' });
    expect(scores(atMean)).toBeCloseToTensor(reference.controlled, 1e-7);
    const coefficients = Object.values(atMean[0]!.style!).map(({ coefficient }) => coefficient);
    expect(coefficients).toBeCloseToTensor(reference.coefficients, 1e-7);
    const atEqual = await evaluateArena([judgments], options);
    expect(scores(atEqual)).toBeCloseToTensor(reference.equal, 1e-7);
    expect(Object.keys(atEqual[0]!.style!)).toEqual(['length', 'headers', 'lists', 'bolds']);
    const lengthOnly = await evaluateArena([judgments], { ...options, style: 'length' });
    expect(Object.keys(lengthOnly[0]!.style!)).toEqual(['length']);
    expect(scores(lengthOnly)).not.toEqual(scores(atEqual));
  });
});

test('questions drawn whole give wider intervals than verdicts drawn one by one', async () => {
  const width = async (resample: 'questions' | 'battles') => {
    const [{ models }] = (await evaluateArena([judgments], { resamples: 400, resample })) as [Leaderboard];
    return models.reduce((sum, { low, high }) => sum + high - low, 0);
  };
  expect(await width('questions')).toBeGreaterThan(1.1 * (await width('battles')));
});

const game = (score: string | null) => ({ score });
const row = (uid: string, first: unknown, second: unknown, change: object = {}) => ({
  uid,
  category: 'hard_prompt',
  model: 'org/m',
  baseline: 'base',
  games: [first, second],
  ...change,
});

test('2.0 leaves out a question with a missing verdict, 0.1 only the game; both are counted', async () => {
  const rows = [row('1', game('A>B'), game('A>B')), row('2', game(null), game('A>>B')), row('3', game('?'), null)];
  const v2 = (await evaluateArena([write('v2.jsonl', rows)], {}))[0]!.models[0]!;
  expect(v2).toMatchObject({ model: 'm', questions: 1, dropped: 2, unparsed: 3, wins: 1, losses: 1, ties: 0 });
  expect(v2.score).toBeCloseTo(50, 6);
  const old = rows.map((one) => ({ ...one, category: 'arena-hard-v0.1' }));
  const v1 = (await evaluateArena([write('v1.jsonl', old)], {}))[0]!.models[0]!;
  expect(v1).toMatchObject({ questions: 2, dropped: 1, unparsed: 3, wins: 2, losses: 1 });
  expect(v1.score).toBeCloseTo((100 * 4) / 5, 5);
});

test('a verdict that is not given is read from the text, by the rule of the version', async () => {
  const text = { judgment: { answer: 'First [[A>B]], then [[B>A]]' } };
  const [v2] = await readJudgments(write('text.jsonl', [row('1', text, { judgment: '[[A=B]]' })]));
  expect(v2!.games).toEqual(['B>A', 'A=B']);
  const [v1] = await readJudgments(write('text1.jsonl', [row('1', text, text, { category: 'arena-hard-v0.1' })]));
  expect(v1!.games).toEqual([undefined, undefined]);
});

test('categories have leaderboards of their own, with the baseline of the category', async () => {
  const rows = [
    row('1', game('A>B'), game('A>B')),
    row('2', game('B>A'), game('A>B'), { category: 'creative_writing', baseline: undefined }),
  ];
  const boards = await evaluateArena([write('two.jsonl', rows)], {});
  expect(boards.map(({ category, baseline }) => [category, baseline])).toEqual([
    ['hard_prompt', 'base'],
    ['creative_writing', 'gemini-2.0-flash-001'],
  ]);
  expect(boards[1]!.models[0]!.score).toBeGreaterThan(99.9);
});

test('mistakes say what to do', async () => {
  const one = write('one.jsonl', [row('1', game('A>B'), game('A>B'))]);
  await expect(evaluateArena([one, one], {})).rejects.toThrow(/question 1 is judged twice for m/);
  await expect(evaluateArena([one], { style: 'both' })).rejects.toThrow(/^style needs answers/);
  await expect(evaluateArena([one], { style: 'both', answers })).rejects.toThrow(/needs the answer of m to 1/);
  const none = write('none.jsonl', [row('1', null, null)]);
  await expect(evaluateArena([none], {})).rejects.toThrow(/hard_prompt: no verdict counts, of 1 questions/);
  await expect(evaluateArena([write('bad.jsonl', [{ uid: '1' }])], {})).rejects.toThrow(/bad\.jsonl:1: a judgment is/);
});

describe('style', () => {
  test('counts Markdown outside of code', () => {
    const text =
      '# One\n\n## Two\n- a\n  * b\n1. c\n**bold** and __bold__\n```\n# no\n- no\n**no**\n```\n####### no\n#no';
    expect(styleOf(text)).toEqual({ length: text.length / 4, headers: 2, lists: 3, bolds: 2 });
  });

  test('divides counts by the length + 1, and lengths by nothing', () => {
    const [model, baseline] = [
      { length: 9, headers: 2, lists: 0, bolds: 5 },
      { length: 3, headers: 1, lists: 2, bolds: 0 },
    ];
    const expected = [6 / 12, (0.2 - 0.25) / 1.45, (0 - 0.5) / 1.5, (0.5 - 0) / 1.5];
    expect(styleDifference(model, baseline)).toBeCloseToTensor(expected, 1e-15);
    const empty = { length: 0, headers: 0, lists: 0, bolds: 0 };
    expect(styleDifference(empty, baseline)[0]).toBe(-1);
    expect(styleDifference({ ...empty, bolds: 1 }, empty)).toEqual([0, 0, 0, 0.5]);
  });

  test('has lines that end with a line feed alone, as in Python', () => {
    expect(styleOf('a\r# b\u2028- c\r\n- d\n  2. e')).toMatchObject({ headers: 0, lists: 2 });
  });

  test('differences turn about with the answers', () => {
    const [one, two] = [styleOf('# a\n- b\nwords and words'), styleOf('plain')];
    expect(styleDifference(two, one)).toEqual(styleDifference(one, two).map((d) => 0 - d));
    expect(styleDifference(one, one)).toEqual([0, 0, 0, 0]);
    expect(styleDifference(styleOf(''), styleOf(''))).toEqual([0, 0, 0, 0]);
  });
});

test('a category, or a model, without a verdict does not end the others', async () => {
  const creative = { category: 'creative_writing', baseline: 'g' };
  const rows = [
    row('1', null, null, creative),
    row('2', game('A>B'), game('A=B')),
    row('2', game(null), null, { model: 'n' }),
    row('3', null, game('A>B'), { model: 'n' }),
  ];
  const boards = await evaluateArena([write('none.jsonl', rows)], {});
  expect(boards).toMatchObject([
    { category: 'creative_writing', models: [], unjudged: [{ model: 'm', dropped: 1 }] },
    { category: 'hard_prompt', models: [{ model: 'm', questions: 1 }], unjudged: [{ model: 'n', dropped: 2 }] },
  ]);
});

test('coding and mathematics are categories of 2.0 with its baseline', async () => {
  const rows = ['coding', 'math'].map((category) =>
    row(category, { judgment: '[[A>B]] or [[B>A]]' }, game('A>B'), { category, baseline: undefined }),
  );
  const boards = await evaluateArena([write('coding.jsonl', rows)], {});
  expect(boards.map(({ baseline, models }) => [baseline, models[0]!.wins])).toEqual([
    ['o3-mini-2025-01-31', 2],
    ['o3-mini-2025-01-31', 2],
  ]);
});
