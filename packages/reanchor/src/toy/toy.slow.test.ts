// The acceptance of the toy: means over 40 seeds against the reference values of docs/guide/toy.md.
import { expect, test } from 'vitest';
import { runToy, summarise, toyVariants } from './index.js';

test('DPO: the order of the references, and the means where the reference values are within their noise', async () => {
  const runs = await runToy({ seeds: 40, steps: 3000, method: 'dpo', beta: 0.5, variants: toyVariants.few, every: 50 });
  const [vanilla, soft, hard64, hard1024] = runs.map(summarise) as [
    ReturnType<typeof summarise>,
    ReturnType<typeof summarise>,
    ReturnType<typeof summarise>,
    ReturnType<typeof summarise>,
  ];
  expect(Math.abs(vanilla.chosen - 0.65)).toBeLessThan(0.06);
  expect(Math.abs(soft.chosen - 0.95)).toBeLessThan(0.06);
  expect(Math.abs(hard64.chosen - 0.9)).toBeLessThan(0.06);
  // Two standard errors of each side: the reference value is a mean over 40 seeds as well.
  expect(Math.abs(hard1024.chosen - 0.74)).toBeLessThan(0.12);
  expect(soft.chosen).toBeGreaterThan(hard1024.chosen);
  expect(hard1024.chosen).toBeGreaterThan(vanilla.chosen);
  for (const { worstChosen, peakOod } of [vanilla, soft, hard64, hard1024]) {
    expect(worstChosen).toBeLessThan(0.35);
    expect(peakOod).toBeGreaterThan(0.45);
  }
});
