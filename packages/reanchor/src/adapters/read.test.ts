import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { TensorToWrite } from '../formats/index.js';
import type { AdaptableNetwork } from './network.js';
import { readAdapter } from './read.js';
import { factorsOf, type Shapes, tensorsOf, writeFolder } from './testing/folders.js';
import { tinyGptNeox, tinyLlama } from './testing/networks.js';

const folder = mkdtempSync(join(tmpdir(), 'adapter-'));
afterAll(() => rmSync(folder, { recursive: true }));

const config = { r: 2, lora_alpha: 4, target_modules: ['q_proj'] };
const queries = (layer: number) => `model.layers.${layer}.self_attn.q_proj`;
const factors = factorsOf({ [queries(0)]: [4, 4], [queries(1)]: [4, 4] });
const head = 'lm_head.weight';
const embedding = 'model.embed_tokens.weight';

async function read(
  json: Readonly<Record<string, unknown>>,
  tensors: Shapes | readonly TensorToWrite[],
  network: AdaptableNetwork = tinyLlama(),
) {
  await writeFolder(folder, json, Array.isArray(tensors) ? tensors : tensorsOf(tensors as Shapes));
  return readAdapter(folder, network);
}
const weights = join(folder, 'adapter_model.safetensors');
const named = (name: string) => `${weights}, tensor "base_model.model.${name}": `;
const inConfig = (key: string) => `${join(folder, 'adapter_config.json')}, ${key}: `;

describe('an adapter on linear layers', () => {
  test('has its modules in the order of the network, and its factors by their names', async () => {
    const adapter = await read(config, Object.fromEntries(Object.entries(factors).reverse()));
    const shape = { r: 2, alpha: 4, scale: 2, isDora: false, hasBias: false };
    expect([...adapter.modules]).toEqual([0, 1].map((layer) => [queries(layer), shape]));
    expect([...adapter.factors.keys()].sort()).toEqual(
      Object.keys(factors)
        .map((name) => `base_model.model.${name}`)
        .sort(),
    );
    expect(adapter.factors.get(`base_model.model.${queries(1)}.lora_B.weight`)).toMatchObject({
      shape: [4, 2],
      file: weights,
    });
    expect([adapter.replaced.size, adapter.added.size, adapter.baseCopies.size, adapter.untiesHead]).toEqual([
      0,
      0,
      0,
      false,
    ]);
  });

  test('may be rank-stabilised, DoRA, or have biases of B', async () => {
    const rslora = await read({ ...config, use_rslora: true }, factors);
    expect(rslora.modules.get(queries(0))!.scale).toBe(4 / Math.sqrt(2));
    const magnitudes = Object.fromEntries([0, 1].map((layer) => [`${queries(layer)}.lora_magnitude_vector`, [4]]));
    const dora = await read({ ...config, use_dora: true }, { ...factors, ...magnitudes });
    expect(dora.modules.get(queries(0))).toMatchObject({ isDora: true });
    expect(dora.factors.size).toBe(6);
    const biases = Object.fromEntries([0, 1].map((layer) => [`${queries(layer)}.lora_B.bias`, [4]]));
    const biased = await read({ ...config, lora_bias: true }, { ...factors, ...biases });
    expect(biased.modules.get(queries(0))).toMatchObject({ hasBias: true });
    expect(biased.factors.size).toBe(6);
  });

  test('takes ranks from the factors, and alphas from the patterns', async () => {
    const json = { ...config, rank_pattern: { q_proj: 3, 'layers.1.*': 1 }, alpha_pattern: { 'layers.1.*': 5 } };
    const mixed = { ...factorsOf({ [queries(0)]: [4, 4] }, 3), ...factorsOf({ [queries(1)]: [4, 4] }, 1) };
    const { modules } = await read(json, mixed);
    expect(modules.get(queries(0))).toMatchObject({ r: 3, alpha: 4, scale: 4 / 3 });
    expect(modules.get(queries(1))).toMatchObject({ r: 1, alpha: 5, scale: 5 });
  });

  test.each(['F32', 'BF16'])('may be %s', async (dtype) => {
    expect((await read(config, tensorsOf(factors, { dtype }))).modules.size).toBe(2);
  });

  test.each([
    [{ target_modules: '.*q_proj' }],
    [{ target_modules: '(?P<name>never run' }],
    [{ target_modules: null }],
    [{ target_modules: ['q_proj', 'v_proj'], exclude_modules: '.*v_proj' }],
    [{ target_modules: ['q_proj', 'v_proj'], exclude_modules: ['v_proj'] }],
    [{ target_modules: [queries(0), queries(1)] }],
    [{ target_modules: ['self_attn.q_proj'], layers_to_transform: [0, 1] }],
    [{ target_modules: ['q_proj'], layers_to_transform: [0], layers_pattern: 'layers' }],
  ])('is what its tensors say where the config is %j', async (json) => {
    expect((await read({ ...config, ...json }, factors)).modules.size).toBe(2);
  });

  test('may be in some layers', async () => {
    const one = factorsOf({ [queries(1)]: [4, 4] });
    expect([...(await read({ ...config, layers_to_transform: 1 }, one)).modules.keys()]).toEqual([queries(1)]);
    const json = { ...config, layers_to_transform: [1], target_modules: ['q_proj', queries(0)] };
    expect((await read(json, factors)).modules.size).toBe(2);
    await expect(read({ ...config, layers_to_transform: [0] }, one)).rejects.toThrow(
      `${named(`${queries(0)}.lora_A.weight`)}is missing: target_modules of`,
    );
  });

  test('all-linear is every linear layer of the base', async () => {
    const all = factorsOf(
      Object.fromEntries([...tinyLlama().linear].map(([path, { inputs, outputs }]) => [path, [inputs, outputs]])),
    );
    expect((await read({ ...config, target_modules: 'all-linear' }, all)).modules.size).toBe(6);
    await expect(read({ ...config, target_modules: 'All-Linear' }, factors)).rejects.toThrow(
      'those of 3 other modules',
    );
  });
});

describe('is refused by the name of', () => {
  const first = `${queries(0)}.lora_A.weight`;
  const second = `${queries(0)}.lora_B.weight`;
  const without = (name: string): Shapes => Object.fromEntries(Object.entries(factors).filter(([key]) => key !== name));

  test.each([
    ['a factor that is missing', without(second), `${named(second)}[4, 2] is missing: fetch the adapter again`],
    [
      'a module that is missing',
      factorsOf({ [queries(0)]: [4, 4] }),
      `${named(`${queries(1)}.lora_A.weight`)}is missing`,
    ],
    [
      'a factor of another shape',
      { ...factors, [second]: [5, 2] },
      `${named(second)}has shape [5, 2]; [4, 2] is needed`,
    ],
    ['a factor for other inputs', { ...factors, [first]: [2, 5] }, `${named(first)}has shape [2, 5]; [r, 4] is needed`],
    ['factors that do not fit', { ...factors, [second]: [4, 3] }, `${named(second)}has shape [4, 3]; [4, 2] is needed`],
    [
      'an empty factor',
      { ...factors, [first]: [0] },
      `${named(first)}has shape [0]; [r, 4] is needed: sharded training did not gather it`,
    ],
    [
      'another rank',
      { ...factors, [first]: [3, 4] },
      `${named(first)}has rank 3; r and rank_pattern of the config say 2`,
    ],
    [
      'another module',
      { ...factors, ...factorsOf({ 'model.layers.2.self_attn.q_proj': [4, 4] }) },
      named('model.layers.2.self_attn.q_proj.lora_A.weight') +
        'the base has no model.layers.2.self_attn.q_proj that can be adapted; did you mean model.layers.0.self_attn.q_proj?',
    ],
    [
      'a norm that is adapted',
      { ...factors, ...factorsOf({ 'model.norm': [4, 4] }) },
      `${named('model.norm.lora_A.weight')}the base has no model.norm that`,
    ],
    [
      'a magnitude',
      { ...factors, [`${queries(0)}.lora_magnitude_vector`]: [4] },
      '_vector": is left over: nothing in adapter_config.json asks for it (use_dora is false)',
    ],
    ['a bias of B', { ...factors, [`${queries(0)}.lora_B.bias`]: [4] }, '(lora_bias is false)'],
    [
      'a factor of an embedding',
      { ...factors, [`${queries(0)}.lora_embedding_A`]: [4] },
      'lora_embedding_A": is left over',
    ],
    [
      'a trained weight',
      { ...factors, 'model.norm.weight': [4] },
      `${named('model.norm.weight')}is left over: nothing in adapter_config.json asks for it (modules_to_save, bias)`,
    ],
    ['a tensor of nothing', { ...factors, 'model.x': [1] }, 'or the base does not have model.x'],
    [
      'a name without the prefix',
      { ...factors, '=model.norm.weight': [4] },
      `${'tensor "model.norm.weight": '}does not begin with base_model.model.`,
    ],
    [
      'an adapter of a name of its own',
      { [`${queries(0)}.lora_A.default.weight`]: [2, 4] },
      "without the adapter's own name",
    ],
    ['an empty file', {}, 'has no factors, such as X.lora_A.weight'],
  ])('%s', async (_what, tensors, message) => {
    await expect(read(config, tensors as Shapes)).rejects.toThrow(message);
    await expect(readAdapter(folder, tinyLlama())).rejects.toThrow(expect.objectContaining({ name: 'FormatError' }));
  });

  test('a dtype that is no float', async () => {
    const other = tensorsOf(factors, { dtype: 'I8' });
    await expect(read(config, other)).rejects.toThrow(`${named(first)}is I8; F32, BF16, F16, F64 can be read`);
  });

  test.each([
    [
      { target_modules: ['q_proj', 'k_porj'] },
      '"k_porj" is no linear layer of the base, nor its embedding (model.embed_tokens) or head (lm_head)',
    ],
    [{ target_modules: ['q_proj', 'v_porj'] }, 'did you mean v_proj?'],
    [
      { target_modules: ['v_proj', queries(0)], layers_to_transform: [9] },
      'does not mean model.layers.1.self_attn.q_proj, of which',
    ],
  ])('a target, with %j', async (json, message) => {
    await expect(read({ ...config, ...json }, factors)).rejects.toThrow(inConfig('target_modules'));
    await expect(readAdapter(folder, tinyLlama())).rejects.toThrow(message);
  });

  test('two alphas of one module', async () => {
    const json = { ...config, alpha_pattern: { q_proj: 1, '.*proj': 2 } };
    await expect(read(json, factors)).rejects.toThrow(
      `${inConfig('alpha_pattern')}model.layers.0.self_attn.q_proj is matched`,
    );
  });

  test('a folder without weights, or with a pickle', async () => {
    await read(config, factors);
    rmSync(weights);
    await expect(readAdapter(folder, tinyLlama())).rejects.toThrow(`${weights} does not exist: an adapter is a folder`);
    writeFileSync(join(folder, 'adapter_model.bin'), '');
    await expect(readAdapter(folder, tinyLlama())).rejects.toThrow('adapter_model.bin holds Python pickles');
    rmSync(join(folder, 'adapter_model.bin'));
  });
});

describe('parameters of the base', () => {
  test('modules_to_save replaces whole modules, which are meant by the end of their path', async () => {
    const tensors = { ...factors, [head]: [10, 4], 'model.norm.weight': [4] };
    const json = { ...config, modules_to_save: ['lm_head', 'model.norm'] };
    expect([...(await read(json, tensors)).replaced.keys()]).toEqual([head, 'model.norm.weight']);
    await expect(read({ ...json, modules_to_save: ['lm_head', 'norm'] }, tensors)).rejects.toThrow(
      `${named('model.layers.0.input_layernorm.weight')}[4] is missing`,
    );
    await expect(read({ ...json, modules_to_save: ['layers.0'] }, tensors)).rejects.toThrow(
      'does not mean model.layers.0.self_attn.q_proj',
    );
  });

  test('a module that is saved is not adapted', async () => {
    const json = { ...config, target_modules: ['q_proj', 'v_proj'], modules_to_save: ['v_proj'] };
    const saved = [0, 1].map((layer) => [`model.layers.${layer}.self_attn.v_proj.weight`, [2, 4]] as const);
    const adapter = await read(json, { ...factors, ...Object.fromEntries(saved) });
    expect([adapter.modules.size, adapter.replaced.size]).toEqual([2, 2]);
  });

  test('a name of modules_to_save that no module ends with is refused', async () => {
    const json = { ...config, modules_to_save: ['lm_haed'] };
    await expect(read(json, factors)).rejects.toThrow(
      `${inConfig('modules_to_save')}"lm_haed" is no module of the base; did you mean lm_head? PEFT passes over`,
    );
  });

  test('biases are trained of adapted modules, or of all', async () => {
    const [dense, fused, norm] = ['attention.dense', 'attention.query_key_value', 'input_layernorm'].map(
      (name) => `gpt_neox.layers.0.${name}`,
    ) as [string, string, string];
    const tensors = { ...factorsOf({ [dense]: [4, 4] }), [`${dense}.base_layer.bias`]: [4] };
    const json = { ...config, target_modules: ['dense'], bias: 'lora_only' };
    const network = tinyGptNeox();
    expect([...(await read(json, tensors, network)).replaced.keys()]).toEqual([`${dense}.bias`]);
    const all = { ...tensors, [`${fused}.bias`]: [12], [`${norm}.bias`]: [4] };
    const every = [`${dense}.bias`, `${fused}.bias`, `${norm}.bias`];
    expect([...(await read({ ...json, bias: 'all' }, all, network)).replaced.keys()].sort()).toEqual(every);
    await expect(read({ ...json, bias: 'all' }, tensors, network)).rejects.toThrow(
      `${named(`${fused}.bias`)}[12] is missing`,
    );
    await expect(read({ ...json, bias: 'lora_only' }, all, network)).rejects.toThrow(
      `${named(`${fused}.bias`)}is left over`,
    );
    await expect(read({ ...json, bias: 'none' }, tensors, network)).rejects.toThrow('base_layer.bias": is left over');
    const twice = { ...tensors, [`${dense}.bias`]: [4] };
    await expect(read(json, twice, network)).rejects.toThrow(`is ${dense}.bias of the base, as another tensor`);
  });

  test('a weight below an adapter, the embedding and the head are copies', async () => {
    const below = `${queries(0)}.base_layer.weight`;
    const tensors = { ...factors, [below]: [4, 4], [embedding]: [10, 4], [head]: [10, 4] };
    const copies = [...(await read(config, tensors)).baseCopies];
    expect(Object.fromEntries(copies.map(([name, { parameter }]) => [name, parameter]))).toEqual({
      'base_model.model.lm_head.weight': head,
      'base_model.model.model.embed_tokens.weight': embedding,
      [`base_model.model.${below}`]: `${queries(0)}.weight`,
    });
    const tied = await read(config, tensors, tinyLlama({ isTied: true }));
    expect(tied.baseCopies.get('base_model.model.lm_head.weight')!.parameter).toBe(embedding);
    expect([tied.replaced.size, tied.untiesHead]).toEqual([0, false]);
  });

  test('a resized vocabulary is refused', async () => {
    await expect(read(config, { ...factors, [embedding]: [12, 4] })).rejects.toThrow(
      `${named(embedding)}has shape [12, 4]; [10, 4] is needed: the adapter belongs to another base, or to one whose vocabulary was resized`,
    );
  });
});

describe('the embedding and the head', () => {
  const ofEmbedding = { 'model.embed_tokens.lora_embedding_A': [2, 10], 'model.embed_tokens.lora_embedding_B': [4, 2] };
  const ofHead = factorsOf({ lm_head: [4, 10] });
  const targets = (...names: string[]) => ({
    ...config,
    target_modules: ['q_proj', ...names],
    alpha_pattern: { lm_head: 6 },
  });
  const tied = tinyLlama({ isTied: true });

  test('may be adapted: products are added to them', async () => {
    const copy = { 'model.embed_tokens.base_layer.weight': [10, 4] };
    const adapter = await read(targets('embed_tokens', 'lm_head'), { ...factors, ...ofEmbedding, ...ofHead, ...copy });
    expect(adapter.modules.size).toBe(2);
    expect(adapter.factors.size).toBe(4);
    const [a, b] = [{ shape: [2, 10] }, { shape: [4, 2] }];
    expect(adapter.added.get(embedding)).toMatchObject({ a, b, scale: 2, isTransposed: true });
    const [aOfHead, bOfHead] = [{ shape: [2, 4] }, { shape: [10, 2] }];
    expect(adapter.added.get(head)).toMatchObject({ a: aOfHead, b: bOfHead, scale: 3, isTransposed: false });
    expect([...adapter.baseCopies.values()].map(({ parameter }) => parameter)).toEqual([embedding]);
    expect(adapter.untiesHead).toBe(false);
  });

  test('are refused with DoRA, with biases of B, and in part', async () => {
    const magnitudes = Object.fromEntries([0, 1].map((layer) => [`${queries(layer)}.lora_magnitude_vector`, [4]]));
    await expect(
      read({ ...targets('lm_head'), use_dora: true }, { ...factors, ...magnitudes, ...ofHead }),
    ).rejects.toThrow(`${inConfig('use_dora')}is true, and lm_head is adapted`);
    await expect(read(targets('embed_tokens'), factors)).rejects.toThrow(
      `${named('model.embed_tokens.lora_embedding_A')}is missing`,
    );
    await expect(read(targets('lm_head'), { ...factors, 'lm_head.lora_B.weight': [10, 2] })).rejects.toThrow(
      `${named('lm_head.lora_A.weight')}[r, 4] is missing`,
    );
  });

  test.each([
    ['the embedding is adapted', targets('embed_tokens'), ofEmbedding],
    ['the head is adapted', targets('lm_head'), ofHead],
    ['the embedding is replaced', { ...config, modules_to_save: ['embed_tokens'] }, { [embedding]: [10, 4] }],
    ['the head is replaced', { ...config, modules_to_save: ['lm_head'] }, { [head]: [10, 4] }],
    ['both are adapted', targets('embed_tokens', 'lm_head'), { ...ofEmbedding, ...ofHead }],
  ])('are untied where %s', async (_what, json, tensors) => {
    const adapter = await read(json, { ...factors, ...tensors } as Shapes, tied);
    expect(adapter.untiesHead).toBe(true);
    expect(
      [...adapter.replaced.keys(), ...adapter.added.keys()].every((name) => [embedding, head].includes(name)),
    ).toBe(true);
    expect((await read(json, { ...factors, ...tensors } as Shapes)).untiesHead).toBe(false);
  });

  test('stay tied where both are replaced by the same numbers', async () => {
    const json = { ...config, modules_to_save: ['embed_tokens', 'lm_head'] };
    const both = (fill: number) => [
      ...tensorsOf({ ...factors, [embedding]: [10, 4] }),
      ...tensorsOf({ [head]: [10, 4] }, { fill }),
    ];
    const same = await read(json, both(1), tied);
    expect([same.untiesHead, [...same.replaced.keys()]]).toEqual([false, [embedding]]);
    const different = await read(json, both(2), tied);
    expect([different.untiesHead, [...different.replaced.keys()].sort()]).toEqual([true, [head, embedding]]);
  });

  test('may both be there where one is trained and ensure_weight_tying is true', async () => {
    const json = { ...config, ensure_weight_tying: true };
    const tensors = { ...factors, [embedding]: [10, 4], [head]: [10, 4] };
    const saved = await read({ ...json, modules_to_save: ['embed_tokens'] }, tensors, tied);
    expect([saved.untiesHead, [...saved.replaced.keys()]]).toEqual([false, [embedding]]);
    const adapted = await read(
      { ...targets('embed_tokens'), ...json, target_modules: ['q_proj', 'embed_tokens'] },
      { ...factors, ...ofEmbedding, ...ofHead },
      tied,
    );
    expect([...adapted.added.keys()]).toEqual([embedding, head]);
  });
});

describe('GPT-NeoX', () => {
  const fused = 'gpt_neox.layers.0.attention.query_key_value';
  const json = { ...config, target_modules: ['query_key_value'] };
  const tensors = factorsOf({ [fused]: [4, 12] });

  test('has one pair for its fused projection', async () => {
    const { modules } = await read(json, tensors, tinyGptNeox());
    expect([...modules.keys()]).toEqual([fused]);
  });

  test.each(['lm_head', 'embed_out'])('its head may be called %s, and is embed_out.weight', async (name) => {
    const saved = await read(
      { ...json, modules_to_save: [name] },
      { ...tensors, [`${name}.weight`]: [10, 4] },
      tinyGptNeox(),
    );
    expect([...saved.replaced.keys()]).toEqual(['embed_out.weight']);
    const targets = { ...json, target_modules: ['query_key_value', name] };
    const adapted = await read(targets, { ...tensors, ...factorsOf({ [name]: [4, 10] }) }, tinyGptNeox());
    expect([...adapted.added.keys()]).toEqual(['embed_out.weight']);
    const copied = await read(json, { ...tensors, [`${name}.weight`]: [10, 4] }, tinyGptNeox());
    expect([...copied.baseCopies.values()].map(({ parameter }) => parameter)).toEqual(['embed_out.weight']);
  });

  test('modules_to_save embed_out, of which transformers 5 knows nothing, is refused where nothing is saved', async () => {
    await expect(read({ ...json, modules_to_save: ['embed_out'] }, tensors, tinyGptNeox())).rejects.toThrow(
      `${inConfig('modules_to_save')}"embed_out" is no module of the base; its head is lm_head since transformers 5. PEFT passes over`,
    );
  });
});
