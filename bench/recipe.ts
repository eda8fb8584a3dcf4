import { parseRecipe, type Recipe } from 'reanchor';
import type { TrainCase } from './cases.js';

/** The recipe of a training benchmark; bench/rival.py gives TRL the same settings. */
export function benchRecipe(
  one: TrainCase,
  { model, rows, threads, steps }: { model: string; rows: string; threads: number; steps: number },
): Recipe {
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
      data: { train: rows, maxLength: one.maxLength, shuffle: false },
      batch: { size: one.rows },
      optimizer: { lr: 1e-6, betas: [0.9, 0.95] },
      schedule: { type: 'constant' },
      maxGradNorm: 2,
      steps,
      threads,
    }),
    { file: 'bench' },
  );
}
