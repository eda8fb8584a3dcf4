// Who may read a run: whom the user's umask lets, whatever the modes of the files that it was made from.
import { chmodSync, cpSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-umask-'));
const before = process.umask();
afterAll(() => {
  process.umask(before);
  rmSync(folder, { recursive: true });
});

test.each(['077', '027', '002'])('a run folder has the modes that umask %s leaves', async (umask) => {
  const mask = Number.parseInt(umask, 8);
  const model = join(folder, `model-${umask}`);
  cpSync(tinyModel, model, { recursive: true });
  writeFileSync(join(model, 'generation_config.json'), '{}');
  for (const name of readdirSync(model)) chmodSync(join(model, name), 0o777);
  const recipe = parseRecipe(
    `{ model: ${model}, method: dpo, reference: { update: soft, alpha: 0.5 }, steps: 2, data: { train: ${tinyPairs}, maxLength: 96 }, checkpoint: { every: 1 }, log: { tensorboard: true } }`,
    { file: 'r.yaml' },
  );
  process.umask(mask);
  const out = join(folder, umask, 'run');
  await train({ recipe, out, command: ['test'], profile: join(out, '..', 'profile.json') });
  process.umask(before);
  const made = [out, ...readdirSync(out, { recursive: true, encoding: 'utf8' }).map((name) => join(out, name))];
  expect(made.length).toBeGreaterThan(20);
  for (const path of made) {
    const stats = statSync(path);
    expect(stats.mode & 0o777, path).toBe((stats.isDirectory() ? 0o777 : 0o666) & ~mask);
  }
});
