import { expect, test } from 'vitest';
import { publishedConfig } from '../models/published-configs.js';
import { modelShape } from '../models/shape.js';
import { planUnits, UnitPlan } from './unit-plan.js';

test('the pieces of all processes are every element of every parameter once, in the order of the unit', () => {
  const plan = new UnitPlan();
  plan.add('a', [3, 5]);
  plan.add('b', [1]);
  plan.add('c', [2, 2, 2]);
  expect(plan.numel).toBe(24);
  for (const processes of [1, 2, 3, 7, 24, 100]) {
    const count = plan.sliceNumel(processes);
    const owned = new Map<number, number>();
    for (let rank = 0; rank < processes; rank++) {
      const pieces = plan.pieces(processes, rank);
      const own = [...pieces.values()].reduce((sum, { numel }) => sum + numel, 0);
      expect(plan.ownNumel(processes, rank)).toBe(own);
      for (const [name, { from, numel, at }] of pieces) {
        expect(at + numel).toBeLessThanOrEqual(count);
        for (let i = 0; i < numel; i++) {
          const element = plan.parameters.get(name)!.at + from + i;
          expect(element).toBe(rank * count + at + i);
          owned.set(element, (owned.get(element) ?? 0) + 1);
        }
      }
    }
    expect([...owned.keys()].sort((a, b) => a - b)).toEqual([...Array(24).keys()]);
    expect(Math.max(...owned.values())).toBe(1);
  }
});

test.each(['pythia-12b', 'Meta-Llama-3-8B'])(
  '%s: a unit for what lies around the blocks, and one for each block',
  (name) => {
    const { configJson } = publishedConfig(name)!;
    const { parameters, blockParameters, layers } = modelShape(configJson);
    const [root, ...blocks] = planUnits(configJson);
    expect(blocks.map(({ numel }) => numel)).toEqual(Array(layers).fill(blockParameters));
    expect(root.numel + layers * blockParameters).toBe(parameters);
  },
);
