import { parseRecipe, type Recipe, type ShardMode } from 'reanchor';
import type { TrainCase } from './cases.js';

interface RecipeOptions {
  model: string;
  rows: string;
  threads: number;
  steps: number;
  /** What several processes divide. Default: nothing. */
  shard?: ShardMode | undefined;
}

/** The recipe of a training benchmark; bench/rival.py gives TRL the same settings. */
export function benchRecipe(one: TrainCase, { model, rows, threads, steps, shard = 'none' }: RecipeOptions): Recipe {
  const update = one.update?.tau === 1 ? 'soft' : 'hard';
  const moving = update === 'soft' ? { alpha: one.update?.alpha } : { tau: one.update?.tau };
  return parseRecipe(
    JSON.stringify({
      model,
      device: 'cpu',
      method: one.method,
      ...(one.method !== 'sft' && {
        loss: { beta: 0.1 },
        reference: one.update ? { update, ...moving } : { update: 'fixed' },
      }),
      ...(one.adapter && { adapter: one.adapter }),
      ...(one.half && (one.half === 'precision' ? { precision: 'bf16' } : { matmul: 'bf16' })),
      data: { train: rows, maxLength: one.maxLength, shuffle: false },
      batch: { size: one.rows },
      optimizer: { lr: one.lr ?? 1e-6, betas: [0.9, 0.95] },
      schedule: { type: 'constant' },
      maxGradNorm: 2,
      steps,
      threads,
      parallel: { shard },
    }),
    { file: 'bench' },
  );
}
