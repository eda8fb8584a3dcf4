import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fixtures } from './repository.js';

/** Copies the tiny model into `folder`, which does not exist, as one that was made for so many positions. */
export function narrowModel(folder: string, positions: number): string {
  cpSync(join(fixtures, 'models/llama-tiny'), folder, { recursive: true });
  const file = join(folder, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(file, JSON.stringify({ ...config, max_position_embeddings: positions }));
  return folder;
}
