import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { criteria } from '../judge/templates.js';
import { type Rater, readRatings } from './rater.js';
import { rateAnswers } from './ratings.js';

const folder = mkdtempSync(join(tmpdir(), 'ratings-'));
afterAll(() => rmSync(folder, { recursive: true }));
const write = (name: string, answers: string[]) => {
  const rows = answers.map((completion, i) => JSON.stringify({ prompt: `p${i}`, completion }));
  writeFileSync(join(folder, name), rows.join('\n'));
  return join(folder, name);
};

const all = (value: unknown) => criteria.map((name) => `${name}: ${value}`).join('\n');
const of = (value: number) => Object.fromEntries(criteria.map((name) => [name, value]));

describe('a reply is read', () => {
  test.each<[string, number]>([
    [all(7), 7],
    [all('10/10'), 10],
    [criteria.map((name) => `- **${name[0]!.toUpperCase()}${name.slice(1)}:** 3`).join('\n'), 3],
    [JSON.stringify(of(8)), 8],
    [JSON.stringify(of(8), null, 2), 8],
    [`<think>${all(1)}</think>\n${all(9)}`, 9],
    [`${all(4)}\n\n${all(4)}`, 4],
  ])('%j', (text, value) => {
    expect(readRatings({ text })).toEqual({ value: of(value) });
  });

  test.each([
    ['', 'no ratings of coherence'],
    [all(7).replace('detail: 7', ''), 'no ratings of detail'],
    [all(0), 'the rating of coherence is no whole number from 1 to 10'],
    [all(11), 'the rating of coherence is no whole number from 1 to 10'],
    [all('7.5'), 'the rating of coherence is no whole number from 1 to 10'],
    [all('good'), 'the rating of coherence is no whole number from 1 to 10'],
    [all('8-9'), 'the rating of coherence is no whole number from 1 to 10'],
    [all('-3'), 'the rating of coherence is no whole number from 1 to 10'],
    [`${all(7)}\ncoherence: 2`, 'contradictory ratings of coherence'],
  ])('or not, and nothing is guessed: %j', (text, unparsed) => {
    expect(readRatings({ text })).toEqual({ unparsed });
  });
});

/** Rates an answer by the number that it is; answers without one have no rating. */
const rater: Rater = {
  name: 'numbers',
  settings: {},
  rate: async ({ answer }) =>
    Number.isNaN(Number(answer))
      ? { ratings: undefined, unparsed: 'no number' }
      : { ratings: { ...(of(Number(answer)) as Record<(typeof criteria)[number], number>), detail: 5 } },
};

test('means, and the probability of improvement per criterion and over all', async () => {
  const files = [write('x.jsonl', ['9', '8', '7', '9']), write('y.jsonl', ['2', '8', '1', 'none'])];
  const out = join(folder, 'out.jsonl');
  const result = await rateAnswers({ answers: files, rater, out, concurrency: 2, resamples: 500 });
  expect(result.models.map(({ model, rated, unparsed }) => [model, rated, unparsed])).toEqual([
    ['x', 4, 0],
    ['y', 3, 1],
  ]);
  expect(result.models.map(({ meanLength }) => meanLength)).toEqual([1, 1]);
  expect(result.models[0]!.means.coherence.rating).toBeCloseTo(8.25, 12);
  expect(result.models[0]!.means.mean.rating).toBeCloseTo((4 * 8.25 + 5) / 5, 12);
  const [{ improvement, model, over }] = result.improvements as [(typeof result.improvements)[number]];
  expect([model, over]).toEqual(['x', 'y']);
  // Of twelve pairs, one ties (8 and 8), one is lost (7 and 8).
  expect(improvement.coherence.probability).toBeCloseTo(10.5 / 12, 12);
  expect(improvement.detail).toEqual({ probability: 0.5, low: 0.5, high: 0.5, clusters: 4 });
  expect(improvement.all.probability).toBeCloseTo((4 * (10.5 / 12) + 0.5) / 5, 12);
  expect(improvement.all.low).toBeLessThan(improvement.all.probability);
  const lines = readFileSync(out, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines).toHaveLength(8);
  expect(lines[7]).toEqual({ model: 'y', line: 4, ratings: null, unparsed: 'no number' });
  const same = await rateAnswers({ answers: files, rater, concurrency: 1, resamples: 500 });
  expect(same).toEqual(result);
});

test('a model without a single rating does not end the others; none at all is an error', async () => {
  const none = write('none.jsonl', ['a', 'b']);
  const some = write('some.jsonl', ['7', '9', '3']);
  const result = await rateAnswers({ answers: [none, some], rater, concurrency: 1, resamples: 100 });
  expect(result.models.map(({ model, rated }) => [model, rated])).toEqual([['some', 2]]);
  expect(result).toMatchObject({ names: ['none', 'some'], unrated: ['none'], improvements: [], leftOut: [0, 1] });
  await expect(rateAnswers({ answers: [none], rater, concurrency: 1 })).rejects.toThrow(
    /none: no rating could be read, of 2/,
  );
});

test('answers to chats are rated as answers to what was asked', async () => {
  const file = join(folder, 'chats.jsonl');
  const user = (content: string) => ({ role: 'user', content });
  const rows = [
    { prompt: [user('One?')], completion: '4' },
    { prompt: [user('Two?'), { role: 'assistant', content: 'No.' }, user('So?')], completion: '6' },
  ];
  writeFileSync(file, rows.map((row) => JSON.stringify(row)).join('\n'));
  const asked: string[] = [];
  const hearing: Rater = {
    ...rater,
    rate: (answer) => {
      asked.push(answer.prompt);
      return rater.rate(answer);
    },
  };
  const { models } = await rateAnswers({ answers: [file], rater: hearing, concurrency: 1, resamples: 100 });
  expect(models[0]!.rated).toBe(2);
  expect(asked).toEqual(['One?', 'User: Two?\n\nAssistant: No.\n\nUser: So?']);
});
