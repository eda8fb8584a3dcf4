import type { FamilyCurves, RunState, StudyState } from 'reanchor/serve';
import { expect, test } from 'vitest';
import { placeLabels } from '../charts/front-lines.js';
import { armGrid } from './arm-grid.js';
import { bestWithin, budgetsOf } from './budgets.js';
import { runLabels } from './labels.js';

const run = (id: string, method: string, reference: string, recipe: object | undefined) =>
  ({ id, summary: { method, reference }, info: recipe && { recipe } }) as unknown as RunState;

test('a label has the method where it differs, then the keys that do, and the name where these are equal', () => {
  const recipe = (beta: number, seed: number, reference: object, more = {}) => {
    return { method: 'dpo', loss: { beta }, optimizer: { lr: 1e-3 }, seed, reference, ...more };
  };
  const runs = [
    run('q/a', 'DPO', 'fixed', recipe(0.1, 1, { update: 'fixed' })),
    run('q/b', 'DPO', 'fixed', recipe(0.3, 1, { update: 'fixed' })),
    run('q/c', 'TR-DPO', 'soft, α 0.6', recipe(0.1, 1, { update: 'soft', alpha: 0.6 })),
  ];
  expect(runLabels(runs)).toEqual(['DPO β 0.1', 'DPO β 0.3', 'TR-DPO soft β 0.1 α 0.6']);
  expect(runLabels(runs.slice(0, 2))).toEqual(['β 0.1', 'β 0.3']);
  // What a run is run on is no name of it.
  const twins = ['q/a', 'q/b'].map((id, i) => run(id, 'DPO', 'fixed', recipe(0.1, 1, {}, { threads: i })));
  expect(runLabels(twins)).toEqual(['DPO (a)', 'DPO (b)']);
  expect(runLabels([runs[0]!, run('q/z', '', '', undefined)])).toEqual(['a', 'z']);
  expect(runLabels([runs[0]!])).toEqual(['q/a']);
});

const point = (step: number, kl: number, quality: number) => ({ step, kl, quality });
const course = (arm: string, seed: string, points: ReturnType<typeof point>[], hasEnd = true) => {
  return { name: `${arm} ${seed}`, arm, seed, hasEnd, folder: `runs/${arm}/base/seed-${seed}`, points };
};
const interval = { low: 1, high: 3 };
const single: FamilyCurves = {
  name: 'dpo',
  courses: [course('dpo', '1', [point(0, 0, 9), point(1, 2, 1), point(2, 8, 4)])],
  means: [],
  ends: [],
};
const several: FamilyCurves = {
  name: 'soft',
  courses: [course('soft', '1', [point(1, 3, 2)]), course('soft', '2', [point(1, 5, 3)], false)],
  means: [
    {
      arm: 'soft',
      points: [
        { kl: 3, quality: 2, interval },
        { kl: 10, quality: 1.5, interval },
      ],
    },
  ],
  ends: [],
};

test('the best within a budget: of means where there are any, after step 0, and of nothing beyond it', () => {
  expect(budgetsOf([single, several])).toEqual([2, 4, 6, 8, 10]);
  expect([1, 2, 8].map((kl) => bestWithin(single, kl)?.quality)).toEqual([undefined, 1, 4]);
  expect(bestWithin(several, 10)).toEqual({ arm: 'soft', kl: 3, quality: 2, interval });
  expect(budgetsOf([])).toEqual([]);
});

test('the grid of a study: what has ended, what has only begun, and what is not there', () => {
  const begun = {
    id: 's/runs/hard/tau=4/seed-2',
    name: 'runs/hard/tau=4/seed-2',
    status: 'running',
    step: 1,
    steps: 4,
  };
  const runs = [begun, { ...begun, id: 's/stages/sft', name: 'stages/sft' }] as StudyState['runs'];
  const { seeds, rows } = armGrid([single, several], runs);
  expect(seeds).toEqual(['1', '2']);
  expect(rows.map(({ name, cells }) => [name, ...cells.map((cell) => cell?.quality ?? cell?.run?.status)])).toEqual([
    ['dpo', 4, undefined],
    ['soft', 2, undefined],
    ['hard tau=4', undefined, 'running'],
  ]);
  expect(rows[0]!.cells[0]!.level).toBe(4);
  expect(rows[1]!.cells[0]!.level).toBe(0);
});

test('labels are placed where there is room, those of the ends first, and never over each other', () => {
  const box = { left: 0, right: 200, top: 0, bottom: 100 };
  const label = (text: string, x: number, y: number, isEnd = false) => ({ text, x, y, isEnd, color: 0 });
  const placed = placeLabels([label('5', 50, 50), label('10', 50, 50, true), label('20', 198, 50)], box);
  expect(placed.map(({ text }) => text)).toEqual(['10', '5', '20']);
  expect(placed[2]!.left).toBeLessThan(198);
  const crowd = Array.from({ length: 20 }, (_, i) => label(String(i), 50, 50));
  expect(placeLabels(crowd, box).length).toBeLessThan(6);
});
