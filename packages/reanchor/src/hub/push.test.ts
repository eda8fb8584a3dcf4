// Pushes to a Hub on the loopback device: what is sent, what is there afterwards, what is refused.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Files, filesOf, HubServer } from '../../../../tests/support/hub-server.js';

import { fixtures } from '../../../../tests/support/repository.js';
import { type PushOptions, pushFolder, pushPlan, pushTarget } from './index.js';

const token = 'hf_write';
let hub: HubServer;
let home: string;
let folder: string;

beforeEach(async () => {
  hub = await HubServer.start();
  home = mkdtempSync(join(tmpdir(), 'reanchor-push-'));
  folder = join(home, 'model');
  cpSync(join(fixtures, 'models/llama-tiny'), folder, { recursive: true });
  for (const name of ['reference.json', 'reference.safetensors']) rmSync(join(folder, name));
  writeFileSync(join(folder, 'README.md'), '---\nlicense: mit\n---\n\n# A model\n');
  for (const name of ['HUGGING_FACE_HUB_TOKEN', 'HF_TOKEN_PATH']) vi.stubEnv(name, undefined);
  vi.stubEnv('HF_HOME', home);
  vi.stubEnv('HF_ENDPOINT', hub.endpoint);
  vi.stubEnv('HF_HUB_OFFLINE', '0');
  vi.stubEnv('HF_TOKEN', token);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true });
  await hub[Symbol.asyncDispose]();
});

const push = async (to = 'me/model', options: PushOptions = {}, from = folder) =>
  pushFolder(await pushPlan(from), pushTarget(to), options);
const uploads = () => hub.requests.filter(({ host, method }) => host === 'store' && method === 'PUT');
const here = (from = folder) =>
  Object.fromEntries(
    Object.entries(filesOf(from)).map(([path, bytes]) => [path, Buffer.from(bytes).toString('latin1')]),
  );
/** Two more large files, whose names make them the shards of an index. */
function inShards() {
  const [single, index] = ['model.safetensors', 'model.safetensors.index.json'].map((name) => join(folder, name));
  const shards = [1, 2].map((i) => `model-0000${i}-of-00002.safetensors`);
  for (const [i, name] of shards.entries()) writeFileSync(join(folder, name), Buffer.alloc(300_000, i + 1));
  writeFileSync(index!, JSON.stringify({ weight_map: { a: shards[0], b: shards[1] } }));
  rmSync(single!);
}

describe('a folder', () => {
  test('is pushed as its model files alone: no state of training, nothing else that lies there', async () => {
    mkdirSync(join(folder, 'training'));
    mkdirSync(join(folder, 'additional_chat_templates'));
    writeFileSync(join(folder, 'training/optimizer.safetensors'), 'secret');
    writeFileSync(join(folder, 'additional_chat_templates/tool_use.jinja'), 't');
    for (const name of ['manifest.json', 'events.jsonl', '.env', 'pytorch_model.bin', 'other.safetensors'])
      writeFileSync(join(folder, name), 'secret');
    writeFileSync(join(folder, 'LICENSE'), 'words');
    const plan = await pushPlan(folder);
    expect(plan).toMatchObject({ kind: 'model', notes: [] });
    expect(plan.files.map(({ path }) => path)).toEqual(
      [
        'LICENSE',
        'README.md',
        'additional_chat_templates/tool_use.jinja',
        'config.json',
        'model.safetensors',
        ...['special_tokens_map.json', 'tokenizer.json', 'tokenizer_config.json'],
      ].sort(),
    );
    expect(plan.leftOut).toEqual(
      ['.env', 'events.jsonl', 'manifest.json', 'other.safetensors', 'pytorch_model.bin', 'training'].sort(),
    );
    expect(hub.requests).toEqual([]);
  });

  test('of an adapter has its two files, and says when nobody else has its base', async () => {
    const adapter = join(home, 'adapter');
    mkdirSync(adapter);
    const config = (base: string) =>
      writeFileSync(join(adapter, 'adapter_config.json'), JSON.stringify({ base_model_name_or_path: base }));
    config('/some/where');
    await expect(pushPlan(adapter)).rejects.toThrow(/has no adapter_model\.safetensors/);
    writeFileSync(join(adapter, 'adapter_model.safetensors'), 'x');
    const { kind, files, notes } = await pushPlan(adapter);
    expect(kind).toBe('adapter');
    expect(files).toHaveLength(2);
    expect(notes[0]).toMatch(/no README\.md/);
    expect(notes[1]).toMatch(/names "\/some\/where" as its base, which nobody else has/);
    config('owner/base');
    expect((await pushPlan(adapter)).notes).toHaveLength(1);
    await push('me/adapter', {}, adapter);
    expect(Object.keys(hub.files('models/me/adapter')).sort()).toEqual([
      '.gitattributes',
      ...files.map(({ path }) => path),
    ]);
  });

  test('that is no model is refused, and a card without a license is told of', async () => {
    await expect(pushPlan(join(home, 'none'))).rejects.toThrow(/none does not exist/);
    await expect(pushPlan(home)).rejects.toThrow(/has no config\.json, model\.safetensors: a model is a folder with/);
    writeFileSync(join(home, 'run.json'), '{}');
    await expect(pushPlan(home)).rejects.toThrow(/is a run folder, and no model/);
    writeFileSync(join(folder, 'README.md'), '---\ntags: [x]\n---\nlicense: mit\n');
    expect((await pushPlan(folder)).notes[0]).toMatch(/README\.md names no license/);
    inShards();
    rmSync(join(folder, 'model-00002-of-00002.safetensors'));
    await expect(pushPlan(folder)).rejects.toThrow(/has no model-00002-of-00002\.safetensors/);
  });
});

describe('a push', () => {
  test('makes the repository, sends every file, and the second time nothing', async () => {
    const notes: string[] = [];
    const heard: { done: number; total: number }[] = [];
    const options = {
      onNote: (note: string) => notes.push(note),
      onProgress: (one: (typeof heard)[0]) => heard.push(one),
    };
    const result = await push('me/model', { ...options, isPrivate: true, message: 'First' });
    expect(result).toMatchObject({ url: `${hub.endpoint}/me/model`, deleted: [] });
    expect(result.commit).toMatch(/^[0-9a-f]{40}$/);
    expect(hub.files('models/me/model')).toEqual({ '.gitattributes': '', ...here() });
    expect(notes).toEqual(['made me/model, which is private']);
    await push('me/model', { ...options, isPrivate: true });
    expect(notes.splice(1)).toEqual(['me/model is there already, and stays as private or public as it is']);
    const { done, total } = heard.at(-1)!;
    expect(done).toBe(total);
    expect(total).toBe((await pushPlan(folder)).files.reduce((sum, { size }) => sum + size, 0));
    expect(hub.requests.filter(({ host }) => host === 'store').map(({ authorization }) => authorization)).toEqual([
      undefined,
    ]);

    hub.requests.length = 0;
    expect(await push('me/model', options)).toMatchObject({ commit: result.commit, sent: [] });
    expect(hub.requests.every(({ method }) => method === 'GET')).toBe(true);
    expect(notes).toHaveLength(1);
  });

  test('that broke off sends again what is not there, and only that', async () => {
    inShards();
    hub.breakUpload = { file: 1, bytes: 1000 };
    await expect(push()).rejects.toThrow(
      /the connection to .* failed .*push again: what was uploaded is not sent again/,
    );
    expect(Object.keys(hub.files('models/me/model'))).toEqual(['.gitattributes']);
    const there = hub.blobs.size;
    const before = uploads().length;
    const heard: number[] = [];
    await push('me/model', { onProgress: ({ done }) => heard.push(done) });
    expect(uploads().length - before).toBe(2 - there);
    expect(hub.files('models/me/model')).toEqual({ '.gitattributes': '', ...here() });
    expect(heard[0]).toBe(there * 300_000);
  });

  test('of a large file goes in the parts that the Hub names', async () => {
    hub.partBytes = 10_000;
    await push();
    expect(uploads().length).toBe(Math.ceil(readFileSync(join(folder, 'model.safetensors')).length / 10_000));
    expect(hub.files('models/me/model')['model.safetensors']).toBe(here()['model.safetensors']);
  });

  test('replaces another model when it is told to, with all that belonged to it, and leaves the rest', async () => {
    const other: Files = {
      '.gitattributes': 'a',
      'config.json': '{}',
      'model-00001-of-00001.safetensors': 'x',
      'model.safetensors.index.json': '{}',
      'notes.txt': 'mine',
    };
    hub.add('models/me/model', { revisions: { main: other } });
    await expect(push()).rejects.toThrow(
      'me/model has other files already (config.json, model-00001-of-00001.safetensors, model.safetensors.index.json): name another repository, a branch of this one (me/model@branch), or force to replace them; its history keeps what is there',
    );
    expect(hub.files('models/me/model')).toEqual(other);
    const { deleted } = await push('me/model', { force: true });
    expect(deleted).toEqual(['model-00001-of-00001.safetensors', 'model.safetensors.index.json']);
    expect(hub.files('models/me/model')).toEqual({ '.gitattributes': 'a', 'notes.txt': 'mine', ...here() });
  });

  test('to a branch makes it empty, beside what is in main', async () => {
    hub.add('models/me/model', { revisions: { main: { 'config.json': '{}' } } });
    const notes: string[] = [];
    const { url } = await push('me/model@second', { onNote: (note) => notes.push(note) });
    expect(url).toBe(`${hub.endpoint}/me/model/tree/second`);
    expect(notes).toEqual(['made the branch second']);
    expect(hub.files('models/me/model', 'second')).toEqual(here());
    expect(hub.files('models/me/model')).toEqual({ 'config.json': '{}' });
    await push('me/new@second', { onNote: (note) => notes.push(note) });
    expect(notes.slice(1)).toEqual(['made me/new', 'made the branch second']);
  });

  test('that somebody else has overtaken changes nothing', async () => {
    hub.add('models/me/model', { revisions: { main: {} } });
    hub.beforeCommit = () => hub.add('models/me/model', { revisions: { main: { 'config.json': 'theirs' } } });
    await expect(push()).rejects.toThrow(/me\/model was made, or changed, by somebody else meanwhile \(412/);
    expect(hub.files('models/me/model')).toEqual({ 'config.json': 'theirs' });
  });
});

describe('what cannot be pushed says what to do', () => {
  test('a token that is missing, unknown, or may not write, which is in no message', async () => {
    vi.stubEnv('HF_TOKEN', undefined);
    await expect(push()).rejects.toThrow(/there is no token: make one with write access at .*\/settings\/tokens/);
    expect(hub.requests).toEqual([]);
    vi.stubEnv('HF_TOKEN', 'hf_readonlyToken');
    const error: Error = await push().catch((one) => one);
    expect(error.message).toMatch(/the token may not write to me\/model/);
    expect(error.message).not.toContain('hf_readonlyToken');
    hub.failWith = 401;
    await expect(push()).rejects.toThrow(/does not know the token/);
  });

  test.each([
    ['nonsense', /nonsense is no repository: name it owner\/name/],
    [`me/model@${'a'.repeat(40)}`, /names a commit, which cannot change: name a branch/],
  ])('a target that is none: %s', async (to, message) => {
    await expect(push(to)).rejects.toThrow(message);
  });

  test('no network: offline, a Hub that is away, one that is ill', async () => {
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    await expect(push()).rejects.toThrow('HF_HUB_OFFLINE is set: nothing is sent; unset it to push');
    vi.stubEnv('HF_HUB_OFFLINE', '0');
    hub.failWith = 503;
    await expect(push()).rejects.toThrow(/answers 503 .*try again later/);
    vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:9');
    await expect(push()).rejects.toThrow(/cannot be reached/);
    expect(hub.requests.every(({ method }) => method === 'GET')).toBe(true);
  });
});
