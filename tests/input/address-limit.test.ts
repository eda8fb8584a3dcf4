// Under a limit of addresses (ulimit -v), as batch systems set it, there is no room for WebAssembly, which takes 10 GB.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { canFetch } from '#reanchor/formats/can-fetch.js';
import { modelFolder } from '#reanchor/hub/index.js';
import { fixtures, repositoryRoot } from '../support/repository.js';

const folder = mkdtempSync(join(tmpdir(), 'address-limit-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

test.skipIf(process.platform !== 'linux')('3 GB of addresses are enough for the library, rows and libtorch', () => {
  const rows = join(folder, 'rows.jsonl');
  writeFileSync(rows, '{"a": 1}\n');
  const path = (name: string) => JSON.stringify(join(repositoryRoot, 'packages/reanchor/src', name));
  const script = `const { loadModel } = await import(${path('index.ts')});
    const { readRecords } = await import(${path('formats/records.ts')});
    for await (const { value } of readRecords(${JSON.stringify(rows)})) console.log(JSON.stringify(value));
    const model = await loadModel(${JSON.stringify(join(fixtures, 'models/llama-tiny'))}, { dtype: 'float32' });
    console.log(model.dtype, typeof WebAssembly);`;
  // tsx, which makes JavaScript of the sources, takes WebAssembly where there is some.
  const args = ['--no-expose-wasm', '--import', 'tsx', '--input-type=module', '--eval', script];
  const { stdout, stderr } = spawnSync('sh', ['-c', 'ulimit -v 3000000; exec "$@"', 'sh', process.execPath, ...args], {
    cwd: repositoryRoot,
    encoding: 'utf8',
  });
  expect(stdout, stderr).toBe('{"a":1}\nfloat32 undefined\n');
});

test('a download that Node has no addresses for is told before it ends the process', async () => {
  expect(canFetch()).toBe(true);
  class Memory {
    constructor() {
      throw new RangeError('WebAssembly.Memory(): could not allocate memory');
    }
  }
  vi.stubGlobal('WebAssembly', { Memory });
  expect(canFetch()).toBe(false);
  const refused = vi.fn();
  vi.stubGlobal('fetch', refused);
  vi.stubEnv('HF_HUB_OFFLINE', '0');
  vi.stubEnv('HF_HOME', folder);
  await expect(modelFolder('some/model')).rejects.toThrow(
    /^there is not enough memory for downloads: .*10 GB of addresses.*HF_HUB_OFFLINE=1$/,
  );
  expect(refused).not.toHaveBeenCalled();
});
