// Names of the Hub where a user writes them: in a recipe, and for score, generate and tokens. The Hub is on the
// loopback device.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { main } from '#reanchor/cli/main.js';
import { readEvents, readRun } from '#reanchor/runs/index.js';
import { filesOf, HubServer } from '../support/hub-server.js';
import { tinyModel, tinyPairs } from '../support/training.js';

let hub: HubServer;
let folder: string;
let model: Record<string, string>;
let data: Record<string, string>;

beforeAll(async () => {
  hub = await HubServer.start();
  const files = { ...filesOf(tinyModel), 'generation_config.json': '{"eos_token_id": 0}' };
  model = hub.add('models/some/tiny', { revisions: { main: files, v1: files } });
  data = hub.add('datasets/some/pairs', { revisions: { main: { 'data/train.jsonl': readFileSync(tinyPairs) } } });
});
afterAll(() => hub[Symbol.asyncDispose]());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reanchor-train-hub-'));
  vi.stubEnv('HF_HUB_OFFLINE', '0');
  vi.stubEnv('HF_ENDPOINT', hub.endpoint);
  vi.stubEnv('HF_HOME', join(folder, 'hf'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  process.exitCode = undefined;
  rmSync(folder, { recursive: true });
});

/** Runs the command here. */
async function reanchor(...args: string[]): Promise<{ stdout: string; stderr: string; code: unknown }> {
  process.exitCode = undefined;
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      said[name] += String(text);
      return true;
    });
  }
  await main(['node', 'reanchor', ...args]);
  vi.restoreAllMocks();
  return { ...said, code: process.exitCode ?? 0 };
}

function writeRecipe(text: string): string {
  const file = join(folder, 'recipe.yaml');
  writeFileSync(file, text);
  return file;
}

test('an adapter names its base at the commit that it was trained on, and is scored on that', async () => {
  const recipe = writeRecipe(
    '{ model: some/tiny@v1, method: dpo, adapter: { r: 2 }, steps: 1, data: { train: some/pairs, maxLength: 96 } }',
  );
  const out = join(folder, 'run');
  const trained = await reanchor('train', recipe, '--out', out);
  expect(trained.code, trained.stderr).toBe(0);
  const config = JSON.parse(readFileSync(join(out, 'final/adapter_config.json'), 'utf8'));
  expect(config).toMatchObject({ base_model_name_or_path: 'some/tiny', revision: model.v1 });
  cpSync(join(out, 'final'), join(folder, 'copied'), { recursive: true });
  vi.stubEnv('HF_HUB_OFFLINE', '1');
  const score = async (adapter: string) => {
    const scores = join(folder, 'scores.jsonl');
    const flags = ['--reference', 'some/tiny@v1', '--data', tinyPairs, '--max-length', '96', '--out', scores];
    const { code, stderr } = await reanchor('score', '--model', adapter, ...flags);
    expect(code, stderr).toBe(0);
    return readFileSync(scores, 'utf8');
  };
  expect(await score(join(folder, 'copied'))).toBe(await score(join(out, 'final')));
});

test('train, score, generate and tokens take a name; a run says which commits it used, then needs no network', async () => {
  const recipe = writeRecipe(
    '{ model: some/tiny, method: dpo, reference: { update: soft, alpha: 0.6, model: some/tiny@v1 }, steps: 2, data: { train: some/pairs, maxLength: 96 } }',
  );
  const out = join(folder, 'run');
  const trained = await reanchor('train', recipe, '--out', out);
  expect(trained.code, trained.stderr).toBe(0);
  expect(trained.stderr).toMatch(/^downloading some\/tiny {2}.* of \d+(\.\d)? kB .*(json|safetensors)$/m);
  expect(readRun(out).run.commits).toEqual({
    'some/tiny': model.main,
    'some/tiny@v1': model.v1,
    'some/pairs': data.main,
  });
  const card = readFileSync(join(out, 'final/README.md'), 'utf8');
  expect(card).toMatch(/^base_model: some\/tiny$/m);
  expect(card).toContain(`from \`some/tiny\` (commit ${model.main})`);
  expect(card).toContain('"train": "some/pairs"');
  expect(existsSync(join(out, 'final/generation_config.json'))).toBe(true);

  vi.stubEnv('HF_HUB_OFFLINE', '1');
  const scores = join(folder, 'scores.jsonl');
  const scored = await reanchor(
    'score',
    '--model',
    'some/tiny',
    '--reference',
    'some/tiny@v1',
    '--data',
    tinyPairs,
    '--out',
    scores,
  );
  expect(scored.code, scored.stderr).toBe(0);
  expect(readFileSync(scores, 'utf8').split('\n')[0]).toMatch(/"margin":0/);
  const generated = await reanchor('generate', '--model', 'some/tiny', '--prompt', 'a', '--max-new-tokens', '3');
  expect(generated.code, generated.stderr).toBe(0);
  const tokens = await reanchor('tokens', recipe, '--rows', '1');
  expect(tokens.code, tokens.stderr).toBe(0);
});

test('score and tokens of a run take its names at the commits that it had, whatever main is now', async () => {
  const files = filesOf(tinyModel);
  const lines = readFileSync(tinyPairs, 'utf8').trim().split('\n');
  const split = (rows: string[]) => ({ 'data/train.jsonl': rows.join('\n'), 'data/validation.jsonl': rows.join('\n') });
  const [now, then] = [split(lines.slice(0, 8)), split(lines.slice(8, 14))];
  const commits = [
    hub.add('models/moving/tiny', { revisions: { main: files } }).main!,
    hub.add('datasets/moving/pairs', { revisions: { main: now } }).main!,
  ];
  const recipe = writeRecipe(
    '{ model: moving/tiny, method: dpo, steps: 1, data: { train: moving/pairs, validation: moving/pairs, maxLength: 96 } }',
  );
  const run = join(folder, 'run');
  expect((await reanchor('train', recipe, '--out', run)).code).toBe(0);
  const scores = join(folder, 'scores.jsonl');
  const told = async () => {
    const scored = await reanchor('score', '--run', run, '--out', scores);
    expect(scored.code, scored.stderr).toBe(0);
    const { stdout } = await reanchor('tokens', '--run', run, '--rows', '20');
    return [readFileSync(scores, 'utf8'), stdout];
  };
  const before = await told();
  expect(before[0]!.trim().split('\n')).toHaveLength(8);

  // What main names has changed, and nothing is kept here.
  hub.add('models/moving/tiny', { revisions: { main: { ...files, 'README.md': 'another' }, before: files } });
  hub.add('datasets/moving/pairs', { revisions: { main: then, before: now } });
  rmSync(join(folder, 'hf'), { recursive: true });
  hub.requests.length = 0;
  expect(await told()).toEqual(before);
  const resolved = hub.downloads().flatMap(({ path }) => /resolve\/([^/]+)\//.exec(path)?.[1] ?? []);
  expect(new Set(resolved)).toEqual(new Set(commits));
});

test('tokens downloads no weights', async () => {
  hub.requests.length = 0;
  const recipe = writeRecipe('{ model: some/tiny, method: dpo, data: { train: some/pairs } }');
  expect((await reanchor('tokens', recipe)).code).toBe(0);
  expect(hub.downloads().some(({ path }) => path.includes('tokenizer.json'))).toBe(true);
  expect(hub.downloads().some(({ path }) => path.includes('safetensors'))).toBe(false);
});

test('a Hub that fails is a warning of the run when the cache has the files, and an error otherwise', async () => {
  const recipe = writeRecipe('{ model: some/tiny, method: dpo, steps: 1, data: { train: some/pairs, maxLength: 96 } }');
  hub.failWith = 503;
  const failed = await reanchor('train', recipe, '--out', join(folder, 'none'));
  expect(failed.code).toBe(1);
  expect(failed.stderr).toMatch(/error: http.* answers 503 for some\/tiny: try again later/);
  expect(existsSync(join(folder, 'none'))).toBe(false);
  hub.failWith = undefined;
  expect((await reanchor('train', recipe, '--out', join(folder, 'first'))).code).toBe(0);
  hub.failWith = 503;
  expect((await reanchor('train', recipe, '--out', join(folder, 'second'))).code).toBe(0);
  hub.failWith = undefined;
  const { events } = readEvents(join(folder, 'second/events.jsonl'));
  const warnings = events.flatMap((event) => (event.type === 'warning' ? event.message : []));
  expect(warnings.filter((text) => /the copy in .* is used/.test(text)).length).toBe(2);
});

test('a published set with another number of rows stops the run, unless it is asked for', async () => {
  const sources = join(folder, 'sources');
  vi.stubEnv('REANCHOR_SOURCES', sources);
  cpSync(tinyPairs, join(sources, 'HuggingFaceH4/ultrafeedback_binarized/data/train_prefs.jsonl'));
  const recipe = writeRecipe(
    '{ model: some/tiny, method: dpo, steps: 1, data: { train: HuggingFaceH4/ultrafeedback_binarized, maxLength: 96 } }',
  );
  const run = (name: string, ...set: string[]) => reanchor('train', recipe, '--out', join(folder, name), ...set);
  const stopped = await run('stopped');
  expect(stopped.code).toBe(1);
  expect(stopped.stderr).toMatch(/ultrafeedback_binarized, train split: 96 rows were read, and 61,135 are published/);
  expect(stopped.stderr).toContain('data.checkRows');
  expect(existsSync(join(folder, 'stopped'))).toBe(false);
  expect((await run('limited', '--set', 'data.limit=96')).code).toBe(0);
  const allowed = await run('allowed', '--set', 'data.checkRows=false');
  expect(allowed.code).toBe(0);
  expect(allowed.stderr).toMatch(/96 rows were read, and 61,135 are published/);
});

test('a set of texts to imitate is no set of pairs', async () => {
  const sources = join(folder, 'sources');
  vi.stubEnv('REANCHOR_SOURCES', sources);
  const id = 'UCL-DARK/openai-tldr-summarisation-preferences';
  mkdirSync(join(sources, id), { recursive: true });
  writeFileSync(join(sources, id, 'train.jsonl'), '{}');
  const recipe = writeRecipe(`{ model: some/tiny, method: dpo, data: { train: "${id}:sft" } }`);
  const { code, stderr } = await reanchor('train', recipe, '--out', join(folder, 'run'));
  expect(code).toBe(1);
  expect(stderr).toMatch(/:sft holds texts to be imitated, for method sft: pairs are those of UCL-DARK/);
});
