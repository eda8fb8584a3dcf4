import { describe, expect, test } from 'vitest';
import { parseRecipe } from '../recipe/index.js';
import { recipeRule } from './rule.js';
import { planWarnings } from './warnings.js';

/** The warnings of a run of this many steps with this reference. */
function warningsOf(reference: string, steps = 100) {
  const text = `{ model: m, method: dpo, reference: ${reference}, data: { train: rows.jsonl } }`;
  const recipe = parseRecipe(text, { file: 'recipe.yaml', env: {} });
  return planWarnings(recipe, steps, recipeRule(recipe.reference, steps));
}

describe('a soft reference that nothing stops', () => {
  test('is told of from alpha 0.5 on, with what to set', () => {
    for (const alpha of [0.5, 0.6, 1]) {
      const [told, ...others] = warningsOf(`{ update: soft, alpha: ${alpha} }`);
      expect(told).toContain(`reference.alpha is ${alpha} and nothing stops it`);
      expect(told).toMatch(/only optimizer\.lr holds the policy.*maxDivergence.*stopAfter.*choosing\.md\)$/);
      expect(others).toEqual([]);
    }
  });

  test.each([
    '{ update: soft, alpha: 0.49 }',
    '{ update: soft, alpha: 0.6, maxDivergence: 0.2 }',
    '{ update: soft, alpha: 0.6, stopAfter: 50 }',
    '{ update: soft, alpha: 0.6, stopAfter: 0.5 }',
    '{ update: hard, tau: 20 }',
    '{ update: mixed, alpha: 0.6, tau: 20 }',
    '{ update: fixed }',
  ])('is not %s', (reference) => {
    expect(warningsOf(reference)).toEqual([]);
  });

  test('is not one that never moves, of which that is told', () => {
    expect(warningsOf('{ update: soft, alpha: 0.6, startAfter: 100 }')).toEqual([
      expect.stringContaining('the reference never moves'),
    ]);
  });
});

describe('an early end', () => {
  const told = (keys: string, steps = 100) => {
    const text = `{ model: m, method: sft, data: { train: a, validation: b }, ${keys} }`;
    return planWarnings(parseRecipe(text, { file: 'recipe.yaml', env: {} }), steps, { update: 'fixed' });
  };

  test('that comes too late for the run is told of', () => {
    const stop = 'evaluate: { every: 25 }, stop: { metric: loss, patience';
    expect(told(`${stop}: 3 }`)).toEqual([]);
    expect(told(`${stop}: 4 }`)).toEqual([
      'stop.patience is 4 and evaluate.every 25: the run of 100 steps is over before it could end early',
    ]);
  });

  test('so is a best checkpoint in a run without one', () => {
    const keys = (every: number) => `evaluate: { every: 25 }, checkpoint: { every: ${every}, best: loss, final: best }`;
    expect(told(keys(50))).toEqual([]);
    expect(told(keys(100))).toEqual([
      'checkpoint.final is best, and checkpoint.every 100 in a run of 100 steps: the last weights are the only ones',
    ]);
  });
});
