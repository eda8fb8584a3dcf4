import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { configureProcess, train } from '#reanchor/driver/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import type { RunEvent } from '#reanchor/runs/index.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'matmul-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => configureProcess({ matmul: 'fp32' }));

const recipe = (keys: object) =>
  parseRecipe(
    JSON.stringify({
      ...{ model: tinyModel, method: 'dpo', device: 'cpu', steps: 12 },
      ...{ data: { train: tinyPairs, maxLength: 96 }, batch: { size: 8 }, optimizer: { lr: 3e-4 } },
      ...{ reference: { update: 'soft', alpha: 0.1 }, schedule: { type: 'constant' }, ...keys },
    }),
    { file: 'test.yaml', env: {} },
  );

async function losses(name: string, keys: object): Promise<number[]> {
  const found: number[] = [];
  const one = recipe(keys);
  configureProcess({ matmul: one.matmul ?? 'fp32' });
  const onEvent = (event: RunEvent) => void (event.type === 'step' && found.push(event.metrics.loss!));
  await train({ recipe: one, out: join(folder, name), onEvent });
  return found;
}

test('products in bfloat16, and all of it, train as float32 does within their rounding', async () => {
  const exact = await losses('fp32', {});
  expect(exact[0]).toBeCloseTo(Math.LN2, 6);
  expect(Math.abs(exact.at(-1)! - Math.LN2)).toBeGreaterThan(0.01);
  for (const [name, keys] of [
    ['matmul', { matmul: 'bf16' }],
    ['precision', { precision: 'bf16' }],
  ] as const) {
    const found = await losses(name, keys);
    for (const [i, loss] of found.entries())
      expect(Math.abs(loss - exact[i]!), `${name}, step ${i + 1}`).toBeLessThan(0.03);
  }
  // What was set for one run leaves nothing behind for the next.
  expect(await losses('again', {})).toEqual(exact);
});

test('a choice of products is for float32 alone', () => {
  expect(() => recipe({ matmul: 'bf16', precision: 'bf16' })).toThrow(
    /matmul: .*remove this key, or use precision fp32/,
  );
  expect(recipe({ matmul: 'bf16', precision: 'fp32' }).matmul).toBe('bf16');
});
