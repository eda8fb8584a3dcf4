import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { uniforms } from '../random.js';
import { clusterBootstrap, clustersOf, pairedBootstrap } from './bootstrap.js';
import { type Battle, bradleyTerry, bradleyTerryBootstrap } from './bradley-terry.js';
import { holm } from './holm.js';
import { probabilityOfImprovement } from './improvement.js';
import { fitL1Logistic, targetMoments } from './logistic.js';
import { binomialTest, clusterSignTest, signTest, wilsonInterval } from './proportion.js';
import { studentMean, welchDifference } from './student.js';

const runs = { numRuns: 60 };

describe('shares', () => {
  test('Wilson intervals lie in [0, 1], hold the share, mirror with it and widen with the level', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), fc.double({ min: 0, max: 1, noNaN: true }), (n, share) => {
        const k = Math.round(2 * n * share) / 2;
        const { low, high } = wilsonInterval(k, n);
        expect(low).toBeGreaterThanOrEqual(0);
        expect(high).toBeLessThanOrEqual(1);
        expect(low - 1e-12).toBeLessThanOrEqual(k / n);
        expect(high + 1e-12).toBeGreaterThanOrEqual(k / n);
        expect(wilsonInterval(n - k, n).low).toBeCloseTo(1 - high, 12);
        expect(wilsonInterval(k, n, 0.99).high).toBeGreaterThanOrEqual(high);
      }),
      runs,
    );
    expect(wilsonInterval(0, 0)).toEqual({ low: 0, high: 1 });
    expect(() => wilsonInterval(3, 2)).toThrow(RangeError);
  });

  test('the sign test does not care who is who, and is 1 for a draw', () => {
    fc.assert(
      fc.property(fc.nat(300), fc.nat(300), (wins, losses) => {
        expect(signTest(wins, losses)).toBeCloseTo(signTest(losses, wins), 12);
        expect(signTest(wins, wins)).toBeCloseTo(1, 10);
        expect(signTest(wins, losses)).toBeLessThanOrEqual(1);
      }),
      runs,
    );
    expect(signTest(10, 0)).toBeCloseTo(2 ** -9, 12);
    expect(() => binomialTest(1.5, 3)).toThrow(RangeError);
  });
});

describe('paired bootstrap', () => {
  const differences = fc.array(fc.integer({ min: -5, max: 5 }), { minLength: 2, maxLength: 40 });
  const of = (list: number[], seed: number) => pairedBootstrap(list, { random: uniforms(seed), resamples: 300 });

  test('turns about with the sign, stretches with the scale', () => {
    fc.assert(
      fc.property(differences, fc.nat(1000), (list, seed) => {
        const one = of(list, seed);
        const turned = of(
          list.map((d) => -d),
          seed,
        );
        expect(turned.p).toBe(one.p);
        expect(turned.low).toBeCloseTo(-one.high, 10);
        const doubled = of(
          list.map((d) => 2 * d),
          seed,
        );
        expect([doubled.low, doubled.high, doubled.p]).toBeCloseToTensor([2 * one.low, 2 * one.high, one.p], 1e-12);
      }),
      runs,
    );
  });

  test('all ties have p = 1 and the interval [0, 0]; all wins have the p of the sign test', () => {
    expect(of([0, 0, 0], 1)).toMatchObject({ estimate: 0, low: 0, high: 0, p: 1 });
    expect(of([1, 1, 1], 1).p).toBe(1 / 4);
    expect(of([1, 0, 1, 0, 1], 1).p).toBe(1 / 4);
    expect(of(Array(30).fill(1), 1).p).toBeCloseTo(1 / 301, 14);
    expect(() => of([], 1)).toThrow(RangeError);
  });

  test('a value that is there five times, as a cluster, is there once', () => {
    fc.assert(
      fc.property(differences, fc.nat(1000), (list, seed) => {
        const once = of(list, seed);
        const copies = list.map((one) => Array<number>(5).fill(one));
        const five = clusterBootstrap(copies, { random: uniforms(seed), resamples: 300 });
        expect([five.low, five.high, five.p]).toBeCloseToTensor([once.low, once.high, once.p], 1e-12);
        expect(five).toMatchObject({ clusters: list.length, values: 5 * list.length });
        const [wins, losses] = [list.filter((one) => one > 0), list.filter((one) => one < 0)];
        expect(clusterSignTest(copies)).toBe(signTest(wins.length, losses.length));
      }),
      runs,
    );
    expect(() => clusterBootstrap([[1], []], { random: uniforms(1) })).toThrow(RangeError);
    expect(clustersOf(['b1', 'a', 'b2'], ([key]) => key!)).toEqual([['b1', 'b2'], ['a']]);
  });

  test('the same seed gives the same numbers', () => {
    expect(of([1, -2, 3], 5)).toEqual(of([1, -2, 3], 5));
  });
});

describe("Student's interval", () => {
  const values = fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 2, maxLength: 20 });

  test('touches 0 at the level 1 - p, and turns about with the sign', () => {
    fc.assert(
      fc.property(values, values, (x, y) => {
        fc.pre(new Set(x).size > 1);
        for (const of of [
          (level?: number) => studentMean(x, level),
          (level?: number) => welchDifference(x, y, level),
        ]) {
          const { estimate, p } = of();
          fc.pre(p! > 1e-6 && p! < 1);
          const { low, high } = of(1 - p!).interval!;
          expect(Math.min(Math.abs(low), Math.abs(high))).toBeLessThan(1e-6 * Math.abs(estimate));
        }
        const { interval, p } = studentMean(x.map((one) => -one)); // biome-ignore format: short
        const one = studentMean(x);
        expect([interval!.low, p!]).toBeCloseToTensor([-one.interval!.high, one.p!], 1e-12);
      }),
      runs,
    );
  });

  test('needs two values; equal values have no width and the p of the sign test', () => {
    expect(studentMean([3])).toEqual({ estimate: 3, interval: undefined, p: undefined });
    expect(welchDifference([3], [1, 2])).toEqual({ estimate: 1.5, interval: undefined, p: undefined });
    expect(studentMean([2, 2, 2])).toEqual({ estimate: 2, interval: { low: 2, high: 2 }, p: 1 / 4 });
    expect(studentMean([0, 0])).toMatchObject({ p: 1 });
    expect(() => studentMean([])).toThrow(RangeError);
    expect(() => welchDifference([], [1])).toThrow(RangeError);
  });
});

test("Holm's p is that of the closed test: the largest Bonferroni p of all sets that hold the hypothesis", () => {
  const p = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.array(p, { minLength: 1, maxLength: 6 }), (ps) => {
      const closed = ps.map((_, i) => {
        let most = 0;
        for (let set = 0; set < 2 ** ps.length; set++) {
          const held = ps.filter((_, j) => set & (1 << j));
          if (set & (1 << i)) most = Math.max(most, Math.min(1, held.length * Math.min(...held)));
        }
        return most;
      });
      expect(holm(ps)).toBeCloseToTensor(closed, 1e-14);
    }),
    runs,
  );
  expect(holm([])).toEqual([]);
});

describe('probability of improvement', () => {
  const scores = fc.array(fc.integer({ min: 1, max: 10 }), { minLength: 1, maxLength: 20 });
  const answers = (list: number[]) => list.map((score, i) => ({ cluster: String(i), scores: [score] }));
  const of = (x: number[], y: number[]) =>
    probabilityOfImprovement(answers(x), answers(y), { random: uniforms(1), resamples: 50 });

  test('of X over Y and of Y over X make 1; equal lists have 1/2; a monotone scale changes nothing', () => {
    fc.assert(
      fc.property(scores, scores, (x, y) => {
        const found = of(x, y);
        expect(of(y, x).probability).toBeCloseTo(1 - found.probability, 12);
        expect(of(x, x).probability).toBeCloseTo(0.5, 12);
        const up = (list: number[]) => list.map((v) => Math.exp(v) - 7);
        expect(of(up(x), up(y))).toEqual(found);
        let wins = 0;
        for (const a of x) for (const b of y) wins += a > b ? 1 : a === b ? 0.5 : 0;
        expect(found.probability).toBeCloseTo(wins / (x.length * y.length), 12);
      }),
      runs,
    );
  });

  test('is the mean over tasks; a task that is there twice leaves the interval of one', () => {
    const two = (list: [number, number][]) => list.map((scores, i) => ({ cluster: String(i), scores }));
    const options = () => ({ random: uniforms(1), resamples: 200 });
    const both = probabilityOfImprovement(two([[2, 1], [2, 1]]), two([[1, 2]]), options()); // biome-ignore format: short
    expect(both.probability).toBe(0.5);
    const [x, y] = [[4, 2, 6, 3, 8], [1, 2, 5, 4, 2]]; // biome-ignore format: short
    const twice = probabilityOfImprovement(two(x.map((v) => [v, v])), two(y.map((v) => [v, v])), options());
    expect(twice).toEqual(probabilityOfImprovement(answers(x), answers(y), options()));
    expect(twice.high - twice.low).toBeGreaterThan(0.1);
    expect(() => of([], [1])).toThrow(RangeError);
    expect(() => probabilityOfImprovement(two([[1, 2]]), answers([1]), options())).toThrow(/missing/);
  });
});

describe('L1-penalised logistic regression', () => {
  const rows = fc.array(
    fc.tuple(fc.integer({ min: -20, max: 20 }), fc.integer({ min: -20, max: 20 }), fc.integer({ min: 0, max: 10 })),
    { minLength: 3, maxLength: 25 },
  );
  const problem = (list: [number, number, number][], C: number) => {
    const features = list.map(([a, b]) => [a / 10, b / 10]);
    return {
      features,
      moments: targetMoments(
        features,
        list.map(([, , y]) => y / 10),
      ),
      C,
    };
  };

  test('no neighbour has a smaller objective', () => {
    const objective = ({ features, moments, C }: ReturnType<typeof problem>, w: number[]) => {
      let loss = -moments[0]! * w[0]! - moments[1]! * w[1]!;
      for (const [a, b] of features) loss += Math.log1p(Math.exp(a! * w[0]! + b! * w[1]!));
      return C * loss + Math.abs(w[0]!) + Math.abs(w[1]!);
    };
    fc.assert(
      fc.property(rows, fc.constantFrom(0.05, 1, 20), (list, C) => {
        const one = problem(list, C);
        const { coefficients, residual } = fitL1Logistic(one);
        expect(residual).toBeLessThan(1e-9);
        const best = objective(one, coefficients);
        for (const [da, db] of [
          [1, 0],
          [-1, 0],
          [0, 1],
          [0, -1],
          [1, 1],
          [1, -1],
        ]) {
          for (const size of [1e-3, 0.1]) {
            const near = [coefficients[0]! + da! * size, coefficients[1]! + db! * size];
            expect(objective(one, near)).toBeGreaterThan(best - 1e-9 * (1 + Math.abs(best)));
          }
        }
      }),
      runs,
    );
  });

  test('swapping the sides turns the coefficients about', () => {
    fc.assert(
      fc.property(rows, (list) => {
        const turned = list.map(([a, b, y]): [number, number, number] => [a, b, 10 - y]);
        const one = fitL1Logistic(problem(list, 2)).coefficients;
        expect(fitL1Logistic(problem(turned, 2)).coefficients.map((w) => -w + 0)).toBeCloseToTensor(one, 1e-7);
      }),
      runs,
    );
  });

  test('little weight leaves only zeros; what cannot be fitted is refused', () => {
    const one = problem(
      [
        [10, 3, 10],
        [-4, 5, 0],
        [3, 3, 5],
      ],
      1e-3,
    );
    expect(fitL1Logistic(one).coefficients).toEqual([0, 0]);
    expect(() => fitL1Logistic({ ...one, C: 0 })).toThrow(/C is 0; a number above 0/);
    expect(() => fitL1Logistic({ ...one, moments: [1] })).toThrow(/1 a row/);
  });
});

describe('Bradley-Terry', () => {
  const battle = fc
    .tuple(
      fc.constantFrom('a', 'b', 'c'),
      fc.constantFrom('a', 'b', 'c'),
      fc.constantFrom(0, 0.5, 1),
      fc.constantFrom(1, 3),
    )
    .filter(([first, second]) => first !== second)
    .map(([first, second, score, weight]): Battle => ({ first, second, score, weight }));
  // A round of ties connects everybody and keeps all ratings finite.
  const round: Battle[] = [
    { first: 'a', second: 'b', score: 0.5 },
    { first: 'b', second: 'c', score: 0.5 },
  ];
  const battles = fc.array(battle, { maxLength: 25 }).map((list) => [...round, ...list]);

  test('swapping the sides of every battle changes nothing, swapping the scores turns the ratings about', () => {
    fc.assert(
      fc.property(battles, (list) => {
        const { ratings } = bradleyTerry(list);
        const swapped = list.map(({ first, second, score, weight }) => ({
          first: second,
          second: first,
          score: 1 - score,
          weight,
        }));
        expect(bradleyTerry(swapped).ratings).toBeCloseToTensor(ratings, 1e-9);
        const lost = list.map((one) => ({ ...one, score: 1 - one.score }));
        expect(bradleyTerry(lost).ratings.map((r) => -r)).toBeCloseToTensor(ratings, 1e-9);
        expect(ratings.reduce((sum, r) => sum + r, 0)).toBeCloseTo(0, 9);
      }),
      runs,
    );
  });

  test('a tie is half a win of each, a weight of 3 is three battles, all weights times a number change nothing', () => {
    fc.assert(
      fc.property(battles, (list) => {
        const { ratings } = bradleyTerry(list);
        const halves = list.flatMap((one) =>
          one.score === 0.5
            ? [0, 1].map((score) => ({ ...one, score, weight: (one.weight ?? 1) / 2 }))
            : Array.from({ length: one.weight ?? 1 }, () => ({ ...one, weight: 1 })),
        );
        expect(bradleyTerry(halves).ratings).toBeCloseToTensor(ratings, 1e-9);
        const scaled = list.map((one) => ({ ...one, weight: 7 * (one.weight ?? 1) }));
        expect(bradleyTerry(scaled).ratings).toBeCloseToTensor(ratings, 1e-9);
      }),
      runs,
    );
  });

  test('against one anchor only, the win rate is the weighted mean score', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(0, 0.5, 1), { minLength: 1, maxLength: 30 }), (scores) => {
        const list = [0.5, ...scores].map((score) => ({ first: 'm', second: 'base', score }));
        const share = list.reduce((sum, { score }) => sum + score, 0) / list.length;
        const { players, ratings } = bradleyTerry(list, { anchor: 'base' });
        expect(players).toEqual(['base', 'm']);
        expect(1 / (1 + Math.exp(-ratings[1]!))).toBeCloseTo(share, 10);
      }),
      runs,
    );
  });

  test('who wins always has no finite rating, a ridge gives one; strangers are named', () => {
    const wins = Array.from({ length: 5 }, () => ({ first: 'm', second: 'base', score: 1 }));
    expect(() => bradleyTerry(wins)).toThrow(/no maximum.*ridge/);
    const { ratings } = bradleyTerry(wins, { anchor: 'base', ridge: 1e-6 });
    expect(ratings[1]).toBeGreaterThan(10);
    expect(() => bradleyTerry([...round, { first: 'x', second: 'y', score: 1 }])).toThrow(/no chain.*"a" and "x"/);
    expect(() => bradleyTerry(round, { anchor: 'z' })).toThrow(/"z" has no battle/);
    expect(() => bradleyTerry([{ first: 'a', second: 'b', score: 2 }])).toThrow(/score 2/);
  });

  test('battles of one cluster are drawn together: doubling every battle leaves its interval, not that of battles', () => {
    const once = Array.from({ length: 60 }, (_, i) => ({
      first: 'm',
      second: 'base',
      score: i % 3 === 0 ? 0 : 1,
      id: i,
    }));
    const twice = once.flatMap((one) => [one, one]);
    const options = (list: { id: number }[], clustered: boolean) => ({
      anchor: 'base',
      random: uniforms(3),
      resamples: 400,
      ridge: 1e-6,
      ...(clustered && { clusterOf: (_: Battle, i: number) => String(list[i]!.id) }),
    });
    const width = (list: typeof once, clustered: boolean) => {
      const { winRates } = bradleyTerryBootstrap(list, options(list, clustered));
      expect(winRates[1]!.rate).toBeCloseTo(2 / 3, 6);
      return winRates[1]!.high - winRates[1]!.low;
    };
    const single = width(once, false);
    expect(width(twice, true)).toBeCloseTo(single, 6);
    expect(width(twice, false)).toBeLessThan(0.85 * single);
  });
});
