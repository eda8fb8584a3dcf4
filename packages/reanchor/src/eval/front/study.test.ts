import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readCsv } from '../../formats/index.js';
import { frontChart } from './chart.js';
import { frontCsv } from './csv.js';
import { analyse, type FrontOptions, front } from './front.js';
import { readRuns } from './read-runs.js';

const folder = mkdtempSync(join(tmpdir(), 'study-front-'));
afterAll(() => rmSync(folder, { recursive: true }));
const write = (rows: readonly object[]) => {
  const file = join(folder, 'results.jsonl');
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return [{ name: 'r', file }];
};

type Point = readonly [kl: number | null, gold: number | null];
/** The rows of a run, measured before training and then every 30 steps. */
const run = (arm: string, key: Record<string, unknown>, seed: number, ...points: Point[]) =>
  ([[0, 0], ...points] as const).map(([kl, gold], i) => ({
    ...{ arm, key, seed, step: 30 * i },
    scores: { gold: { mean: gold, se: 0.1 }, fluent: { mean: gold === null ? null : -gold, se: null } },
    kl: { mean: kl, se: 0.5 },
    ...{ distinct2: 0.5, grad_norm: i === 0 ? null : 2 },
  }));
const soft = { 'loss.beta': 0.3, reference: { update: 'soft', alpha: 0.6, maxDivergence: 0.2 } };
const dpo = (beta: number) => ({ 'loss.beta': beta, 'optimizer.lr': 3e-4 });

/** Quality is `gain` times sqrt(KL) and the level of the seed, at KL 1, 4 and 9, or as far as the run gets. */
const course = (arm: string, key: Record<string, unknown>, seed: number, gain: number, length = 3) =>
  run(arm, key, seed, ...[1, 2, 3].slice(0, length).map((root) => [root ** 2, 10 * seed + gain * root] as const));
const study = [1, 2, 3].flatMap((seed) => [
  ...course('dpo', dpo(0.1), seed, 1),
  ...course('dpo', dpo(0.3), seed, 0.5, 2),
  ...course('capped', soft, seed, 2 + seed / 10),
]);
const metrics = { kl: 'kl', quality: 'gold' };
const of = (rows: readonly object[], options: Partial<FrontOptions> = {}) =>
  front({ runs: write(rows), ...metrics, ...options });

describe('the results of a study', () => {
  test('are arms and settings over seeds, named by what differs in an arm', async () => {
    const { arms, choice } = await of(study);
    expect(choice).toBeUndefined();
    expect(arms.map(({ arm, seeds }) => [arm, seeds.join()])).toEqual(
      ['dpo beta 0.1', 'dpo beta 0.3', 'capped beta 0.3'].map((arm) => [arm, '1,2,3']),
    );
    // The ends at KL 9 are 13, 23 and 33; of capped 16.3, 26.6 and 36.9, whose standard error is 10.3 / sqrt(3).
    expect(arms[0]).toMatchObject({ end: { kl: { mean: 9, error: 0 }, quality: { mean: 23 } }, reached: 9 });
    expect(arms[0]!.end!.quality.error).toBeCloseTo(10 / Math.sqrt(3), 12);
    expect(arms[2]!.end!.quality.mean).toBeCloseTo(26.6, 12);
    expect(arms[2]!.end!.quality.error).toBeCloseTo(10.3 / Math.sqrt(3), 12);
    const [overoptimised] = (await of(run('dpo', {}, 1, [1, 3], [4, 5], [9, 2]))).arms;
    const [one, four] = [2, 5].map((value) => ({ mean: value, error: undefined }));
    expect(overoptimised).toMatchObject({ end: { quality: one }, best: { quality: four, kl: { mean: 4 } } });
  });

  test('compare every arm with the first one, or the one that is named, paired by seed', async () => {
    const { comparisons, tests } = await of(study, { at: [4, 9] });
    expect(comparisons.map(({ a, b, way }) => `${a} - ${b} ${way}`)).toEqual([
      ...['training', 'best', 'end'].map((way) => `capped beta 0.3 - dpo beta 0.1 ${way}`),
      ...['training', 'best', 'end'].map((way) => `capped beta 0.3 - dpo beta 0.3 ${way}`),
      'capped - dpo ends',
    ]);
    // At KL 4 the differences are 2 x (1.1, 1.2, 1.3): 2.4, and the interval 4.303 x 0.2 / sqrt(3) to both sides.
    const [four, nine] = comparisons[0]!.rows;
    expect(four!.difference).toBeCloseTo(2.4, 12);
    expect(four!.interval!.high - 2.4).toBeCloseTo((4.302652729911275 * 0.2) / Math.sqrt(3), 9);
    expect(nine!.difference).toBeCloseTo(3.6, 12);
    expect(comparisons[3]!.rows[1]).toMatchObject({ kl: 9, difference: undefined, seeds: { both: 0, ofA: 3, ofB: 0 } });
    expect(comparisons[6]!.rows.map(({ difference }) => difference)).toEqual([undefined, nine!.difference]);
    const ps = comparisons.flatMap(({ rows }) => rows).filter(({ p }) => p !== undefined);
    expect(tests).toBe(ps.length);
    const smallest = ps.reduce((least, one) => (one.p! < least.p! ? one : least));
    expect(smallest.holm).toBeCloseTo(tests * smallest.p!, 12);
    const turned = await of(study, { base: 'capped' });
    expect(turned.comparisons[0]).toMatchObject({ a: 'dpo beta 0.1', b: 'capped beta 0.3' });
    await expect(of(study, { base: 'caped' })).rejects.toThrow(
      'base: no run is of caped; did you mean capped?; there are dpo, capped',
    );
  });

  test('give no difference at a KL that one of the seeds does not reach, unless fewer are asked for', async () => {
    const short = [...study, ...course('dpo', dpo(0.1), 4, 1), ...course('capped', soft, 4, 2, 2)];
    const [row] = (await of(short, { at: [9] })).comparisons[0]!.rows;
    expect(row).toMatchObject({ difference: undefined, p: undefined, seeds: { both: 3, ofA: 3, ofB: 4 } });
    const [fewer] = (await of(short, { at: [9], atLeast: 3 })).comparisons[0]!.rows;
    expect(fewer!.difference).toBeCloseTo(3.6, 12);
  });

  test('of a run that ended without a number have no end, and are refused by end and ends', async () => {
    const broken = [
      ...study.filter(({ arm, seed }) => arm === 'dpo' || seed < 3),
      ...run('capped', soft, 3, [1, 32], [4, null]),
    ];
    const { arms, comparisons, runs } = await of(broken);
    expect(runs.filter(({ hasEnd }) => !hasEnd).map(({ name }) => name)).toEqual([
      'r capped loss.beta 0.3 reference.update soft reference.alpha 0.6 reference.maxDivergence 0.2 seed 3',
    ]);
    expect(arms[2]).toMatchObject({ end: undefined, best: { quality: { mean: (16.3 + 26.6 + 32) / 3 } } });
    for (const { way, rows } of comparisons.filter(({ way }) => way === 'end' || way === 'ends')) {
      expect([way, rows[0]]).toMatchObject([way, { difference: undefined, seeds: { both: 2 } }]);
    }
  });

  test.each([
    [{ arm: 'dpo' }, 'no seed'],
    [{ arm: '', scores: {} }, 'arm "" is not allowed'],
    [{ ...study[0], seed: 'x' }, 'seed "x" is not allowed'],
    [{ ...study[0], step: -1 }, 'step -1 is not allowed'],
    [{ ...study[0], scores: { gold: 3 } }, 'scores {"gold":3} is not allowed'],
    [{ ...study[0], kl: undefined }, 'no kl'],
    [study[0]!, 'a second row of step 0 of r dpo loss.beta 0.1 optimizer.lr 0.0003 seed 1'],
  ])('with the row %j are refused', async (row, problem) => {
    const where = `${join(folder, 'results.jsonl')}:${study.length + 1}: `;
    await expect(of([...study, row])).rejects.toThrow(where);
    await expect(of([...study, row])).rejects.toThrow(problem);
  });

  test('without the named score are refused, with those that there are', async () => {
    await expect(of(study, { quality: 'golds' })).rejects.toThrow(/golds; did you mean gold\?; it has .*fluent.*, kl/);
  });
});

describe('a choice', () => {
  const split = { tuneSeeds: ['1', '2'], testSeeds: ['3', '4'] };
  /** On the tuning seeds dpo is best with beta 0.1, on the others with 0.3; capped has one setting. */
  const tuned = [1, 2, 3, 4].flatMap((seed) => {
    const isTuning = seed <= 2;
    return [
      ...course('dpo', dpo(0.1), seed, isTuning ? 2 : 1),
      ...course('dpo', dpo(0.3), seed, isTuning ? 1 : 5),
      ...course('capped', soft, seed, isTuning ? 100 : 1.5 + seed / 10),
    ];
  });

  test('is made by tuning seeds alone, and tested by the others alone', async () => {
    const { choice, comparisons, runs } = await of(tuned, { choose: split, at: [4] });
    expect(choice).toMatchObject({ by: 'gold', ...split });
    expect(choice!.arms.map(({ method, chosen }) => [method, chosen])).toEqual([
      ['dpo', 'dpo beta 0.1'],
      ['capped', 'capped beta 0.3'],
    ]);
    expect(choice!.arms[0]!.candidates.map(({ end }) => end!.quality.mean)).toEqual([15 + 6, 15 + 3]);
    expect(new Set(runs.map(({ seed }) => seed))).toEqual(new Set(['3', '4']));
    expect(comparisons.map(({ a, b, way }) => `${a} - ${b} ${way}`)).toEqual([
      ...['training', 'best', 'end'].map((way) => `capped beta 0.3 - dpo beta 0.1 ${way}`),
      'capped - dpo ends',
    ]);
    // Of seeds 3 and 4, 2 x (0.8 and 0.9).
    expect(comparisons[0]!.rows[0]!.difference).toBeCloseTo(1.7, 12);
  });

  test('does not hear of the numbers of test seeds, nor the test of those of tuning seeds', async () => {
    const without = (isTuning: boolean) =>
      tuned.map((row) => {
        const isOther = row.seed <= 2 === isTuning;
        return isOther ? { ...row, scores: { ...row.scores, gold: { mean: 7 + row.step, se: 0 } } } : row;
      });
    const given = await of(tuned, { choose: split });
    expect((await of(without(false), { choose: split })).choice).toEqual(given.choice);
    const { arms, comparisons, tests } = await of(without(true), { choose: split });
    expect({ arms, comparisons, tests }).toEqual({
      arms: given.arms,
      comparisons: given.comparisons,
      tests: given.tests,
    });
  });

  test('by another score is that of this score', async () => {
    const { choice, comparisons } = await of(tuned, { choose: { ...split, by: 'fluent' } });
    expect(choice).toMatchObject({ by: 'fluent', arms: [{ chosen: 'dpo beta 0.3' }, {}] });
    expect(comparisons[0]).toMatchObject({ b: 'dpo beta 0.3' });
  });

  test('takes an untuned arm with one setting as it is, and no setting that ended without a number', async () => {
    const rows = [...tuned.filter(({ arm, seed }) => arm === 'dpo' || seed > 2)];
    const { choice } = await of(rows, { choose: split });
    expect(choice!.arms[1]).toEqual({ method: 'capped', chosen: 'capped beta 0.3', candidates: [] });
    const broken = tuned.map((row) =>
      row.seed === 1 && row.key['loss.beta'] === 0.1 && row.step === 90
        ? { ...row, scores: { ...row.scores, gold: { mean: null, se: null } } }
        : row,
    );
    expect((await of(broken, { choose: split })).choice!.arms[0]!.chosen).toBe('dpo beta 0.3');
  });

  test.each([
    [tuned, { ...split, testSeeds: ['2', '3'] }, 'testSeeds: 2 is among tuneSeeds too'],
    [tuned, { ...split, tuneSeeds: ['9'] }, 'tuneSeeds: no run has 9; the seeds of the runs are 1, 2, 3, 4'],
    [tuned, { ...split, testSeeds: [] }, 'testSeeds: none is given'],
    [
      tuned.filter(({ key, seed }) => key['loss.beta'] !== 0.1 || seed < 3),
      split,
      'dpo beta 0.1 was chosen and has no run of a test seed; those of dpo that have are dpo beta 0.3',
    ],
    [
      tuned.filter(({ key, seed }) => key['loss.beta'] !== 0.1 || seed !== 2),
      split,
      'dpo beta 0.1 has no run of seed 2: settings are chosen by equal tuning seeds',
    ],
    [tuned.filter(({ arm, seed }) => arm === 'capped' || seed > 2), split, 'dpo has no setting to choose'],
  ])('is refused where it cannot be made or tested: %#', async (rows, choose, problem) => {
    await expect(of(rows, { choose })).rejects.toThrow(problem);
  });
});

test('CSV has every measurement, with what was no number left empty', async () => {
  const rows = [...study, ...run('capped', { ...soft, 'optimizer.lr': 1e-4 }, 1, [1 / 3, null])];
  const measured = await readRuns(write(rows));
  const file = join(folder, 'all.csv');
  writeFileSync(file, frontCsv(measured));
  const found = await readCsv(file);
  expect(found).toHaveLength(rows.length);
  const byPlace = (cells: Record<string, string>) => [cells.setting, cells.seed, cells.step].join();
  const last = found.find(({ cells }) => byPlace(cells) === 'capped lr 0.0001 beta 0.3,1,30')!.cells;
  expect(last).toEqual({
    ...{ arm: 'capped', setting: 'capped lr 0.0001 beta 0.3', beta: '0.3', 'optimizer.lr': '0.0001' },
    ...{ seed: '1', step: '30', gold: '', gold_se: '0.1', fluent: '', kl: String(1 / 3), kl_se: '0.5' },
    ...{ distinct2: '0.5', grad_norm: '2' },
  });
  const golds = rows.map(({ scores }) => (scores.gold.mean === null ? '' : String(scores.gold.mean)));
  expect(found.map(({ cells }) => cells.gold).sort()).toEqual(golds.sort());
});

test('the chart has a thin line for each seed, a mean for each setting, and the named ends over beta', async () => {
  const { runs } = analyse(await readRuns(write(study)), metrics);
  const svg = frontChart(runs, metrics);
  expect(svg.match(/<polyline [^>]*stroke-width="1" stroke-dasharray/g)).toHaveLength(9);
  // Three means, and the front of each arm.
  expect(svg.match(/<polyline [^>]*stroke-width="2"/g)).toHaveLength(3 + 2);
  expect(svg.match(/<circle/g)).toHaveLength(2 + 1);
  expect(svg.match(/>β [\d.]+</g)).toEqual(['>β 0.3<', '>β 0.1<']);
});
