import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory, resetPeak, type Tensor, tidy } from '@reanchor/torch';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asPrinted } from '../../../../tests/support/as-printed.js';
import { modelLike } from '../../../../tests/support/model-like.js';
import { fixtures } from '../../../../tests/support/repository.js';
import { writeTinyAdapter } from '../../../../tests/support/tiny-adapter.js';
import { tinyModel, tinyPairs } from '../../../../tests/support/training.js';
import { factorsOf, tensorsOf, writeFolder } from '../adapters/testing/folders.js';
import { commandLine } from '../cli/main.js';
import { Terminal } from '../cli/terminal.js';
import { scoredRows } from '../eval/scored-rows.js';
import { openWeights } from '../formats/index.js';
import { loadModel } from '../models/load.js';
import { saveModel } from '../models/save.js';
import { parseRecipe } from '../recipe/index.js';
import { mergeAdapter } from './merge.js';
import { train } from './train.js';

const folder = mkdtempSync(join(tmpdir(), 'merge-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const place = (name: string) => join(folder, `${name}-${count++}`);
const rows = { maxLength: 96 };

/** The tiny model with weights in bfloat16, which are its numbers to the bit. */
const half = join(folder, 'half');
let adapter: string;
beforeAll(async () => {
  cpSync(tinyModel, half, { recursive: true });
  using model = await loadModel(tinyModel, { dtype: 'bfloat16' });
  await saveModel(model, half);
  adapter = await writeTinyAdapter(join(folder, 'adapter'), { model: half });
});

async function printed(...args: string[]): Promise<string> {
  let text = '';
  const write = (piece: string) => (text += piece);
  await commandLine(new Terminal({ stdout: { write }, stderr: { write }, env: {} })).parseAsync(['', '', ...args]);
  return text;
}

describe('a merged model gives the log-probabilities of base and adapter', () => {
  test.each<[string, string | undefined, Parameters<typeof writeTinyAdapter>[1]]>([
    ['lora', undefined, {}],
    ['dora, and a head that was trained whole', 'llama3-untied', { type: 'dora', modulesToSave: ['lm_head'] }],
    ['rslora on some layers', 'qwen2', { rslora: true, targets: ['q_proj', 'down_proj'] }],
    ['dora of GPT-NeoX', 'gpt-neox-parallel', { type: 'dora' }],
  ])('%s', async (_, name, form) => {
    const base = name === undefined ? tinyModel : await modelLike(place(name), name);
    const adapted = { base, adapter: await writeTinyAdapter(place('adapter'), { ...form, model: base }) };
    const out = place('merged');
    const { lost, dtype, modules } = await mergeAdapter(adapted, { out });
    expect({ lost, dtype }).toEqual({ lost: 0, dtype: 'float32' });
    expect(modules).toBeGreaterThan(2);
    const before = await scoredRows(adapted, [tinyPairs], rows);
    expect(await before.differenceTo({ base: out })).toBeLessThan(1e-4);
    expect(await before.differenceTo({ base })).toBeGreaterThan(0.1);
  });

  test('a head that is no longer the embedding, which is stored beside it', async () => {
    const path = place('adapter');
    const factors = factorsOf({ 'model.layers.1.mlp.down_proj': [72, 32], lm_head: [32, 512] });
    await writeFolder(
      path,
      { r: 2, target_modules: ['layers.1.mlp.down_proj', 'lm_head'] },
      tensorsOf(factors, { fill: 0x3d }),
    );
    const adapted = { base: tinyModel, adapter: path };
    const out = place('merged');
    expect((await mergeAdapter(adapted, { out })).modules).toBe(2);
    expect([...(await openWeights(out)).keys()]).toContain('lm_head.weight');
    expect(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')).tie_word_embeddings).toBe(false);
    const before = await scoredRows(adapted, [tinyPairs], rows);
    expect(await before.differenceTo({ base: out })).toBeLessThan(1e-4);
  });

  test('on a base in four bits, as its codes stand for it', async () => {
    const packed = { base: tinyModel, adapter, quantize: 'nf4-double' } as const;
    const out = place('merged');
    await mergeAdapter(packed, { out, dtype: 'fp32' });
    expect([...(await openWeights(out)).values()].every(({ dtype }) => dtype === 'F32')).toBe(true);
    const before = await scoredRows(packed, [tinyPairs], rows);
    expect(await before.differenceTo({ base: out })).toBeLessThan(1e-4);
    expect(await before.differenceTo({ base: tinyModel, adapter })).toBeGreaterThan(0.01);
  });
});

test('weights are stored as the base has them, or as is asked, and what rounding takes is told', async () => {
  const [own, exact] = [place('merged'), place('merged')];
  const rounded = await mergeAdapter({ base: half, adapter }, { out: own, maxShardSize: '40KB' });
  const kept = await mergeAdapter({ base: half, adapter }, { out: exact, dtype: 'fp32' });
  expect([rounded.dtype, kept.dtype]).toEqual(['bfloat16', 'float32']);
  expect(readdirSync(own).filter((name) => name.endsWith('.safetensors')).length).toBeGreaterThan(1);

  using merged = await loadModel(own, { dtype: 'float64' });
  using precise = await loadModel(exact, { dtype: 'float64' });
  using bare = await loadModel(half, { dtype: 'float64' });
  tidy(() => {
    const changed = [...bare.parameters].filter(([name, weight]) => !precise.parameters.get(name)!.equal(weight));
    const norm = (of: (name: string, weight: Tensor) => Tensor) =>
      Math.hypot(...changed.map(([name, weight]) => of(name, weight).linalgVectorNorm(2).item()));
    const added = norm((name, weight) => precise.parameters.get(name)!.sub(weight));
    expect(rounded.relative).toBeCloseTo(added / norm((_, weight) => weight), 6);
    const lost = norm((name) => merged.parameters.get(name)!.sub(precise.parameters.get(name)!));
    expect(rounded.lost).toBeCloseTo(lost / added, 6);
    expect(rounded.lost).toBeGreaterThan(0.001);
  });
  expect(kept).toEqual({ ...rounded, dtype: 'float32', lost: 0 });
});

test('one weight is in memory at a time', async () => {
  resetPeak();
  const before = memory();
  await mergeAdapter({ base: tinyModel, adapter }, { out: place('merged') });
  const { tensorBytes, liveTensors, peakTensorBytes } = memory();
  expect({ tensorBytes, liveTensors }).toEqual({ tensorBytes: before.tensorBytes, liveTensors: before.liveTensors });
  // The largest weight that is changed, what it becomes, and what is measured of the two.
  expect(peakTensorBytes - before.tensorBytes).toBeLessThan(8 * 4 * 72 * 32 + 4 * 512 * 32);
});

describe('the folder', () => {
  test('stands alone: it has the tokenizer, what ends texts and a card, and is trained on again', async () => {
    const out = place('merged');
    const flags = ['--model', tinyModel, '--adapter', adapter, '--out', out, '--check', tinyPairs];
    const text = await printed('merge', ...flags);
    expect(text).toMatch(/^modules merged +14$/m);
    expect(text).toMatch(/^\|added\| \/ \|weights\| +0\.\d+$/m);
    expect(text).toMatch(/^of it lost to rounding +0\.0 %$/m);
    expect(text).toMatch(/^largest difference +0\.0000\d+ nats of \d+ completions$/m);
    const files = ['README.md', 'config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json'];
    expect(readdirSync(out)).toEqual(expect.arrayContaining(files));
    expect(readFileSync(join(out, 'README.md'), 'utf8')).toMatch(/^# llama-tiny with an adapter$/m);
    const recipe = parseRecipe(
      `{ model: ${out}, method: dpo, batch: { size: 4 }, steps: 1, threads: 1, data: { train: ${tinyPairs}, maxLength: 60 } }`,
      { file: 'test.yaml', set: [], env: {} },
    );
    expect((await train({ recipe, out: place('run'), command: [] })).isFinished).toBe(true);
  });

  test('is refused where one is in use, and nothing is left of one that failed', async () => {
    const used = place('used');
    mkdirSync(used);
    writeFileSync(join(used, 'x'), '');
    const flags = ['--model', tinyModel, '--adapter', adapter];
    await expect(printed('merge', ...flags, '--out', used)).rejects.toThrow(
      /used-\d+ exists and is not empty: name a new/,
    );
    const out = place('merged');
    const lost = place('lost');
    cpSync(half, lost, { recursive: true });
    const config = readFileSync(join(lost, 'config.json'), 'utf8');
    writeFileSync(join(lost, 'config.json'), config.replace('"num_hidden_layers": 2', '"num_hidden_layers": 1'));
    const first = await writeTinyAdapter(place('adapter'), { model: tinyModel, targets: ['q_proj'] });
    await expect(mergeAdapter({ base: lost, adapter: first }, { out })).rejects.toThrow(
      /layers\.1\..*no such|layers\.1/,
    );
    expect(existsSync(out)).toBe(false);
  });

  test.each([
    [['--model', tinyModel], /llama-tiny has no adapter to be merged: name one with --adapter$/],
    [['--model', tinyModel, '--adapter', tinyModel], /llama-tiny holds no adapter/],
    [['--model', join(fixtures, 'models/qwen3'), '--adapter', join(folder, 'adapter')], /belongs to another base/],
    [['--model', tinyModel, '--dtype', 'int8'], /--dtype: "int8" is not allowed/],
    [['--model', tinyModel, '--max-shard-size', 'x'], /--max-shard-size: "x" is not allowed/],
    [['--model', tinyModel, '--adapter', join(folder, 'adapter'), '--check', 'missing.jsonl'], /missing\.jsonl/],
  ])('is not written of %j', async (flags, message) => {
    const out = place('merged');
    await expect(asPrinted(printed('merge', ...flags, '--out', out))).rejects.toThrow(message);
    expect(existsSync(out)).toBe(false);
  });
});
