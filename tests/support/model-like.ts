import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { initModel } from '#reanchor/models/init.js';
import { readConfig } from '#reanchor/models/load.js';
import { saveModel } from '#reanchor/models/save.js';
import { fixtures } from './repository.js';
import { tinyModel } from './training.js';

/** Writes a random model of the form that a fixture has, with the tokenizer of the tiny one and as many tokens. */
export async function modelLike(folder: string, name: string): Promise<string> {
  const config = await readConfig(join(fixtures, 'models', name));
  using model = initModel({ ...config, vocab_size: 512 }, { seed: 1, dtype: 'float32' });
  mkdirSync(folder);
  await saveModel(model, folder);
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) cpSync(join(tinyModel, file), join(folder, file));
  return folder;
}
