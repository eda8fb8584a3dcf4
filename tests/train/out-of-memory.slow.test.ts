// Too little memory in the middle of a run: the message says what to lower.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { initModel } from '#reanchor/models/init.js';
import { saveModel } from '#reanchor/models/save.js';
import { repositoryRoot } from '../support/repository.js';
import { resumableRecipe } from '../support/resuming.js';
import { tinyModel } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-memory-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.skipIf(process.platform !== 'linux')('a run that gets no more memory says what to lower', async () => {
  const model = join(folder, 'model');
  mkdirSync(model);
  const config = JSON.parse(readFileSync(join(tinyModel, 'config.json'), 'utf8'));
  const wide = { ...config, hidden_size: 256, head_dim: 64, intermediate_size: 1024, num_hidden_layers: 4 };
  {
    using made = initModel(wide, { seed: 1, dtype: 'float32' });
    await saveModel(made, model);
  }
  for (const name of readdirSync(tinyModel).filter((name) => /token/.test(name)))
    cpSync(join(tinyModel, name), join(model, name));
  const recipe = resumableRecipe(
    model,
    'batch.size=64',
    'data.limit=null',
    'data.validation=null',
    'evaluate.every=null',
  );
  const script = join(repositoryRoot, 'tests/support/limited-process.ts');
  const args = ['--import', 'tsx', script, JSON.stringify(recipe), join(folder, 'run'), '150'];
  const answer = execFileSync(process.execPath, args, { cwd: repositoryRoot, encoding: 'utf8' });
  expect(answer).toMatch(
    /^UserError: there is not enough memory for this run: lower batch\.tokensPerMicroBatch \(16384\); set activationCheckpointing to true; .*cached.*can't allocate memory/,
  );
});
