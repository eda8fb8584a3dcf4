import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zeros } from '@reanchor/torch';
import { afterAll, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { estimateRun } from '#reanchor/estimate/index.js';
import { AdamW, AdamW8bit } from '#reanchor/optim/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import type { RunEvent } from '#reanchor/runs/index.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'moments-8bit-'));
afterAll(() => rmSync(folder, { recursive: true }));

const recipe = (keys: object) =>
  parseRecipe(
    JSON.stringify({
      ...{ model: tinyModel, method: 'dpo', device: 'cpu', steps: 60, batch: { size: 8 }, ...keys },
      ...{ data: { train: tinyPairs, validation: 16, maxLength: 96 }, reference: { update: 'soft', alpha: 0.1 } },
    }),
    { file: 'test.yaml', env: {} },
  );

async function trained(name: string, moments: object, keys: object = {}) {
  const margins: number[] = [];
  const onEvent = (event: RunEvent) =>
    void (event.type === 'evaluation' && margins.push(event.metrics['rewards/margins']!));
  const optimizer = { lr: 5e-4, ...moments };
  await train({ recipe: recipe({ ...keys, optimizer }), out: join(folder, name), onEvent });
  return margins.at(-1)!;
}

test('trains as far as moments in float32 do', async () => {
  const [exact, narrow, again] = [
    await trained('fp32', {}),
    await trained('8bit', { moments: '8bit' }),
    await trained('again', { moments: '8bit' }),
  ];
  expect(exact).toBeGreaterThan(0.1);
  expect(Math.abs(narrow - exact) / exact).toBeLessThan(0.1);
  expect(again).toBe(narrow);
});

test('the state has a byte for each moment of large parameters, and is named as elsewhere', () => {
  using large = zeros([64, 100]).requiresGrad_();
  using small = zeros([100]).requiresGrad_();
  const options = { betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0 } as const;
  const names = new Map([
    ['large', large],
    ['small', small],
  ]);
  using optimizer = new AdamW8bit([large, small], { ...options, seed: 1 });
  using wide = new AdamW([large, small], options);
  const bytes = ({ numel, dtype }: { numel: number; dtype: string }) => numel * (dtype === 'uint8' ? 1 : 4);
  const of = (name: string, some: typeof optimizer | AdamW) =>
    [...some.state(names)]
      .filter(([key]) => key.endsWith(`.${name}`))
      .reduce((sum, [, tensor]) => sum + bytes(tensor), 0);
  expect(of('large', optimizer)).toBe(2 * (6400 + 4 * 25) + 4);
  expect(of('large', wide)).toBe(2 * 4 * 6400 + 4);
  expect(of('small', optimizer)).toBe(of('small', wide));
  expect([...optimizer.state(names).keys()]).toContain('exp_avg_root_absmax.large');
});

test('estimate counts them, and what does not go with them is refused', async () => {
  const memory = async (moments: object) =>
    (await estimateRun({ recipe: recipe({ optimizer: moments }) })).memory.optimizer;
  expect((await memory({ moments: '8bit' })) / (await memory({}))).toBeCloseTo((1 + 4 / 256) / 4, 5);
  const narrow = { optimizer: { moments: '8bit' } };
  expect(() => recipe({ ...narrow, precision: 'fp64' })).toThrow(/optimizer.moments: .*another precision/);
  expect(() => recipe({ ...narrow, parallel: { shard: 'gradients' } })).toThrow(
    /optimizer.moments: .*parallel.shard none/,
  );
});
