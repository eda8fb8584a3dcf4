// What an adapter on a base of four bits says of that base, wherever its folder goes.
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { modelPlace } from '#reanchor/data/index.js';
import { train } from '#reanchor/driver/index.js';
import { openSafetensors, writeSafetensors } from '#reanchor/formats/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-quantized-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('a folder that has left its run still says how the base was quantised', async () => {
  const text = `{ model: ${tinyModel}, method: dpo, adapter: { r: 2 }, quantize: nf4-double, steps: 1, batch: { size: 4 },
    data: { train: ${tinyPairs}, maxLength: 64, limit: 20 } }`;
  const { final } = await train({ recipe: parseRecipe(text, { file: 'r.yaml', env: {} }), out: join(folder, 'run') });
  const moved = join(folder, 'moved');
  cpSync(final, moved, { recursive: true });
  expect(await modelPlace(moved)).toEqual({ base: tinyModel, adapter: moved, quantize: 'nf4-double' });
});

test('a form that is not known is refused', async () => {
  const at = join(folder, 'unknown');
  cpSync(join(folder, 'moved'), at, { recursive: true });
  const file = join(at, 'adapter_model.safetensors');
  expect((await openSafetensors(file)).metadata).toEqual({ format: 'pt', quantize_base: 'nf4-double' });
  await writeSafetensors(file, [], { format: 'pt', quantize_base: 'int3' });
  await expect(modelPlace(at)).rejects.toThrow(/quantize_base is "int3"; nf4, nf4-double are known/);
});
