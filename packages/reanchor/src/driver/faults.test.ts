import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parseRecipe } from '../recipe/index.js';
import { runFolder } from '../runs/index.js';
import { explainFault } from './faults.js';

const path = mkdtempSync(join(tmpdir(), 'faults-'));
afterAll(() => rmSync(path, { recursive: true }));
const folder = runFolder(path);
mkdirSync(join(folder.checkpoints, 'step-000004'), { recursive: true });
writeFileSync(join(folder.checkpoints, 'step-000004', 'model.safetensors'), new Uint8Array(1_500_000));
const recipe = parseRecipe('{ model: m, method: dpo, data: { train: a } }', { file: 'r.yaml', env: {} });
const disk = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
const memory = Object.assign(new Error('ENOMEM'), { code: 'ENOMEM' });

test.each([
  [['reanchor', 'train'], 'free some space and repeat the command with --resume', 'checkpoint with --resume'],
  [undefined, 'free some space and call train() with resume: true', 'checkpoint with resume: true'],
])('a run of the command %j is told how to go on in its own words', (command, afterDisk, afterMemory) => {
  const messageOf = (error: Error) => (explainFault(error, { recipe, command }, folder) as Error).message;
  expect(messageOf(disk)).toMatch(/step-000004 1\.5 MB; all of them are whole/);
  expect(messageOf(disk)).toContain(afterDisk);
  expect(messageOf(memory)).toContain(afterMemory);
});
