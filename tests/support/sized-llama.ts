import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ConfigJson } from '#reanchor/models/causal-lm.js';
import { initModel } from '#reanchor/models/init.js';
import { saveModel } from '#reanchor/models/save.js';
import { tinyModel } from './training.js';

/** Makes a Llama of other sizes than the tiny one, with its tokenizer, in a new folder; returns its parameters. */
export async function sizedLlama(folder: string, sizes: ConfigJson): Promise<number> {
  const config: ConfigJson = JSON.parse(readFileSync(join(tinyModel, 'config.json'), 'utf8'));
  using model = initModel({ ...config, ...sizes }, { seed: 1, dtype: 'float32' });
  mkdirSync(folder);
  await saveModel(model, folder);
  for (const name of readdirSync(tinyModel).filter((file) => file.includes('token')))
    copyFileSync(join(tinyModel, name), join(folder, name));
  return [...model.parameters.values()].reduce((sum, { numel }) => sum + numel, 0);
}
