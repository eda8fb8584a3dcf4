import { describe, expect, test } from 'vitest';
import { uniforms } from '../../random.js';
import { adjusted, type Course, compareFronts, type Way } from './compare.js';
import { endsCurve, readingAt, trainingCurve } from './curves.js';

/** A course through points of KL and quality, after one at step 0. */
const course = (arm: string, seed: string, ...points: [kl: number, quality: number][]): Course => ({
  arm,
  seed,
  points: [[0, 0] as const, ...points].map(([kl, quality], step) => ({ step, kl, quality })),
});
const at = (kl: number) => ({ way: 'training' as const, at: [kl] });

describe('a curve', () => {
  test('is linear in sqrt(KL) between evaluations, from the first one after step 0, and nothing outside', () => {
    const { points } = course('a', '1', [1, 10], [9, 30]);
    const curve = trainingCurve(points);
    expect([0.9, 1, 4, 9, 9.1].map((kl) => readingAt(curve, kl)?.quality)).toEqual([undefined, 10, 20, 30, undefined]);
  });

  test('of a run is what it had when it first had the KL', () => {
    const { points } = course('a', '1', [4, 1], [16, 2], [9, -5], [16, -6], [-1, 0], [25, 3]);
    expect(trainingCurve(points)).toEqual([[4, 1], [16, 2], [25, 3]].map(([kl, quality]) => ({ kl, quality }))); // biome-ignore format: short
  });

  test('of ends is in the order of KL, equal ones as their mean', () => {
    const ends = [[4, 1], [1, 5], [4, 3], [-0.1, 0]].map(([kl, quality]) => ({ kl: kl!, quality: quality! })); // biome-ignore format: short
    expect(endsCurve(ends)).toEqual([{ kl: 0, quality: 0 }, { kl: 1, quality: 5 }, { kl: 4, quality: 2 }]); // biome-ignore format: short
  });
});

describe('seeds', () => {
  const seeds = ['1', '2', '3', '4'];
  /** Levels of the seeds lie far apart; a is better by 1 with a little noise. */
  const a = seeds.map((seed, i) => course('a', seed, [1, 10 * i + 1.1], [4, 10 * i + 1 + 0.1 * i]));
  const b = seeds.map((seed, i) => course('b', seed, [1, 10 * i], [4, 10 * i]));

  test('that both arms have are paired, others are left out, and none in common is said', () => {
    const paired = compareFronts(a, [...b, course('b', '9', [1, 99], [4, 99])], at(4));
    expect(paired).toMatchObject({ isPaired: true, seeds: { both: 4, ofA: 4, ofB: 5 } });
    expect(paired.rows[0]!.difference).toBeCloseTo(1.15, 12);
    expect(paired.rows[0]!.interval!.high).toBeLessThan(1.5);
    const others = b.map((one) => ({ ...one, seed: `other ${one.seed}` }));
    const unpaired = compareFronts(a, others, at(4));
    expect(unpaired).toMatchObject({ isPaired: false, seeds: { both: 0, ofA: 4, ofB: 4 } });
    expect(unpaired.rows[0]!.difference).toBeCloseTo(1.15, 12);
    expect(unpaired.rows[0]!.interval!.high).toBeGreaterThan(15);
  });

  test('that do not all reach a KL leave a row without a difference, unless fewer are asked for', () => {
    // The only seed of a that gets to KL 16 is a hard one, whose quality is low in both arms.
    const far = [...a.slice(1), course('a', '1', [1, 0], [16, 2.75])];
    const base = b.map(({ seed }, i) => course('b', seed, [1, 10 * i], [16, 10 * i + 3]));
    const [refused] = compareFronts(far, base, at(16)).rows;
    expect(refused).toMatchObject({ difference: undefined, p: undefined, seeds: { both: 1, ofA: 1, ofB: 4 } });
    const [fewer] = compareFronts(far, base, { ...at(16), atLeast: 1 }).rows;
    expect(fewer!.difference).toBeCloseTo(-0.25, 12);
    expect(fewer).toMatchObject({ b: { quality: 3 }, interval: undefined });
    const places = (atLeast?: number) =>
      compareFronts(far, base, { way: 'training', atLeast }).rows.map(({ kl }) => kl);
    expect(places()).toEqual([1.6, 2.2, 2.8, 3.4000000000000004, 4]);
    expect(places(1).at(-1)).toBe(16);
    // Seed 1 begins where the others end: three seeds have a range, which the rows say.
    const apart = compareFronts([course('a', '1', [5, 1], [9, 1]), ...a.slice(1)], b, { way: 'training' });
    expect(apart.rows.map(({ kl, difference, seeds }) => [kl, difference, seeds.both]).at(-1)).toEqual([
      4,
      undefined,
      3,
    ]);
    const unshared = base.map((one) => ({ ...one, seed: `other ${one.seed}` }));
    expect(compareFronts(far, unshared, at(16)).rows[0]).toMatchObject({ difference: undefined, seeds: { ofA: 1 } });
  });

  test('of which none is there, or one twice, are refused', () => {
    expect(() => compareFronts([], b, at(1))).toThrow(RangeError);
    expect(() => compareFronts([...a, a[0]!], b, at(1))).toThrow('a has 2 runs of seed 1; one is allowed');
  });
});

describe('ways', () => {
  /** A front of three runs a seed; the seeds move at different speeds. */
  const base = [1, 2].flatMap((seed) =>
    [1, 2, 3].map((end) => course('b', `${seed}`, [0.1, 9], [(seed * end) ** 2, 10 * seed + end])),
  );
  const single = [course('a', '1', [1, 12.6], [2.25, 12]), course('a', '2', [1, 21], [25, 23.5])];
  const compared = (way: Way) => compareFronts(single, way === 'ends' ? base : base.filter((_, i) => i % 3 === 1), { way }); // biome-ignore format: short

  test('ends are a front over the runs of each seed, interpolated seed by seed', () => {
    // Quality rises by 1 in each sqrt(KL) of seed 1, and of each two of seed 2.
    const [row] = compareFronts(base, base.map((one) => ({ ...one, arm: 'c' })), { way: 'ends', at: [6.25] }).rows; // biome-ignore format: short
    expect(row!.a!.quality).toBeCloseTo((12.5 + 21.25) / 2, 12);
    expect(row).toMatchObject({ difference: 0, p: 1, seeds: { both: 2 } });
  });

  test('a single end of each seed is compared with the front at its own KL', () => {
    const { rows } = compared('ends');
    expect(rows).toHaveLength(1);
    expect(rows[0]!.a).toEqual({ kl: (2.25 + 25) / 2, quality: (12 + 23.5) / 2 });
    expect(rows[0]!.difference).toBeCloseTo((12 - 11.5 + (23.5 - 22.5)) / 2, 12);
    const turned = compareFronts(base, single, { way: 'ends' }).rows[0]!;
    expect(turned.difference).toBeCloseTo(-rows[0]!.difference!, 12);
  });

  test('best and end are those of each run, at whatever KL', () => {
    expect(compared('best').rows[0]).toMatchObject({ kl: undefined, a: { kl: 13, quality: 18.05 } });
    expect(compared('best').rows[0]!.difference).toBeCloseTo((12.6 - 12 + (23.5 - 22)) / 2, 12);
    expect(compared('end').rows[0]!.difference).toBeCloseTo((12 - 12 + (23.5 - 22)) / 2, 12);
  });

  test("Holm's p counts every difference that has one", () => {
    const { comparisons, tests } = adjusted([compared('best'), compared('end'), compareFronts(single, base, { way: 'ends', at: [99] })]); // biome-ignore format: short
    expect(tests).toBe(2);
    const [one, two, none] = comparisons.map(({ rows }) => rows[0]!);
    expect(Math.min(one!.holm! / one!.p!, two!.holm! / two!.p!)).toBeGreaterThan(1);
    expect(none).toMatchObject({ p: undefined, holm: undefined });
  });
});

describe('simulated fronts', () => {
  const [uniform, samples] = [uniforms(8), 2000];
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  /** Seeds differ by 0.7 in quality, evaluations by 0.15; a hard seed moves far and gains little. */
  const arms = (seeds: number, gain: number, reach: number): [Course[], Course[]] => {
    const levels = Array.from({ length: seeds }, () => ({ level: 0.7 * normal(), speed: 1 + uniform() }));
    const side = (arm: string, better: number, far: number) =>
      levels.map(({ level, speed }, seed): Course => {
        const pace = far * speed * (0.9 + 0.2 * uniform());
        const points = [0, 1, 2, 3, 4, 5].map((step) => ({
          step,
          kl: (step * pace) ** 2,
          quality: level + (3 / speed + better) * step * pace + 0.15 * normal(),
        }));
        return { arm, seed: String(seed), points };
      });
    return [side('a', gain, reach), side('b', 0, 1)];
  };
  /** As if each evaluation were the end of a run of its own. */
  const asEnds = (courses: Course[]) =>
    courses.flatMap((one) => one.points.slice(1).map((point) => ({ ...one, points: [point] })));
  interface Simulation {
    way?: Way;
    gain?: number;
    reach?: number;
    kl?: number;
    isPaired?: boolean;
    atLeast?: number;
  }
  /** The share of intervals of a KL that hold the true difference, and the mean of the differences. */
  function measured(
    seeds: number,
    { way = 'training', gain = 0, reach = 1, kl = 9, isPaired = true, atLeast }: Simulation,
  ) {
    let [held, total, count] = [0, 0, 0];
    for (let i = 0; i < samples; i++) {
      const [a, b] = arms(seeds, gain, reach);
      const others = isPaired ? b : arms(seeds, gain, reach)[1].map((one) => ({ ...one, seed: `other ${one.seed}` }));
      const [ours, theirs] = way === 'ends' ? [asEnds(a), asEnds(others)] : [a, others];
      const [row] = compareFronts(ours, theirs, { way, at: [kl], atLeast }).rows;
      if (row?.difference === undefined) continue;
      const truth = gain * Math.sqrt(kl);
      held += Number(row.interval!.low <= truth && truth <= row.interval!.high);
      total += row.difference - truth;
      count++;
    }
    return { coverage: (100 * held) / count, bias: total / count, share: count / samples };
  }

  test.each<[number, Simulation]>([
    [4, { gain: 0 }],
    [8, { gain: 0.5 }],
    [4, { gain: 0.2, reach: 1.2 }],
    [6, { isPaired: false }],
    [4, { way: 'ends', gain: 0.3 }],
    [4, { way: 'best' }],
    [4, { way: 'end' }],
  ])('of %i seeds, %j: intervals cover within 2 points of 95 percent, without a bias', (seeds, settings) => {
    const { coverage, bias, share } = measured(seeds, settings);
    expect(share).toBe(1);
    expect(Math.abs(coverage - 95)).toBeLessThan(2);
    expect(Math.abs(bias)).toBeLessThan(settings.isPaired === false || settings.way === 'end' ? 0.05 : 0.02);
  });

  test('where an arm reaches a KL with its hard seeds only, these are compared with themselves, without a bias', () => {
    const far = { reach: 0.6, kl: 25 };
    expect(measured(6, far).share).toBeLessThan(0.05);
    const some = measured(6, { ...far, atLeast: 2 });
    expect(some.share).toBeGreaterThan(0.5);
    expect(Math.abs(some.coverage - 95)).toBeLessThan(2);
    expect(Math.abs(some.bias)).toBeLessThan(0.02);
    // The mean of what reaches it in each arm is biased by which seeds these are.
    expect(measured(6, { ...far, atLeast: 2, isPaired: false }).bias).toBeLessThan(-0.5);
  });
});
