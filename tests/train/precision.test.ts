// Training in half precision: what is kept in float32, and what that is good for.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Tensor, tidy } from '@reanchor/torch';
import { afterAll, describe, expect, test } from 'vitest';
import { pairMicroBatch } from '#reanchor/data/index.js';
import { train } from '#reanchor/driver/train.js';
import { copyModel } from '#reanchor/models/architectures.js';
import type { CausalLM } from '#reanchor/models/causal-lm.js';
import { loadModel } from '#reanchor/models/load.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { CopiedReference } from '#reanchor/reference/copied-reference.js';
import type { RunEvent } from '#reanchor/runs/index.js';
import { pairObjective } from '#reanchor/train/objectives/pairs.js';
import { Weights } from '#reanchor/weights/weights.js';
import { loadTinyPairs, pairMethodOf, plainTrainer, tinyModel, tinyPairs, weights } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'precision-'));
afterAll(() => rmSync(folder, { recursive: true }));
const pairs = await loadTinyPairs();

/** A trainer in bfloat16, with float32 weights (bf16) or without (bf16-params). */
async function halfTrainer(precision: 'bf16' | 'bf16-params', { lr = 1e-3, alpha = 0.01 } = {}) {
  const wide = await loadModel(tinyModel, { dtype: 'float32' });
  const policy = copyModel(wide, 'bfloat16');
  const trained = new Weights(policy, precision === 'bf16' ? { wide } : {});
  const reference = new CopiedReference(trained, { update: 'soft', alpha }, { dtype: 'float32' });
  const trainer = plainTrainer(trained, pairObjective(pairMethodOf('sigmoid')), { reference, adam: { lr } });
  const step = (rowsPerMicroBatch: number) =>
    trainer.step(
      Array.from({ length: 8 / rowsPerMicroBatch }, (_, i) =>
        pairMicroBatch(
          Array.from({ length: rowsPerMicroBatch }, (_, j) => i * rowsPerMicroBatch + j),
          pairs,
        ),
      ),
    );
  const dispose = () => {
    for (const each of [trainer, reference, policy, wide]) each[Symbol.dispose]();
  };
  return { wide, policy, reference, step, [Symbol.dispose]: dispose };
}

const rounded = (model: CausalLM) =>
  tidy(() => [...model.parameters.values()].flatMap((parameter) => parameter.to('bfloat16').toList()));

/** How many of two lists' numbers differ; an assertion on the lists themselves would print them. */
const differing = (a: readonly number[], b: readonly number[]) => a.filter((value, i) => value !== b[i]).length;

const relative = (a: readonly number[], b: readonly number[]) =>
  Math.hypot(...a.map((value, i) => value - b[i]!)) / Math.hypot(...b);

test('the policy has the float32 weights rounded, whatever the number of micro-batches', async () => {
  using whole = await halfTrainer('bf16');
  using parts = await halfTrainer('bf16');
  const start = weights(whole.wide);
  for (let i = 0; i < 3; i++) {
    whole.step(8);
    parts.step(2);
  }
  expect(differing(weights(whole.policy), rounded(whole.wide))).toBe(0);
  expect(differing(weights(parts.policy), rounded(parts.wide))).toBe(0);
  const moved = (model: CausalLM) => weights(model).map((value, i) => value - start[i]!);
  expect(relative(moved(whole.wide), moved(parts.wide))).toBeLessThan(0.1);
});

test('its gradients are those of float32 to the rounding of bfloat16', async () => {
  const gradient = async (dtype: 'float32' | 'bfloat16') => {
    const policy = await loadModel(tinyModel, { dtype: 'float32' });
    const half = copyModel(policy, dtype);
    using both = new Weights(half, dtype === 'float32' ? {} : { wide: policy });
    using reference = new CopiedReference(both, { update: 'fixed' });
    const found: number[] = [];
    using trainer = plainTrainer(both, pairObjective(pairMethodOf('sigmoid')), {
      reference,
      // With these betas Adam's first step is lr g / (|g| + eps), which a large eps makes lr g / eps.
      adam: { lr: 1e6, betas: [0, 0], eps: 1e9 },
      maxGradNorm: 1e9,
    });
    const trained = both.exact;
    const before = weights(trained);
    trainer.step([pairMicroBatch([0, 1, 2, 3], pairs)]);
    for (const [i, value] of weights(trained).entries()) found.push(before[i]! - value);
    return found;
  };
  const [wide, half] = [await gradient('float32'), await gradient('bfloat16')];
  expect(Math.hypot(...wide)).toBeGreaterThan(0);
  expect(relative(half, wide)).toBeLessThan(0.05);
});

test('steps of 1e-6 add up with float32 weights and are lost without', async () => {
  const moved = async (precision: 'bf16' | 'bf16-params') => {
    using trainer = await halfTrainer(precision, { lr: 1e-6 });
    const trained = precision === 'bf16' ? trainer.wide : trainer.policy;
    const before = weights(trained);
    for (let i = 0; i < 3; i++) trainer.step(8);
    return differing(weights(trained), before) / before.length;
  };
  expect(await moved('bf16')).toBeGreaterThan(0.9);
  expect(await moved('bf16-params')).toBeLessThan(0.1);
});

test.each(['bf16', 'bf16-params'] as const)(
  '%s: a soft reference follows in float32, however small alpha is',
  async (precision) => {
    using trainer = await halfTrainer(precision, { alpha: 1e-3 });
    const anchor = trainer.reference;
    const target = precision === 'bf16' ? trainer.wide : trainer.policy;
    const start = weights(target);
    let expected = start;
    const distances: number[] = [];
    for (let i = 0; i < 4; i++) {
      const { update } = trainer.step(8);
      distances.push(update!.distances!.after);
      const policy = weights(target);
      expected = expected.map((value, j) => Math.fround(value + 1e-3 * (policy[j]! - value)));
    }
    const shift = Math.hypot(...expected.map((value, i) => value - start[i]!));
    const last = weights(target);
    expect(distances.at(-1)).toBeCloseTo(Math.hypot(...expected.map((value, i) => value - last[i]!)), 4);
    expect(shift).toBeGreaterThan(0);
    // What the reference computes with is rounded from weights that have moved by less than bfloat16 can show.
    const model = weights(anchor.model);
    const agree = model.filter(
      (value, i) => Math.abs(value - expected[i]!) <= 2 ** -8 * Math.abs(expected[i]!) + 1e-30,
    );
    expect(agree.length).toBe(model.length);
  },
);

describe('a whole run', () => {
  const runs = [
    ['bf16', 'update: fixed'],
    ['bf16', 'update: soft, alpha: 0.01'],
    ['bf16', 'update: hard, tau: 2'],
    ['bf16', 'update: hard, tau: 2, storage: cached'],
    ['bf16-params', 'update: soft, alpha: 0.6'],
  ] as const;
  test.each(runs)('%s, %s: as float32, and saved in bfloat16', async (precision, reference) => {
    const lossesOf = async (precision: string) => {
      const events: RunEvent[] = [];
      const recipe = parseRecipe(
        `model: ${tinyModel}\nprecision: ${precision}\nmethod: dpo\nreference: { ${reference} }\n` +
          `data: { train: ${tinyPairs}, limit: 40, validation: 4, maxLength: 48 }\nbatch: { size: 8, rowsPerMicroBatch: 4 }\noptimizer: { lr: 1e-3 }\n` +
          'steps: 5\nevaluate: { every: 5, generate: { prompts: 2, maxNewTokens: 4 } }\n',
        { file: 'r.yaml' },
      );
      const out = join(folder, `${precision}-${runs.findIndex(([, other]) => other === reference)}`);
      const { final } = await train({ recipe, out, command: [], onEvent: (event) => events.push(event) });
      const losses = events.flatMap((event) => (event.type === 'step' ? [event.metrics.loss!] : []));
      return { losses, final };
    };
    const [half, single] = [await lossesOf(precision), await lossesOf('fp32')];
    expect(half.losses).toHaveLength(5);
    expect(half.losses[0]).toBeCloseTo(Math.LN2, 6);
    for (const [i, loss] of half.losses.entries()) expect(Math.abs(loss - single.losses[i]!)).toBeLessThan(0.05);
    using model = await loadModel(half.final, { dtype: 'bfloat16' });
    const stored = [...model.parameters.values()] as Tensor[];
    expect(stored.every((parameter) => parameter.dtype === 'bfloat16')).toBe(true);
    expect(model.configJson.dtype ?? model.configJson.torch_dtype).toBe('bfloat16');
  });

  // The reference scores other batches than the policy: each completion together with a partner's.
  test.each([
    ['bf16', 'update: hard, tau: 2'],
    ['bf16', 'update: hard, tau: 2, storage: cached'],
    ['bf16-params', 'update: soft, alpha: 0.6'],
  ])('KTO in %s, %s: as float32', async (precision, reference) => {
    const lossesOf = async (precision: string) => {
      const losses: number[] = [];
      const recipe = parseRecipe(
        `model: ${tinyModel}\nprecision: ${precision}\nmethod: kto\nreference: { ${reference} }\n` +
          `data: { train: ${tinyPairs}, limit: 40, maxLength: 48 }\nbatch: { size: 8, rowsPerMicroBatch: 4 }\noptimizer: { lr: 1e-3 }\nsteps: 5\n`,
        { file: 'r.yaml' },
      );
      const out = mkdtempSync(join(folder, 'kto-'));
      const onEvent = (event: RunEvent) => event.type === 'step' && losses.push(event.metrics.loss!);
      await train({ recipe, out, command: [], onEvent });
      return losses;
    };
    const [half, single] = [await lossesOf(precision), await lossesOf('fp32')];
    expect(half).toHaveLength(5);
    for (const [i, loss] of half.entries()) expect(Math.abs(loss - single[i]!)).toBeLessThan(0.05);
  });

  test('float32 weights are saved as they are when the recipe asks for it', async () => {
    const recipe = parseRecipe(
      `model: ${tinyModel}\nprecision: bf16\nmethod: dpo\ndata: { train: ${tinyPairs}, maxLength: 96 }\nbatch: { size: 8 }\n` +
        'optimizer: { lr: 1e-6 }\nsteps: 2\nsave: { dtype: fp32 }\n',
      { file: 'r.yaml' },
    );
    const { final } = await train({ recipe, out: join(folder, 'wide'), command: [] });
    using model = await loadModel(final, { dtype: 'float32' });
    expect(differing(weights(model), rounded(model))).toBeGreaterThan(0);
  });
});
