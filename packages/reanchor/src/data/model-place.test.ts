import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { filesOf, HubServer } from '../../../../tests/support/hub-server.js';
import { fixtures } from '../../../../tests/support/repository.js';
import { factorsOf, tensorsOf, writeFolder } from '../adapters/testing/folders.js';
import { UserError } from '../errors.js';
import { modelFolder } from '../hub/index.js';
import { modelPlace } from './model-place.js';

const folder = mkdtempSync(join(tmpdir(), 'model-place-'));
afterAll(() => rmSync(folder, { recursive: true }));
const tiny = join(fixtures, 'models/llama-tiny');
let count = 0;

/** An adapter that calls its base so. */
async function adapterOn(base: string | null, more: object = {}): Promise<string> {
  const path = join(folder, `adapter-${count++}`);
  const tensors = tensorsOf(factorsOf({ 'model.layers.0.self_attn.q_proj': [32, 32] }));
  await writeFolder(path, { base_model_name_or_path: base, target_modules: ['q_proj'], ...more }, tensors);
  return path;
}

const here = process.cwd();
beforeEach(() => {
  vi.stubEnv('HF_HOME', join(folder, 'hub'));
  vi.stubEnv('HF_HUB_OFFLINE', '1');
});
afterEach(() => {
  process.chdir(here);
  vi.unstubAllEnvs();
});

describe('a model is', () => {
  test('a folder alone, or with an adapter beside it', async () => {
    expect(await modelPlace(tiny)).toEqual({ base: tiny });
    const adapter = await adapterOn('nowhere');
    expect(await modelPlace(tiny, { adapter })).toEqual({ base: tiny, adapter });
  });

  test('an adapter alone, on a folder as it is written, or from the adapter on', async () => {
    const absolute = await adapterOn(tiny);
    expect(await modelPlace(absolute)).toEqual({ base: tiny, adapter: absolute });
    cpSync(tiny, join(folder, 'models/tiny'), { recursive: true });
    const relative = await adapterOn('models/tiny');
    process.chdir(folder);
    expect(await modelPlace(relative)).toEqual({ base: 'models/tiny', adapter: relative });
    process.chdir(here);
    const beside = await adapterOn('../models/tiny');
    expect(await modelPlace(beside)).toEqual({ base: resolve(folder, 'models/tiny'), adapter: beside });
    const lost = await adapterOn('nowhere');
    expect(await modelPlace(lost, { base: tiny })).toEqual({ base: tiny, adapter: lost });
  });

  test('an adapter of the Hub, with its tokenizer, on a model of the Hub at the revision that it names', async () => {
    await using hub = await HubServer.start();
    vi.stubEnv('HF_HUB_OFFLINE', '0');
    vi.stubEnv('HF_ENDPOINT', hub.endpoint);
    const files = filesOf(tiny);
    const changed = { ...files, 'generation_config.json': '{}' };
    const commits = hub.add('models/some/base', { revisions: { main: changed, old: files } });
    const adapter = await adapterOn('some/base', { revision: 'old' });
    const uploaded = { ...filesOf(adapter), 'tokenizer.json': files['tokenizer.json']!, 'README.md': '# adapter' };
    hub.add('models/some/adapter', { revisions: { main: uploaded } });
    const heard = new Map<string, string>();
    const place = await modelPlace('some/adapter', { onCommit: (name, commit) => heard.set(name, commit) });
    expect(heard.get('some/base@old')).toBe(commits.old);
    expect(place.base).toMatch(new RegExp(`${commits.old}$`));
    expect(readFileSync(join(place.adapter!, 'tokenizer.json')).equals(Buffer.from(files['tokenizer.json']!))).toBe(
      true,
    );
    expect(() => readFileSync(join(place.adapter!, 'README.md'))).toThrow();
    await expect(modelFolder('some/adapter')).rejects.toThrow(
      /^some\/adapter holds an adapter, and no model: name the/,
    );
  });
});

describe('what is not there is told with what was looked for, and what to give', () => {
  const told = async (place: Promise<unknown>) => {
    const error = await place.catch((reason: unknown) => reason);
    if (!(error instanceof UserError)) throw error;
    return error.told((option) => `--${option}`);
  };

  test('a base', async () => {
    const lost = await adapterOn('/no/such/model');
    const message = await told(modelPlace(lost));
    expect(message).toContain(`${lost} is an adapter on "/no/such/model", which was looked for from ${here}, from the`);
    expect(message).toContain(`and on the Hub: /no/such/model does not exist`);
    expect(message).toMatch(new RegExp(`give --model BASE --adapter ${lost}$`));
    expect(await told(modelPlace(await adapterOn('some/base')))).toMatch(/is not in the cache .*give --model BASE/);
    const none = await adapterOn(null);
    expect(await told(modelPlace(none))).toBe(
      `${none} does not say which model it is an adapter on: give --model BASE --adapter ${none}`,
    );
    expect(await told(modelPlace(await adapterOn(none)))).toMatch(/holds an adapter, and no model/);
  });

  test('an adapter', async () => {
    expect(await told(modelPlace(tiny, { adapter: tiny }))).toMatch(/llama-tiny holds no adapter, which is a folder/);
    expect(await told(modelPlace(tiny, { adapter: 'no/such/adapter' }))).toMatch(/^no\/such\/adapter does not exist/);
    const run = join(folder, 'run');
    mkdirSync(run);
    cpSync(await adapterOn(tiny), join(run, 'final'), { recursive: true });
    expect(await told(modelPlace(tiny, { adapter: run }))).toMatch(/run holds no adapter.* of its run, .*run\/final$/);
    writeFileSync(join(run, 'run.json'), '{}');
    expect(await told(modelPlace(run))).toMatch(/run is a run folder, and no model: name its model, .*final$/);
  });
});
