import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { uniforms } from '../../random.js';
import { parseRecipe } from '../../recipe/index.js';
import { createRunFolder, EventWriter } from '../../runs/index.js';
import { at, atEqualKl, curve, type FrontRun } from './curves.js';
import { front, frontChart } from './front.js';

const folder = mkdtempSync(join(tmpdir(), 'front-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('a curve is linear between its points and says nothing outside them', () => {
  const points = curve([{ kl: 2, quality: 1 }, { kl: 0, quality: 0 }, { kl: 2, quality: 3 }]); // biome-ignore format: short
  expect(points).toEqual([[0, 0], [2, 2]]); // biome-ignore format: short
  expect([-1, 0, 0.5, 2, 2.1].map((kl) => at(points, kl))).toEqual([undefined, 0, 0.5, 2, undefined]);
});

/** A run whose quality is `gain` times sqrt(KL). */
const run = (method: string, beta: number, gain: number, longest: number): FrontRun => ({
  name: `${method} ${beta}`,
  method,
  base: 'dpo',
  beta,
  points: [0, 1, 2, 3, 4].map((i) => ({
    step: i,
    kl: (i * longest) / 4,
    quality: gain * Math.sqrt((i * longest) / 4),
  })),
});

test('a method that is better at every KL is found to be so, with its interval', () => {
  const gains = [0.98, 1, 1.02, 1.01];
  const base = gains.map((gain, i) => run('dpo', 0.1 * (i + 1), gain, 4));
  const form = gains.map((gain, i) => run('tr-dpo', 0.1 * (i + 1), 1.5 * gain, 8));
  const { rows } = atEqualKl(form, base, 'training', { random: uniforms(1), at: [2, 4, 6] });
  expect(rows.map(({ kl }) => kl)).toEqual([2, 4]);
  expect(rows[1]!.difference).toBeCloseTo((1.5 - 1) * 2 * 1.0025, 12);
  for (const { interval, difference } of rows) {
    expect(interval!.low).toBeGreaterThan(0.3);
    expect(interval!.low).toBeLessThan(difference);
    expect(interval!.high).toBeGreaterThan(difference);
  }
  const same = atEqualKl(base, base, 'training', { random: uniforms(1) });
  expect(same.rows).toHaveLength(5);
  expect(
    same.rows.every(({ difference, interval }) => difference === 0 && interval!.low < 0 && interval!.high > 0),
  ).toBe(true);
  const single = atEqualKl(form.slice(0, 1), base, 'training', { random: uniforms(1) });
  expect(single.rows.every(({ interval }) => interval === undefined)).toBe(true);
});

test('along beta the last points of the runs are the curve', () => {
  const base = [1, 2, 4].map((longest, i) => run('dpo', 1 / (i + 1), 1, longest));
  const form = [1, 2, 4].map((longest, i) => run('tr-dpo', 1 / (i + 1), 2, longest));
  const { rows, along } = atEqualKl(form, base, 'beta', { random: uniforms(1), at: [1, 3] });
  expect(along).toBe('beta');
  expect(rows.map(({ difference }) => difference)).toEqual([1, (Math.SQRT2 + 2) / 2]);
});

const recipe = (reference: string, beta: number) =>
  parseRecipe(`{model: m, method: dpo, loss: {beta: ${beta}}, reference: ${reference}, data: {train: [x.jsonl]}}`, {
    file: 'r.yaml',
  });

test('run folders and files of results make one front', async () => {
  const evaluations = [0, 1, 2].map((kl) => ({ 'kl/initial': kl, 'rewards/accuracies': 0.5 + kl / 4 }));
  const made = await createRunFolder(join(folder, 'tr'), {
    recipe: recipe('{update: hard, tau: 32}', 0.1),
    command: [],
    time: new Date(),
    torch: '0',
    device: 'cpu',
  });
  using events = new EventWriter(made.events);
  for (const [step, metrics] of evaluations.entries())
    events.write({ type: 'evaluation', step, metrics: { ...metrics, ...(step === 0 && { 'rewards/accuracies': 0 }) } });
  const file = join(folder, 'dpo.jsonl');
  const rows = evaluations.map((metrics, step) => ({
    method: 'dpo',
    beta: 0.1,
    step,
    ...metrics,
    'gold/reward': step,
  }));
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));

  const runs = [{ name: 'tr', file: made.path }, { name: 'dpo', file }]; // biome-ignore format: short
  const metrics = { kl: 'kl/initial', quality: 'rewards/accuracies' };
  const found = await front({ runs, ...metrics });
  expect(found.runs.map(({ method, base, beta }) => [method, base, beta])).toEqual([
    ['tr-dpo hard tau 32', 'dpo', 0.1],
    ['dpo', 'dpo', 0.1],
  ]);
  // Before the first step all rewards are equal, an accuracy of one half; older runs say 0.
  expect(found.runs.map(({ points }) => points.map(({ quality }) => quality))).toEqual([[0.5, 0.75, 1], [0.5, 0.75, 1]]); // biome-ignore format: short
  expect(found.comparisons).toHaveLength(1);
  expect(found.comparisons[0]!.rows.map(({ difference }) => difference)).toEqual([0, 0, 0, 0, 0]);
  const svg = frontChart(found.runs, metrics);
  expect(svg.match(/<polyline/g)).toHaveLength(2);
  expect(svg).toContain('tr-dpo hard tau 32');
  await expect(front({ runs, ...metrics, quality: 'gold/reward' })).rejects.toThrow(
    /^quality: no evaluation of tr has gold\/reward; it has kl\/initial, rewards\/accuracies/,
  );
  await expect(front({ runs, kl: 'kl/inital', quality: 'rewards/accuracies' })).rejects.toThrow(
    /did you mean kl\/initial/,
  );
});

test('two runs that a file of results does not tell apart are refused', async () => {
  const file = join(folder, 'mixed.jsonl');
  const row = (more: object) => JSON.stringify({ method: 'dpo', beta: 0.1, kl: 1, win: 0.5, ...more });
  const metrics = { kl: 'kl', quality: 'win', runs: [{ name: 'r', file }] };
  writeFileSync(file, [row({ step: 2 }), row({ step: 1 }), row({ step: 2 })].join('\n'));
  await expect(front(metrics)).rejects.toThrow(/mixed\.jsonl:3: a second row of step 2 of r dpo beta 0\.1: .*"run"/);
  writeFileSync(file, [row({ step: 2, run: 'a' }), row({ step: 1, run: 'a' }), row({ step: 2, run: 'b' })].join('\n'));
  expect((await front(metrics)).runs.map(({ points }) => points.map(({ step }) => step))).toEqual([[1, 2], [2]]);
});
