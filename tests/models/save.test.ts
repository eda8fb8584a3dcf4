// What is written is a Hugging Face folder: names, shards, index, dtype; and it is the model that was there.
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DType, memory, tensor } from '@reanchor/torch';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { UserError } from '#reanchor/errors.js';
import { openSafetensors, openWeights } from '#reanchor/formats/index.js';
import { loadModel } from '#reanchor/models/load.js';
import { saveModel } from '#reanchor/models/save.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import type { RunEvent } from '#reanchor/runs/index.js';
import { fixtures } from '../support/repository.js';
import { tinyModel, tinyPairs, weights } from '../support/training.js';

let folder: string;
let live: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reanchor-save-'));
  tensor([0]).dispose();
  live = memory().liveTensors;
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  expect(memory().liveTensors).toBe(live);
});

const json = (...path: string[]) => JSON.parse(readFileSync(join(...path), 'utf8'));
const weightFiles = () => readdirSync(folder).filter((name) => name.includes('safetensors'));

describe.each(['llama-tiny', 'llama3-untied', 'gpt-neox-parallel', 'qwen2'])('%s in shards', (name) => {
  test('has the names it was loaded with, each in one shard, and is the same when loaded', async () => {
    const original = join(fixtures, 'models', name);
    using model = await loadModel(original, { dtype: 'float32' });
    await saveModel(model, folder, { maxShardBytes: 20_000 });

    const stored = await openWeights(folder);
    expect([...stored.keys()].sort()).toEqual([...model.parameters.keys()].sort());
    const before = await openWeights(original);
    for (const tensorName of stored.keys()) expect([...before.keys()]).toContain(tensorName);

    const { weight_map: map, metadata } = json(folder, 'model.safetensors.index.json');
    expect(Object.keys(map)).toEqual(Object.keys(map).sort());
    const shards = [...new Set<string>(Object.values(map))].sort();
    const count = String(shards.length).padStart(5, '0');
    expect(shards.length).toBeGreaterThan(2);
    expect(shards).toEqual(shards.map((_, i) => `model-${String(i + 1).padStart(5, '0')}-of-${count}.safetensors`));
    expect(weightFiles().sort()).toEqual([...shards, 'model.safetensors.index.json'].sort());
    let total = 0;
    for (const shard of shards) {
      const { tensors, metadata: of } = await openSafetensors(join(folder, shard));
      const bytes = [...tensors.values()].reduce((sum, { begin, end }) => sum + end - begin, 0);
      expect(bytes <= 20_000 || tensors.size === 1, shard).toBe(true);
      expect(of).toEqual({ format: 'pt' });
      total += bytes;
    }
    expect(metadata).toEqual({ total_size: total });

    using again = await loadModel(folder, { dtype: 'float32' });
    expect(weights(again)).toEqual(weights(model));
  });
});

test.each<[DType, number]>([
  ['bfloat16', 2 ** -8],
  ['float16', 2 ** -11],
  ['float64', 0],
])('stored in %s, every weight is rounded once and config.json says so', async (dtype, precision) => {
  using model = await loadModel(tinyModel, { dtype: 'float32' });
  await saveModel(model, folder, { dtype });
  expect(json(folder, 'config.json').dtype).toBe(dtype);
  using again = await loadModel(folder, { dtype: 'float64' });
  expect(weights(again)).toBeCloseToTensor(weights(model), precision);
  using inOwn = await loadModel(folder, { dtype });
  await saveModel(inOwn, folder);
  using twice = await loadModel(folder, { dtype: 'float64' });
  expect(weights(twice)).toEqual(weights(again));
  expect(model.dtype).toBe('float32');
});

test('another layout in the same folder leaves no weights of the one before', async () => {
  using model = await loadModel(tinyModel, { dtype: 'float32' });
  writeFileSync(join(folder, 'notes.safetensors'), 'mine');
  for (const maxShardBytes of [20_000, 50_000, 1e9, 20_000]) {
    await saveModel(model, folder, { maxShardBytes });
    using again = await loadModel(folder, { dtype: 'float32' });
    expect(weights(again)).toEqual(weights(model));
    const listed =
      maxShardBytes === 1e9
        ? 1
        : new Set(Object.values(json(folder, 'model.safetensors.index.json').weight_map)).size + 1;
    expect(weightFiles().filter((name) => name.startsWith('model')).length).toBe(listed);
  }
  expect(readFileSync(join(folder, 'notes.safetensors'), 'utf8')).toBe('mine');
});

const recipe = (save: string) =>
  parseRecipe(
    `{ model: ${tinyModel}, method: dpo, steps: 1, save: ${save}, data: { train: ${tinyPairs}, maxLength: 96 } }`,
    { file: 'test.yaml', env: {} },
  );

test('a run stores its model as the recipe says, and says so beforehand', async () => {
  const warnings: string[] = [];
  const onEvent = (event: RunEvent) => event.type === 'warning' && warnings.push(event.message);
  const save = recipe('{ dtype: bf16, maxShardSize: 20KB }');
  const { final } = await train({ recipe: save, out: join(folder, 'run'), command: [], onEvent });
  expect(warnings).toEqual([
    'the model is stored in float32; it is trained in float32 and saved in bfloat16 (save.dtype)',
  ]);
  expect(readdirSync(final)).toContain('model.safetensors.index.json');
  expect([...(await openWeights(final)).values()].map(({ dtype }) => dtype)).toEqual(new Array(20).fill('BF16'));
});

test('weights that a dtype cannot hold are saved as they were trained, and the error says where', async () => {
  const huge = join(folder, 'huge');
  {
    using model = await loadModel(tinyModel, { dtype: 'float32' });
    model.parameters.get('model.norm.weight')!.mul_(1e-4);
    model.parameters.get('model.embed_tokens.weight')!.mul_(1e6);
    mkdirSync(huge);
    await saveModel(model, huge);
    for (const name of readdirSync(tinyModel).filter((file) => file.includes('token')))
      copyFileSync(join(tinyModel, name), join(huge, name));
  }
  const save = { ...recipe('{ dtype: fp16 }'), model: huge };
  const error = await train({ recipe: save, out: join(folder, 'run'), command: [] }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(UserError);
  const [, rescue] = /beyond 65504.*store the model in bfloat16.* The model is saved in (\S+) instead/.exec(
    (error as Error).message,
  )!;
  const stored = [...(await openWeights(rescue!)).values()].map(({ dtype }) => dtype);
  expect(new Set(stored)).toEqual(new Set(['F32']));
  rmSync(rescue!, { recursive: true });
  expect(readdirSync(join(folder, 'run')).sort()).toEqual(['events.jsonl', 'run.json']);
});
