import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { withTables } from '../support/from-trl-document.js';
import { repositoryRoot } from '../support/repository.js';

test('docs/guide/from-trl.md has the tables that the translators go by', () => {
  const page = readFileSync(join(repositoryRoot, 'docs/guide/from-trl.md'), 'utf8');
  expect(page).toBe(withTables(page));
  // Both ways: an option of TRL to keys, and a key to options of TRL and axolotl.
  expect(page).toMatch(/^\| `ref_model_sync_steps` \| `reference\.tau` \|/m);
  expect(page).toMatch(/^\| `batch\.size` \| .*`per_device_train_batch_size` \| .*`micro_batch_size` \|$/m);
});
