// Loading is strict: what is missing, left over or of another form is an error, and nothing is kept of what was read
// before it.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DType, memory, type Tensor, tensor, tidy } from '@reanchor/torch';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeSafetensors } from '#reanchor/formats/index.js';
import { loadModel } from '#reanchor/models/load.js';
import { saveModel } from '#reanchor/models/save.js';
import { tinyModel, weights } from '../support/training.js';

let folder: string;
let live: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reanchor-load-'));
  cpSync(join(tinyModel, 'config.json'), join(folder, 'config.json'));
  tensor([0]).dispose();
  live = memory().liveTensors;
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  expect(memory().liveTensors).toBe(live);
});

interface Stored {
  name: string;
  dtype: string;
  shape: readonly number[];
  bytes: () => Uint8Array;
}

const names: Partial<Record<DType, string>> = { float64: 'F64', float32: 'F32', bfloat16: 'BF16', float16: 'F16' };
const stored = (name: string, parameter: Tensor, dtype: DType): Stored => ({
  name,
  dtype: names[dtype]!,
  shape: parameter.shape,
  bytes: () => tidy(() => parameter.to(dtype).reshape([-1]).view('uint8').data() as Uint8Array),
});

/** Writes the tiny model with its tensors changed. */
async function write(change: (tensors: Stored[]) => Stored[], dtype: DType = 'float32'): Promise<void> {
  using model = await loadModel(tinyModel, { dtype: 'float32' });
  const tensors = [...model.parameters].map(([name, parameter]) => stored(name, parameter, dtype));
  await writeSafetensors(join(folder, 'model.safetensors'), change(tensors));
}
const load = (dtype: DType = 'float32') => loadModel(folder, { dtype });
const zeros = (name: string, shape: number[]): Stored => ({
  name,
  dtype: 'F32',
  shape,
  bytes: () => new Uint8Array(4 * shape.reduce((a, b) => a * b, 1)),
});

test.each(['float64', 'bfloat16', 'float16'] as const)('a checkpoint in %s is converted', async (dtype) => {
  await write((tensors) => tensors, dtype);
  using model = await load();
  using original = await loadModel(tinyModel, { dtype: 'float32' });
  const precision = { float64: 0, bfloat16: 2 ** -8, float16: 2 ** -11 }[dtype];
  expect(weights(model)).toBeCloseToTensor(weights(original), precision);
  expect(model.dtype).toBe('float32');
});

test('tensors that do not lie at a multiple of their size are read', async () => {
  await write((tensors) => tensors);
  const file = join(folder, 'model.safetensors');
  const bytes = readFileSync(file);
  const header = bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length + 3));
  writeFileSync(file, Buffer.concat([length, header, Buffer.from('   '), bytes.subarray(8 + header.length)]));
  using model = await load();
  using original = await loadModel(tinyModel, { dtype: 'float32' });
  expect(weights(model)).toEqual(weights(original));
});

test('a stored rotary table and a stored copy of a tied head are passed over', async () => {
  await write((tensors) => [
    ...tensors,
    zeros('model.layers.0.self_attn.rotary_emb.inv_freq', [4]),
    { ...tensors.find(({ name }) => name === 'model.embed_tokens.weight')!, name: 'lm_head.weight' },
  ]);
  using model = await load();
  expect(model.parameters.has('lm_head.weight')).toBe(false);
});

describe('refused, by name', () => {
  test.each<[string, (tensors: Stored[]) => Stored[], string]>([
    [
      'a missing weight',
      (t) => t.filter(({ name }) => name !== 'model.norm.weight'),
      'weight model.norm.weight [32] is missing',
    ],
    ['an unexpected weight', (t) => [...t, zeros('model.extra.weight', [2])], 'holds model.extra.weight [2], which'],
    [
      'a stored head that is not the embedding',
      (t) => [...t, zeros('lm_head.weight', [512, 32])],
      'holds lm_head.weight [512, 32]',
    ],
    [
      'a weight of another shape',
      (t) => t.map((s) => (s.name === 'model.norm.weight' ? zeros(s.name, [31]) : s)),
      'weight model.norm.weight has shape [31]; config.json asks for [32]',
    ],
    [
      'a quantised weight',
      (t) => t.map((s) => (s.name === 'model.norm.weight' ? { ...zeros(s.name, [32]), dtype: 'I32' } : s)),
      'weight model.norm.weight is I32',
    ],
  ])('%s', async (_, change, message) => {
    await write(change);
    await expect(load()).rejects.toThrow(message);
  });

  test.each([
    [{ model_type: 'mamba' }, 'architecture "mamba" (model_type) is not supported; supported: llama'],
    [{ model_type: 'constructor' }, 'architecture "constructor"'],
    [{ hidden_act: 'gelu' }, 'hidden_act "gelu"'],
    [{ num_attention_heads: 0 }, 'num_attention_heads is 0'],
    [
      { num_attention_heads: 5, num_key_value_heads: 5, head_dim: null },
      'hidden_size 32 is not a multiple of num_attention_heads 5',
    ],
    [{ num_hidden_layers: 2 ** 40 }, 'num_hidden_layers is 1099511627776; a whole number from 1 to 10000'],
    [{ num_hidden_layers: 1e9 }, 'num_hidden_layers is 1000000000; a whole number from 1 to 10000'],
    [{ num_key_value_heads: 3 }, 'not a multiple of num_key_value_heads 3'],
    [{ rope_parameters: { rope_type: 'yarn', rope_theta: 1e4 } }, 'rope type "yarn" is not supported'],
    [{ rope_parameters: { rope_type: 'llama3', rope_theta: 1e4 } }, 'needs the number factor'],
    [{ rms_norm_eps: 'small' }, 'rms_norm_eps is "small"'],
  ])('config.json with %j', async (change, message) => {
    await write((tensors) => tensors);
    const file = join(folder, 'config.json');
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...change }));
    await expect(load()).rejects.toThrow(message);
  });

  test('config.json with a value of lists in lists without end', async () => {
    await write((tensors) => tensors);
    const file = join(folder, 'config.json');
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"vocab_size": *\d+/, `"vocab_size": ${deep}`));
    await expect(load()).rejects.toThrow('vocab_size is a value of many lists in each other');
  });
});

test.each(['float32', 'float64', 'bfloat16'] as const)(
  'saved in %s and loaded again it is the same, bit for bit',
  async (dtype) => {
    using model = await loadModel(tinyModel, { dtype });
    await saveModel(model, folder);
    using again = await load(dtype);
    expect(weights(again)).toEqual(weights(model));
    expect(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'))).toMatchObject({ dtype, model_type: 'llama' });
  },
);
