import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parseRecipe } from '../../recipe/index.js';
import { createRunFolder, EventWriter } from '../../runs/index.js';
import { armNames, settingsOf } from './arms.js';
import { frontChart } from './chart.js';
import { front } from './front.js';

const folder = mkdtempSync(join(tmpdir(), 'front-'));
afterAll(() => rmSync(folder, { recursive: true }));

const recipe = (reference: string, beta: number, { lr = 1e-6, seed = 0, file = 'x.jsonl' } = {}) =>
  parseRecipe(
    `{model: m, method: dpo, loss: {beta: ${beta}}, reference: ${reference}, optimizer: {lr: ${lr}}, seed: ${seed}, data: {train: [${file}]}}`,
    { file: 'r.yaml' },
  );

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
  expect(found.comparisons.map(({ way }) => way)).toEqual(['training', 'best', 'end']);
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
  await expect(front(metrics)).rejects.toThrow(
    /mixed\.jsonl:3: a second row of step 2 of r dpo beta 0\.1: .*"seed" or a "run"/,
  );
  writeFileSync(file, [row({ step: 2, run: 'a' }), row({ step: 1, run: 'a' }), row({ step: 2, run: 'b' })].join('\n'));
  expect((await front(metrics)).runs.map(({ points }) => points.map(({ step }) => step))).toEqual([[1, 2], [2]]);
});

test('runs are named by what differs, and what differs from seed to seed is of the seed', () => {
  const named = (recipes: ReturnType<typeof recipe>[]) => armNames(recipes.map(settingsOf)).map(({ arm }) => arm);
  const capped = '{update: soft, alpha: 0.6, maxDivergence: 0.2}';
  const soft = '{update: soft, alpha: 0.6, startAfter: 5}';
  expect(named([recipe('{update: fixed}', 0.1), recipe(capped, 0.1)])).toEqual([
    'dpo',
    'tr-dpo soft alpha 0.6 maxDivergence 0.2',
  ]);
  expect(named([recipe(soft, 0.1), recipe(capped, 0.3, { lr: 3e-4 })])).toEqual([
    'tr-dpo soft alpha 0.6 lr 0.000001 startAfter 5 beta 0.1',
    'tr-dpo soft alpha 0.6 lr 0.0003 maxDivergence 0.2 beta 0.3',
  ]);
  const ofSeed = (seed: number, reference: string) => recipe(reference, 0.1, { seed, file: `pairs-${seed}.jsonl` });
  const study = [1, 2].flatMap((seed) => [ofSeed(seed, '{update: fixed}'), ofSeed(seed, capped)]);
  expect(new Set(named(study)).size).toBe(2);
  const flipped = recipe('{update: fixed}', 0.1, { seed: 1, file: 'flipped.jsonl' });
  expect(named([...study, flipped]).at(-1)).toBe('dpo data.train ["flipped.jsonl"]');
});

/** Rows of a file of results: quality is `gain` times sqrt(KL), plus a level of the seed. */
const course = (method: string, beta: number, seed: number, gain: number, longest: number) =>
  [0, 1, 2, 3, 4].map((step) => {
    const kl = (step * longest) / 4;
    return { method, base: 'dpo', beta, seed, step, kl, win: 3 * seed + gain * Math.sqrt(kl) };
  });

test('a form is compared with its method seed by seed, along training, of ends, in best and end', async () => {
  const rows = [1, 2, 3].flatMap((seed) => [
    ...course('dpo', 0.1, seed, 1 + 0.01 * seed, 4 * seed),
    ...course('dpo', 0.05, seed, 1, 8 * seed),
    ...course('tr-dpo', 0.1, seed, 1.5, 5 * seed),
  ]);
  const file = join(folder, 'study.jsonl');
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const metrics = { kl: 'kl', quality: 'win' };
  const { runs, comparisons, tests } = await front({ runs: [{ name: 's', file }], ...metrics, at: [4, 9] });
  expect(comparisons.map(({ a, b, way }) => `${a} - ${b} ${way}`)).toEqual([
    ...['training', 'best', 'end'].map((way) => `tr-dpo beta 0.1 - dpo beta 0.1 ${way}`),
    ...['training', 'best', 'end'].map((way) => `tr-dpo beta 0.1 - dpo beta 0.05 ${way}`),
    'tr-dpo - dpo ends',
  ]);
  const [four, nine] = comparisons[0]!.rows;
  expect(four!.difference).toBeCloseTo(2 * (1.5 - 1.02), 12);
  expect(four!.interval!.high - four!.interval!.low).toBeLessThan(0.2);
  expect(nine).toMatchObject({ difference: undefined, seeds: { both: 1, ofA: 2, ofB: 1 } });
  const tested = comparisons.flatMap((one) => one.rows).filter(({ p }) => p !== undefined);
  expect(tests).toBe(tested.length);
  expect(tested.every(({ p, holm }) => holm! >= p! && holm! <= 1)).toBe(true);
  const svg = frontChart(runs, metrics);
  // Nine courses, three means of arms, and the front of each method through its mean ends.
  expect(svg.match(/<polyline/g)).toHaveLength(9 + 3 + 2);
});

test('two runs of one arm and seed are refused', async () => {
  const write = (name: string) => {
    writeFileSync(join(folder, name), course('dpo', 0.1, 1, 1, 4).map((row) => JSON.stringify(row)).join('\n')); // biome-ignore format: short
    return { name: name[0]!, file: join(folder, name) };
  };
  const runs = [write('a.jsonl'), write('b.jsonl')];
  await expect(front({ runs, kl: 'kl', quality: 'win' })).rejects.toThrow(
    /^a dpo beta 0\.1 seed 1 and b dpo beta 0\.1 seed 1 are both dpo of seed 1: give one of them/,
  );
});
