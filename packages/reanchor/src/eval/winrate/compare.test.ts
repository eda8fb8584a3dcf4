import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Outcome } from '../judge/judge.js';
import { type ComparedRow, compare } from './compare.js';
import { winRateMatrix } from './report.js';

const row = (outcome: Outcome | undefined, change: Partial<ComparedRow> = {}): ComparedRow => ({
  prompt: 'p',
  answer: 'long answer',
  other: 'short',
  outcome,
  agree: outcome === undefined ? undefined : true,
  verdicts: [{ first: 1 }, { first: 0 }],
  ...change,
});

test('counts, win rate, orders and lengths of a few rows', () => {
  const rows = [
    row('win'),
    row('win'),
    row('loss', { verdicts: [{ first: 0 }, { first: 1 }] }),
    row('tie', { agree: false, verdicts: [{ first: 1 }, { first: 1 }] }),
    row('tie', { answer: 'same', other: 'same', verdicts: [] }),
    row(undefined, { verdicts: [{ first: undefined }, { first: 1 }] }),
    row('loss', { answer: '😀', other: 'two words' }),
  ].map((one, i) => ({ ...one, prompt: `p${i}` }));
  const found = compare(rows, { resamples: 500 });
  expect(found).toMatchObject({ n: 6, wins: 2, ties: 2, losses: 2, unparsed: 1, identical: 1, disagreements: 1 });
  expect(found.winRate).toBe(0.5);
  expect(found.bootstrap.estimate).toBeCloseTo(0.5, 14);
  expect(found.signTest).toBeCloseTo(1, 12);
  // Of ten verdicts that decide, six are for the first place.
  expect(found.firstPlaceShare).toBeCloseTo(0.6, 12);
  // Three of the four decided rows were won by the longer answer.
  expect(found.longerWins).toBe(0.75);
  expect(found.winRateLonger).toBe((1 + 1 + 0 + 0.5) / 4);
  expect(found.winRateShorter).toBe(0);
  expect(found.lengths.answer).toEqual({ mean: (4 * 11 + 4 + 1) / 6, median: 11, meanWords: (4 * 2 + 1 + 1) / 6 });
  expect(() => compare([row(undefined)])).toThrow(RangeError);
});

test('turned about, wins are losses and every share is one minus what it was', () => {
  const outcome = fc.constantFrom<Outcome>('win', 'tie', 'loss');
  fc.assert(
    fc.property(fc.array(outcome, { minLength: 1, maxLength: 40 }), (outcomes) => {
      const turn = { win: 'loss', tie: 'tie', loss: 'win' } as const;
      const one = compare(
        outcomes.map((o, i) => row(o, { prompt: `p${i}` })),
        { resamples: 200 },
      );
      const other = compare(
        outcomes.map((o, i) => row(turn[o], { prompt: `p${i}`, answer: 'short', other: 'long answer' })),
        { resamples: 200 },
      );
      expect([other.wins, other.losses]).toEqual([one.losses, one.wins]);
      expect(other.winRate).toBeCloseTo(1 - one.winRate, 12);
      expect(other.wilson.low).toBeCloseTo(1 - one.wilson.high, 12);
      expect(other.bootstrap.low).toBeCloseTo(1 - one.bootstrap.high, 12);
      expect(other.bootstrap.p).toBe(one.bootstrap.p);
      expect(other.signTest).toBeCloseTo(one.signTest, 12);
      expect(other.longerWins).toEqual(one.longerWins);
      expect(one.bootstrap.low).toBeLessThanOrEqual(one.winRate + 1e-12);
      expect(one.bootstrap.high).toBeGreaterThanOrEqual(one.winRate - 1e-12);
    }),
    { numRuns: 40 },
  );
});

test('the matrix reads a pair both ways', () => {
  const pairs = [
    { model: 'a', other: 'b', comparison: { winRate: 0.75 } },
    { model: 'c', other: 'a', comparison: { winRate: 0.5 } },
  ];
  expect(winRateMatrix(['a', 'b', 'c'], pairs)).toEqual([
    [undefined, 0.75, 0.5],
    [0.25, undefined, undefined],
    [0.5, undefined, undefined],
  ]);
});

test('five equal answers to each of 20 prompts say as much as one', () => {
  const outcomes = [...Array<Outcome>(11).fill('win'), 'tie', 'tie', ...Array<Outcome>(7).fill('loss')] as const;
  const rows = outcomes.map((outcome, i) => row(outcome, { prompt: `p${i}` }));
  const once = compare(rows);
  const five = compare(rows.flatMap((one) => [one, one, one, one, one]));
  expect(five).toMatchObject({ n: 100, bootstrap: { clusters: 20, values: 100 } });
  expect(once.bootstrap).toMatchObject({ clusters: 20, values: 20 });
  const numbers = ({ wilson, bootstrap, signTest }: typeof once) =>
    [wilson.low, wilson.high, bootstrap.low, bootstrap.high, bootstrap.p, signTest]; // biome-ignore format: short
  expect(numbers(five)).toBeCloseToTensor(numbers(once), 1e-12);
  expect(five.signTest).toBeCloseTo(0.481, 3);
});

test('rows that agree have the p of the sign test on their prompts', () => {
  const rows = [0, 1, 2, 3, 4].map((i) => row('win', { prompt: `p${i % 3}` }));
  expect(compare(rows)).toMatchObject({ signTest: 1 / 4, bootstrap: { p: 1 / 4 } });
});
