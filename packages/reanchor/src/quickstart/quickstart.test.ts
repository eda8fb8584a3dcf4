import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { ResultRow } from '../sweep/index.js';
import { parseStudy, settingsOf } from '../sweep/index.js';
import { quickstart } from './index.js';
import { baseArm, quickstartStudy } from './study.js';
import { differences, verdict } from './verdict.js';

const folder = mkdtempSync(join(tmpdir(), 'quickstart-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('both sizes are valid studies of three arms, each on the sets of pairs that the seed begins', () => {
  for (const size of ['full', 'fast'] as const) {
    const study = parseStudy(quickstartStudy({ size, seed: 7, threads: 2 }), 'study.yaml');
    expect(settingsOf(study).map(({ arm }) => arm)).toEqual([baseArm, 'TR-DPO-soft', 'TR-DPO-hard']);
    expect(study.replicates).toMatchObject({ over: 'pairs', seeds: size === 'full' ? [7, 8, 9, 10, 11] : [7, 8] });
  }
});

/** Its processes take longer where others work. */
const limit = { timeout: 180_000 };

test('the experiment is made once, in a folder that goes on and holds no other', limit, async () => {
  const options = { out: folder, size: 'fast', seed: 1, threads: 2 } as const;
  const made: number[] = [];
  const first = await quickstart({ ...options, onChange: ({ done }) => made.push(done) });
  expect(first.rows.map(({ arm, seed, step }) => `${arm} ${seed} ${step}`)).toEqual(
    [baseArm, 'TR-DPO-soft', 'TR-DPO-hard'].flatMap((arm) =>
      [1, 2].flatMap((seed) => [0, 5, 10].map((step) => `${arm} ${seed} ${step}`)),
    ),
  );
  expect(Math.max(...made)).toBe(3 + 4 + 6);
  expect(readFileSync(join(folder, 'gold-against-kl.svg'), 'utf8')).toContain('TR-DPO-soft');
  for (const { run } of first.examples) expect(existsSync(join(run, 'final/model.safetensors'))).toBe(true);
  const again: number[] = [];
  expect(await quickstart({ ...options, onChange: ({ done }) => again.push(done) })).toEqual(first);
  expect(again).toEqual([]);
  await expect(quickstart({ ...options, seed: 2 })).rejects.toThrow(/another seed, size, number of threads or version/);
  const stop = AbortSignal.abort(new Error('enough'));
  await expect(quickstart({ ...options, out: join(folder, 'other'), signal: stop })).rejects.toThrow('enough');
});

/** Runs of an arm: gold and KL at their ends, one a set of pairs; halfway it is half of each. */
const runs = (arm: string, ends: readonly (readonly [gold: number, kl: number])[]) =>
  ends.flatMap(([gold, kl], seed) =>
    [0, 1, 2].map((step): ResultRow => {
      const estimate = (value: number) => ({ mean: value, se: 0 });
      const scores = { gold: estimate(1 + ((gold - 1) * step) / 2) };
      return { arm, key: {}, seed, step, scores, kl: estimate((kl * step) / 2), distinct2: 1, grad_norm: 1 };
    }),
  );
const base = [
  [3, 30],
  [2.5, 28],
  [3.5, 31],
  [2.8, 27],
] as const;
const shifted = (gold: number, kl: number) =>
  base.map(([g, k], i) => [g + gold * (1 + i / 50), k + kl * (1 + i / 50)] as const);

test('a difference that every set of pairs has is a finding, by how much and in which direction', () => {
  const rows = [...runs(baseArm, base), ...runs('TR-DPO-soft', shifted(0.5, -10))];
  const found = differences(rows);
  expect(found.map(({ what, kl, isFinding }) => [what, kl, isFinding])).toEqual([
    ['gold at the end', undefined, true],
    ['KL at the end', undefined, true],
    ['gold at equal KL', 16, true],
  ]);
  expect(found[0]!.estimate).toBeCloseTo(0.515);
  // The ratio of KL: about 19 / 29.
  expect(found[1]!.estimate).toBeCloseTo(0.64, 2);
  expect(verdict(rows, found)).toEqual([
    'gold rises in 8 of 8 runs',
    'told apart from noise by 4 sets of pairs: TR-DPO-soft has more gold at the end than DPO; ' +
      'TR-DPO-soft has less KL at the end than DPO; TR-DPO-soft has more gold at equal KL than DPO',
  ]);
});

test('differences that change their sign from one set of pairs to the next are noise', () => {
  const other = [
    [3.4, 26],
    [2.2, 33],
    [3.6, 28],
    [2.5, 31],
  ] as const;
  const rows = [...runs(baseArm, base), ...runs('TR-DPO-hard', other)];
  const found = differences(rows);
  for (const { isFinding, interval, what } of found) {
    const none = what === 'KL at the end' ? 1 : 0;
    expect(!isFinding && interval!.low < none && interval!.high > none, what).toBe(true);
  }
  expect(verdict(rows, found)).toEqual([
    'gold rises in 8 of 8 runs',
    'no difference between the arms is told apart from noise by 4 sets of pairs',
  ]);
});

test('less KL of the soft reference is expected: it is tested alone, and nothing is found where it is not', () => {
  const less = [
    [3.02, 23],
    [2.47, 24],
    [3.52, 22],
    [2.79, 25],
  ] as const;
  const found = (rows: ResultRow[]) => differences(rows).map(({ arm, what, isFinding }) => [arm, what, isFinding]);
  const soft = runs('TR-DPO-soft', less);
  const hard = runs('TR-DPO-hard', shifted(0.5, 0));
  const [, kl] = differences([...runs(baseArm, base), ...soft, ...hard]);
  // Six times it would be 0.06.
  expect(kl!.p).toBeGreaterThan(0.05 / 6);
  expect(found([...runs(baseArm, base), ...soft, ...hard])).toContainEqual(['TR-DPO-soft', 'KL at the end', true]);
  expect(found([...runs(baseArm, base), ...soft, ...hard])).toContainEqual(['TR-DPO-hard', 'gold at the end', true]);
  const alike = runs(
    'TR-DPO-soft',
    base.map(([gold, kl], i) => [gold, kl + (i % 2 === 0 ? 1 : -1)] as const),
  );
  const none = found([...runs(baseArm, base), ...alike, ...hard]);
  expect(none.filter(([, , isFinding]) => isFinding)).toEqual([]);
});
