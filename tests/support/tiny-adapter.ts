import { manualSeed, noGrad, randn, tidy } from '@reanchor/torch';
import type { NewAdapterOptions } from '#reanchor/models/new-adapter.js';
import { loadAdapterWeights } from '#reanchor/weights/load-adapter.js';
import { tinyModel } from './training.js';

/** Writes an adapter on a model, the tiny one by default, that changes what it computes; `base` is what it calls it. */
export async function writeTinyAdapter(
  folder: string,
  { model = tinyModel, base = model, ...form }: Partial<NewAdapterOptions> & { model?: string; base?: string } = {},
): Promise<string> {
  const from: NewAdapterOptions = {
    ...{ type: 'lora', r: 3, alpha: 6, targets: 'all-linear', rslora: false, dropout: 0, init: 'kaiming' },
    ...{ modulesToSave: [], seed: 1, ...form },
  };
  using weights = await loadAdapterWeights(model, { base, from }, { dtype: 'float32' });
  manualSeed(from.seed);
  noGrad(() => {
    for (const weight of weights.trained.values()) tidy(() => weight.add_(randn(weight.shape).mul(0.05)));
  });
  await weights.save(folder, {});
  return folder;
}
