// What a run leaves of an adapter, as PEFT loads it, and merged, as transformers does: the same log-probabilities.
// Needs a Python with torch, transformers and peft, which REANCHOR_PYTHON names, and the build.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { modelPlace } from '#reanchor/data/index.js';
import { mergeAdapter, train } from '#reanchor/driver/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { modelLike } from '../support/model-like.js';
import { repositoryRoot } from '../support/repository.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const python = process.env.REANCHOR_PYTHON;
const hasPeft = python !== undefined && spawnSync(python, ['-c', 'import torch, transformers, peft']).status === 0;
const folder = mkdtempSync(join(tmpdir(), 'reanchor-peft-'));
afterAll(() => rmSync(folder, { recursive: true }));

const texts = [
  'Once upon a time there was a small ship.',
  '\n\nHuman: How do I cook?\n\nAssistant: Begin with one dish.',
];

function run(program: string, ...args: string[]): { status: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: repositoryRoot, encoding: 'utf8' });
  return { status, text: stdout + stderr };
}

/** Expects that Python computes with a folder, in float64, what is computed here. */
function expectEqual(path: string): void {
  const ours = join(folder, 'ours.json');
  const written = run(process.execPath, '--import', 'tsx', 'tests/oracle/write_logits.ts', path, ours, ...texts);
  expect(written.status, written.text).toBe(0);
  // Without ORACLE transformers computes norms and rotary tables in float32.
  const checked = run(python!, 'tests/oracle/check_final.py', path, '--ours', ours, '--tolerance', '1e-5');
  expect(checked.status, checked.text).toBe(0);
}

describe.skipIf(!hasPeft)('PEFT and transformers load what is written here', () => {
  test.each([
    ['lora', tinyModel, '{ r: 4 }'],
    ['rslora of two layers', 'qwen2', '{ r: 3, rslora: true, targets: [q_proj, up_proj] }'],
    ['dora', tinyModel, '{ r: 4, type: dora }'],
    ['lora of GPT-NeoX', 'gpt-neox-parallel', '{ r: 4 }'],
    ['modulesToSave', 'llama3-untied', '{ r: 4, modulesToSave: [lm_head] }'],
  ])('%s', async (name, form, adapter) => {
    const model = form === tinyModel ? form : await modelLike(join(folder, `${name} base`), form);
    const recipe = parseRecipe(
      `{ model: ${JSON.stringify(model)}, method: dpo, adapter: ${adapter}, steps: 10, batch: { size: 4 }, threads: 1,
         optimizer: { lr: 2.0e-2 }, data: { train: ${tinyPairs}, maxLength: 96 } }`,
      { file: 'test.yaml', set: [], env: {} },
    );
    const { final } = await train({ recipe, out: join(folder, name), command: [] });
    expectEqual(final);
    const merged = join(folder, `${name} merged`);
    await mergeAdapter(await modelPlace(final), { out: merged });
    expectEqual(merged);
  });
});
