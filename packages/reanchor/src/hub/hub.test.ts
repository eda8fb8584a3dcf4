// Downloads from a Hub on the loopback device: what is asked, what lies on disk afterwards, what is refused.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { filesOf, HubServer } from '../../../../tests/support/hub-server.js';
import { ManualClock } from '../../../../tests/support/manual-clock.js';
import { fixtures } from '../../../../tests/support/repository.js';
import { type DownloadProgress, datasetFiles, hubSettings, modelFolder, parseRepositoryName } from './index.js';

const tiny = filesOf(join(fixtures, 'models/llama-tiny'));
const weights = Buffer.from(tiny['model.safetensors']!);
let hub: HubServer;
let home: string;

beforeAll(async () => {
  hub = await HubServer.start();
});
afterAll(() => hub[Symbol.asyncDispose]());
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'reanchor-hub-'));
  for (const name of ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN', 'HF_TOKEN_PATH', 'HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE']) {
    vi.stubEnv(name, undefined);
  }
  vi.stubEnv('HF_HOME', home);
  vi.stubEnv('HF_ENDPOINT', hub.endpoint);
  vi.stubEnv('HF_HUB_OFFLINE', '0');
  hub.requests.length = 0;
  Object.assign(hub, { breakAfter: undefined, corrupt: undefined, failWith: undefined, ignoresRange: false });
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true });
});

/** Adds a model and says what its commit is. */
const addModel = (name: string, files = tiny) => hub.add(`models/${name}`, { revisions: { main: files } }).main!;
const cacheOf = (name: string) => join(home, 'hub', `models--${name.replace('/', '--')}`);
const partial = (name: string) =>
  readdirSync(join(cacheOf(name), 'blobs')).filter((file) => file.endsWith('.incomplete'));

describe('a model', () => {
  test('comes with its chat templates of other names, and without what is of no use', async () => {
    const more = {
      'additional_chat_templates/tool_use.jinja': 't',
      'additional_chat_templates/x.md': '',
      'LICENSE.md': '',
    };
    addModel('some/tools', { ...tiny, ...more });
    const folder = await modelFolder('some/tools', { weights: false });
    expect(readdirSync(join(folder, 'additional_chat_templates'))).toEqual(['tool_use.jinja']);
    expect(existsSync(join(folder, 'LICENSE.md'))).toBe(false);
  });

  test('is downloaded into the layout of the Hub: blobs, refs, and snapshots that link to blobs', async () => {
    const commit = addModel('some/model');
    const heard: DownloadProgress[] = [];
    const folder = await modelFolder('some/model', { onDownload: (progress) => heard.push(progress) });
    expect(folder).toBe(join(cacheOf('some/model'), 'snapshots', commit));
    expect(readdirSync(folder).sort()).toEqual(
      ['config.json', 'model.safetensors', 'special_tokens_map.json', 'tokenizer.json', 'tokenizer_config.json'].sort(),
    );
    for (const name of readdirSync(folder))
      expect(readFileSync(join(folder, name)).equals(Buffer.from(tiny[name]!))).toBe(true);
    expect(readFileSync(join(cacheOf('some/model'), 'refs/main'), 'utf8')).toBe(commit);
    expect(readlinkSync(join(folder, 'model.safetensors'))).toMatch(/^\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/);
    expect(readlinkSync(join(folder, 'config.json'))).toMatch(/^\.\.\/\.\.\/blobs\/[0-9a-f]{40}$/);
    expect(readdirSync(join(cacheOf('some/model'), 'blobs')).filter((name) => name.includes('.'))).toEqual([]);
    const { total } = heard.at(-1)!;
    expect(total).toBe(readdirSync(folder).reduce((sum, name) => sum + Buffer.from(tiny[name]!).length, 0));
    expect(heard.at(-1)).toMatchObject({ repository: 'some/model', done: total });
    expect(heard.every(({ done }, i) => done >= (heard[i - 1]?.done ?? 0))).toBe(true);
  });

  test('comes from the cache the second time, after two questions about its commit and files', async () => {
    addModel('some/cached');
    const first = await modelFolder('some/cached');
    hub.requests.length = 0;
    expect(await modelFolder('some/cached')).toBe(first);
    expect(hub.downloads()).toEqual([]);
    expect(hub.requests.filter(({ path }) => path.includes('/revision/')).length).toBe(1);
    expect(hub.requests.every(({ path }) => path.startsWith('/api/models/some/cached/'))).toBe(true);
  });

  test('in shards: the files of the index, and no other weights', async () => {
    const shards = filesOf(join(fixtures, 'models/llama3-untied'));
    addModel('some/shards', {
      ...shards,
      'tokenizer.json': '{}',
      'consolidated.safetensors': 'x',
      'pytorch_model.bin': 'x',
    });
    const folder = await modelFolder('some/shards');
    const names = Object.keys(shards).filter((name) => /^(config|model)/.test(name));
    expect(readdirSync(folder).sort()).toEqual([...names, 'tokenizer.json'].sort());
  });

  test('whose weights are not needed is its small files', async () => {
    addModel('some/small');
    const folder = await modelFolder('some/small', { weights: false });
    expect(existsSync(join(folder, 'tokenizer.json'))).toBe(true);
    expect(existsSync(join(folder, 'model.safetensors'))).toBe(false);
    expect(existsSync(join(await modelFolder('some/small'), 'model.safetensors'))).toBe(true);
  });

  test('is a folder here before it is a name on the Hub', async () => {
    addModel('some/model');
    const local = join(home, 'some/model');
    mkdirSync(local, { recursive: true });
    const here = process.cwd();
    process.chdir(home);
    try {
      expect(await modelFolder('some/model')).toBe('some/model');
    } finally {
      process.chdir(here);
    }
    expect(hub.requests).toEqual([]);
  });

  test('at a branch, a tag or a commit', async () => {
    const old = { ...tiny, 'config.json': '{"old": true}' };
    const commits = hub.add('models/some/versions', { revisions: { main: tiny, 'v1.0': old, 'refs/pr/1': old } });
    const config = async (name: string) => readFileSync(join(await modelFolder(name), 'config.json'), 'utf8');
    expect(await config('some/versions@v1.0')).toBe('{"old": true}');
    expect(await config('some/versions@refs/pr/1')).toBe('{"old": true}');
    expect(await config('some/versions')).toBe(String(tiny['config.json']));
    expect(await config(`some/versions@${commits['v1.0']}`)).toBe('{"old": true}');
    expect(readFileSync(join(cacheOf('some/versions'), 'refs/refs/pr/1'), 'utf8')).toBe(commits['refs/pr/1']);
    await expect(modelFolder('some/versions@v9')).rejects.toThrow(/some\/versions has no revision v9.*\/tree\/main/);
  });
});

describe('a download that breaks off', () => {
  test('is continued at its last byte, at once when the connection was lost', async () => {
    addModel('some/broken');
    let keep = () => {};
    hub.breakAfter = { path: 'model.safetensors', bytes: 100_000, once: new Promise((resolve) => (keep = resolve)) };
    let start: number | undefined;
    const onDownload = ({ file, done }: DownloadProgress) => {
      if (file !== 'model.safetensors') return;
      start ??= done;
      // What was sent is on the disk: only then is the connection lost.
      if (done - start >= 100_000) keep();
    };
    const clock = new ManualClock(1000);
    const folder = await modelFolder('some/broken', { onDownload, clock });
    expect(readFileSync(join(folder, 'model.safetensors')).equals(weights)).toBe(true);
    const ranges = hub.downloads().filter(({ host, path }) => host === 'store' && path.endsWith('model.safetensors'));
    expect(ranges.map(({ range }) => range)).toEqual([undefined, 'bytes=100000-']);
    // Besides, each piece is waited for.
    expect(clock.waits.filter((ms) => ms < 1000)).toEqual([500]);
  });

  test('is continued by the next one, when it was stopped', async () => {
    addModel('some/stopped');
    const stop = new AbortController();
    let start: number | undefined;
    const onDownload = ({ file, done }: DownloadProgress) => {
      if (file !== 'model.safetensors') return;
      start ??= done;
      if (done - start >= 50_000) stop.abort();
    };
    hub.breakAfter = { path: 'model.safetensors', bytes: 50_000, once: new Promise(() => {}) };
    const error = await modelFolder('some/stopped', { onDownload, signal: stop.signal }).catch((reason) => reason);
    expect(error).toBe(stop.signal.reason);
    expect(partial('some/stopped').length).toBe(1);
    expect(readdirSync(cacheOf('some/stopped'))).not.toContain('snapshots');
    hub.requests.length = 0;
    const folder = await modelFolder('some/stopped');
    expect(readFileSync(join(folder, 'model.safetensors')).equals(weights)).toBe(true);
    expect(
      hub
        .downloads()
        .filter(({ host }) => host === 'store')
        .map(({ range }) => range),
    ).toEqual(['bytes=50000-']);
    expect(partial('some/stopped')).toEqual([]);
  });

  test('begins anew where the server gives no parts, and where what was left is not of this file', async () => {
    const commit = addModel('some/rest');
    const sha = (readlinkSync(join(await modelFolder('some/rest'), 'model.safetensors')) as string).split('/').at(-1)!;
    const left = join(cacheOf('some/rest'), 'blobs', `${sha}.reanchor.incomplete`);
    for (const ignoresRange of [true, false]) {
      rmSync(join(cacheOf('some/rest'), 'blobs', sha));
      rmSync(join(cacheOf('some/rest'), 'snapshots', commit, 'model.safetensors'));
      writeFileSync(left, Buffer.alloc(1000));
      hub.ignoresRange = ignoresRange;
      const folder = await modelFolder('some/rest');
      expect(readFileSync(join(folder, 'model.safetensors')).equals(weights)).toBe(true);
    }
  });
});

describe('what is wrong is said', () => {
  test('bytes that are not those of the Hub, in large and small files; nothing of them stays', async () => {
    addModel('some/corrupt');
    hub.corrupt = 'model.safetensors';
    await expect(modelFolder('some/corrupt')).rejects.toThrow(
      /model\.safetensors: what was downloaded has sha256 [0-9a-f]{64}, and the Hub says/,
    );
    expect(existsSync(join(cacheOf('some/corrupt'), 'snapshots'))).toBe(false);
    expect(partial('some/corrupt')).toEqual([]);
    addModel('some/corrupt-config');
    hub.corrupt = 'config.json';
    await expect(modelFolder('some/corrupt-config')).rejects.toThrow(/config\.json: what was downloaded has git-sha1/);
  });

  test('a name that the Hub does not know, or gives to others only', async () => {
    await expect(modelFolder('nobody/nothing')).rejects.toThrow(
      /nobody\/nothing: there is no folder nobody\/nothing here, and http:.* shows no model.*private or gated, set HF_TOKEN/,
    );
    hub.add('models/some/private', { revisions: { main: tiny }, privateFor: 'hf_right' });
    await expect(modelFolder('some/private')).rejects.toThrow(/shows no model of this name \(status 401\)/);
    hub.add('models/some/gated', { revisions: { main: tiny }, gatedFor: 'hf_right' });
    await expect(modelFolder('some/gated')).rejects.toThrow(
      /some\/gated is gated: accept its terms at .*\/some\/gated; set HF_TOKEN/,
    );
    vi.stubEnv('HF_TOKEN', 'hf_wrong');
    await expect(modelFolder('some/gated')).rejects.toThrow(
      /is gated.*the token that is set has to be one of that account/,
    );
    vi.stubEnv('HF_TOKEN', ' hf_right\n');
    expect(existsSync(join(await modelFolder('some/gated'), 'model.safetensors'))).toBe(true);
    expect(existsSync(join(await modelFolder('some/private'), 'model.safetensors'))).toBe(true);
    const stored = hub.requests.filter(({ host }) => host === 'store');
    expect(stored.length).toBeGreaterThan(0);
    expect(stored.every(({ authorization }) => authorization === undefined)).toBe(true);
  });

  test('names that are no models', async () => {
    for (const name of ['../up/there', 'a/../b', '/etc/none', 'a/b/c', 'some--model/x', 'one', 'a/.b']) {
      await expect(modelFolder(name), name).rejects.toThrow(/does not exist: a model is a folder with config\.json/);
    }
    for (const revision of ['../../x', '', '/x', 'a//b', 'a b', 'x\\y']) {
      await expect(modelFolder(`some/model@${revision}`), revision).rejects.toThrow(/no revision; name a branch/);
    }
    expect(hub.requests).toEqual([]);
    const file = join(home, 'pytorch_model.bin');
    writeFileSync(file, '');
    await expect(modelFolder(file)).rejects.toThrow(
      /Python pickles, which are not read: loading one runs whatever code/,
    );
    writeFileSync(join(home, 'x.json'), '');
    await expect(modelFolder(join(home, 'x.json'))).rejects.toThrow(/is a file/);
    const run = join(home, 'run');
    mkdirSync(join(run, 'checkpoints/step-000001'), { recursive: true });
    writeFileSync(join(run, 'run.json'), '{}');
    await expect(modelFolder(run)).rejects.toThrow(
      `${run} is a run folder, and no model: it is not finished, name one of ${run}/checkpoints/step-*`,
    );
    mkdirSync(join(run, 'final'));
    await expect(modelFolder(run)).rejects.toThrow(`and no model: name its model, ${run}/final`);
    expect(await modelFolder(join(run, 'final'))).toBe(join(run, 'final'));
  });

  test('weights in pickles are refused before anything is downloaded, with the reason', async () => {
    const { 'model.safetensors': _, ...rest } = tiny;
    addModel('some/pickle', { ...rest, 'pytorch_model.bin': 'x' });
    await expect(modelFolder('some/pickle')).rejects.toThrow(
      /pytorch_model\.bin holds Python pickles, which are not read: loading one runs whatever code.*some\/pickle@refs\/pr\/1/,
    );
    addModel('some/empty', rest);
    await expect(modelFolder('some/empty')).rejects.toThrow(/some\/empty has no model\.safetensors/);
    expect(hub.downloads()).toEqual([]);
  });

  test('files and commits with names that lead out of the cache', async () => {
    for (const path of ['../../evil', '/etc/evil', 'a/../../evil', 'c:/evil', 'a\\evil', 'a\x1b[2Jb']) {
      addModel('some/evil', { ...tiny, [path]: 'x' });
      await expect(modelFolder('some/evil'), path).rejects.toThrow(
        /would lie outside of its folder; nothing of it is used/,
      );
    }
    addModel('some/evil', {
      ...filesOf(join(fixtures, 'models/llama3-untied')),
      'tokenizer.json': '{}',
      'model.safetensors.index.json': '{"weight_map": {"a": "../../evil"}}',
    });
    await expect(modelFolder('some/evil')).rejects.toThrow(
      /shard ".*evil" is not the name of a .safetensors file beside it/,
    );
    expect(existsSync(join(home, 'hub/evil'))).toBe(false);
  });

  test('a time that is none, or that has no end', () => {
    for (const name of ['HF_HUB_DOWNLOAD_TIMEOUT', 'HF_HUB_ETAG_TIMEOUT']) {
      for (const value of ['0', '-1', 'x', '1e9', 'Infinity']) {
        expect(() => hubSettings({ [name]: value })).toThrow(`${name} is "${value}"; a number of seconds above 0`);
      }
    }
    expect(hubSettings({})).toMatchObject({ idleMs: 10_000, answerMs: 15_000 });
    const given = { HF_HUB_DOWNLOAD_TIMEOUT: '30', HF_HUB_ETAG_TIMEOUT: '0.5' };
    expect(hubSettings(given)).toMatchObject({ idleMs: 30_000, answerMs: 500 });
  });

  test('a token that cannot be one, and an endpoint that is no address', () => {
    expect(() => hubSettings({ HF_TOKEN: 'hf_a b' })).toThrow(/a space or another character/);
    expect(() => hubSettings({ HF_TOKEN: 'hf_a b' })).not.toThrow(/hf_a/);
    expect(() => hubSettings({ HF_ENDPOINT: 'mirror' })).toThrow(/^HF_ENDPOINT is no address such as https/);
    expect(hubSettings({ HF_ENDPOINT: 'https://mirror.example/hub/' }).endpoint).toBe('https://mirror.example/hub');
  });

  test.each([
    'http://me:s3cr3t@mirror.example',
    'https://s3cr3t@mirror.example/hub',
    'https://mirror.example/?token=s3cr3t',
    'https://mirror.example#s3cr3t',
    'me:s3cr3t@mirror.example',
    'ftp://me:s3cr3t@mirror.example',
    'http://me:s3/cr3t@mirror.example',
  ])('an endpoint with a password, a token or a query in it, without repeating it: %s', (HF_ENDPOINT) => {
    expect(() => hubSettings({ HF_ENDPOINT })).toThrow(
      /^HF_ENDPOINT (has a user name, a password or a query|is no address)/,
    );
    expect(() => hubSettings({ HF_ENDPOINT })).not.toThrow(/s3|cr3t/);
  });
});

describe('without the network', () => {
  test('the cache is used, and what it lacks is named', async () => {
    addModel('some/offline');
    vi.stubEnv('HF_HUB_OFFLINE', 'yes');
    await expect(modelFolder('some/offline')).rejects.toThrow(
      /some\/offline: there is no folder of this name, it is not in the cache.*HF_HUB_OFFLINE/,
    );
    vi.stubEnv('HF_HUB_OFFLINE', '0');
    const folder = await modelFolder('some/offline');
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    hub.requests.length = 0;
    expect(await modelFolder('some/offline')).toBe(folder);
    expect(await modelFolder(`some/offline@${folder.split('/').at(-1)}`)).toBe(folder);
    rmSync(join(folder, 'model.safetensors'));
    await expect(modelFolder('some/offline')).rejects.toThrow(/model\.safetensors is not in the cache/);
    expect(hub.requests).toEqual([]);
  });

  test('a Hub that does not answer is told; what is in the cache is used, with a word about it', async () => {
    addModel('some/away');
    const folder = await modelFolder('some/away');
    const notes: string[] = [];
    hub.failWith = 503;
    expect(await modelFolder('some/away', { onNote: (note) => notes.push(note) })).toBe(folder);
    const gone = await HubServer.start();
    await gone[Symbol.asyncDispose]();
    vi.stubEnv('HF_ENDPOINT', gone.endpoint);
    expect(await modelFolder('some/away', { onNote: (note) => notes.push(note) })).toBe(folder);
    expect(notes).toEqual([
      expect.stringMatching(/answers 503.*the copy in .* is used/),
      expect.stringMatching(/cannot be reached/),
    ]);
    await expect(modelFolder('some/elsewhere')).rejects.toThrow(/cannot be reached \(\w+\).*HF_HUB_OFFLINE=1/);
  });
});

test('data sets: the files that are chosen, in their folder of the cache', async () => {
  hub.add('datasets/some/rows', {
    revisions: { main: { 'data/train.jsonl': 'a', 'data/test.jsonl': 'b', 'README.md': '# rows' } },
  });
  const name = parseRepositoryName('some/rows', 'dataset')!;
  const files = await datasetFiles(name, async ({ paths, read }) => {
    expect(await read('README.md')).toBe('# rows');
    return paths.filter((path) => path.includes('train'));
  });
  expect(files.map((file) => readFileSync(file, 'utf8'))).toEqual(['a']);
  expect(files[0]).toMatch(/hub\/datasets--some--rows\/snapshots\/[0-9a-f]{40}\/data\/train\.jsonl$/);
  expect(hub.downloads().map(({ path }) => path)).toEqual([
    expect.stringMatching(/^\/datasets\/some\/rows\/resolve\/.*README/),
    expect.stringMatching(/^\/datasets\/some\/rows\/resolve\/.*train/),
  ]);
});

test('the environment: folders and token as for the Python library', () => {
  expect(hubSettings({ HOME: '/h' }).cache).toMatch(/\/\.cache\/huggingface\/hub$/);
  expect(hubSettings({ XDG_CACHE_HOME: '/x' }).cache).toBe('/x/huggingface/hub');
  expect(hubSettings({ HF_HOME: '/hf', XDG_CACHE_HOME: '/x' }).cache).toBe('/hf/hub');
  expect(hubSettings({ HF_HOME: '/hf', HF_HUB_CACHE: '/c' }).cache).toBe('/c');
  expect(hubSettings({ HF_HOME: home }).token).toBeUndefined();
  writeFileSync(join(home, 'token'), 'hf_file\n');
  expect(hubSettings({ HF_HOME: home }).token).toBe('hf_file');
  expect(hubSettings({ HF_HOME: home, HF_TOKEN: 'hf_env' }).token).toBe('hf_env');
});

test('two downloads at a time: one fetches, the other waits', async () => {
  addModel('some/twice');
  const options = { clock: new ManualClock(1000) };
  const folders = await Promise.all([modelFolder('some/twice', options), modelFolder('some/twice', options)]);
  expect(folders[0]).toBe(folders[1]);
  expect(hub.downloads().filter(({ host }) => host === 'store').length).toBe(1);
});
