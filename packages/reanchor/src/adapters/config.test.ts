import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseExactJson } from '../formats/exact-json.js';
import { Float } from '../formats/index.js';
import { parseAdapterConfig, readAdapterConfig } from './config.js';

const parse = (json: unknown) => parseAdapterConfig(json, 'adapter_config.json');
const message = (json: unknown) => {
  try {
    parse(json);
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
  return 'taken';
};

describe('parseAdapterConfig', () => {
  test('a key that is missing, or null, has the default of PEFT', () => {
    const wanted = {
      ...{ r: 8, alpha: 8, rslora: false, dora: false, dropout: 0, bias: 'none', loraBias: false },
      ...{ targets: [], excluded: [], layers: undefined, layersPattern: [], modulesToSave: [], keepsTie: false },
      ...{ rankPattern: new Map(), alphaPattern: new Map(), base: undefined },
    };
    expect(parse({})).toEqual({ ...wanted, json: {} });
    const nulls = { r: null, lora_alpha: null, bias: null, target_modules: null, rank_pattern: null };
    expect(parse(nulls)).toEqual({ ...wanted, json: nulls });
  });

  test('keys are read, also where numbers have kept their form', () => {
    const text = `{"r": 16.0, "lora_alpha": 32.0, "lora_dropout": 0.0, "use_rslora": true, "target_modules": ["q_proj"],
      "rank_pattern": {"1": 4.0}, "alpha_pattern": {"__proto__": 2.5}, "layers_to_transform": 3,
      "base_model_name_or_path": "owner/name", "modules_to_save": ["lm_head"], "bias": "lora_only"}`;
    expect(parse(parseExactJson(text))).toMatchObject({
      ...{ r: 16, alpha: 32, dropout: 0, rslora: true, targets: ['q_proj'], layers: [3], bias: 'lora_only' },
      ...{ rankPattern: new Map([['1', 4]]), alphaPattern: new Map([['__proto__', 2.5]]) },
      ...{ base: 'owner/name', modulesToSave: ['lm_head'] },
    });
  });

  test('an unknown key is taken and kept', () => {
    expect(parse({ new_key: { deep: [1] } }).json).toEqual({ new_key: { deep: [1] } });
  });

  test.each([
    ['peft_type', 'IA3', 'is "IA3"; LORA'],
    ['fan_in_fan_out', true, 'stored transposed'],
    ['layer_replication', [[0, 2]], 'layers of the base are repeated'],
    ['target_parameters', ['experts.w'], 'no linear layer'],
    ['trainable_token_indices', { embed_tokens: [1] }, 'single rows'],
    ['use_qalora', true, 'QALoRA'],
    ['use_bdlora', { nblocks: 2 }, 'BD-LoRA'],
    ['alora_invocation_tokens', [1, 2], 'aLoRA'],
    ['arrow_config', { top_k: 3 }, 'Arrow'],
    ['velora_config', { num_groups: 2 }, 'VeLoRA'],
    ['kasa_config', { beta: 1 }, 'KaSA'],
    ['monteclora_config', { num_samples: 3 }, 'MonteCLoRA'],
    ...['pissa', 'pissa_niter_16', 'olora', 'corda', 'loftq', 'lora_ga', 'PiSSA'].map(
      (name) => ['init_lora_weights', name, 'path_initial_model_for_weight_conversion'] as const,
    ),
    ['init_lora_weights', 'new-way', 'it is not known whether'],
    ['init_lora_weights', 3, 'it is not known whether'],
    ['lora_alpha', 0, 'a number above 0: with 0 an adapter would do nothing'],
    ['lora_alpha', -1, 'a number above 0'],
    ['lora_alpha', '16', 'is "16"'],
    ['r', 0, 'a whole number from 1 on'],
    ['r', 2.5, 'a whole number from 1 on'],
    ['r', 1e300, 'a whole number from 1 on'],
    ['lora_dropout', 1, 'from 0 up to'],
    ['use_dora', 'yes', 'is "yes"; it may be true or false'],
    ['bias', 'some', 'one of none, all, lora_only'],
    ['target_modules', [1], 'a text or a list of texts'],
    ['modules_to_save', 'lm_head', 'a list of texts'],
    ['layers_to_transform', ['1'], 'a whole number or a list of them'],
    ['rank_pattern', [], 'an object'],
    ['rank_pattern', { q_proj: 0 }, '"q_proj": is 0; it may be a whole number from 1 on'],
    ['alpha_pattern', { q_proj: 0 }, '"q_proj": is 0; it may be a number above 0'],
    ['unknown', [{ deep: Number.POSITIVE_INFINITY }], 'a finite one is needed'],
  ] as const)('%s %j is refused by its name', (key, value, why) => {
    const told = message({ [key]: value });
    expect(told).toContain(`FormatError: adapter_config.json, ${key}`);
    expect(told).toContain(why);
  });

  test.each([
    ['fan_in_fan_out', false],
    ['layer_replication', []],
    ['use_bdlora', null],
    ['loftq_config', {}],
    ['qalora_group_size', 16],
    ['eva_config', { rho: new Float(2) }],
    ['init_lora_weights', false],
    ['init_lora_weights', 'gaussian'],
    ['init_lora_weights', 'eva'],
    ['init_lora_weights', 'orthogonal'],
    ['peft_type', null],
  ])('%s %j changes nothing of what is read', (key, value) => expect(message({ [key]: value })).toBe('taken'));

  test('lora_bias beside use_dora, what is no object, and an adapter of mlx-lm are refused', () => {
    expect(message({ lora_bias: true, use_dora: true })).toContain('lora_bias: is true beside use_dora');
    expect(message([])).toContain('not a JSON object');
    expect(message({ fine_tune_type: 'lora', num_layers: 4 })).toContain('mlx-lm');
  });

  test('many levels are refused before anything goes into them', () => {
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    expect(message({ deep })).toContain('more than 64 levels');
  });
});

describe('readAdapterConfig', () => {
  const folder = mkdtempSync(join(tmpdir(), 'adapter-config-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'adapter_config.json');

  test('what is missing, no JSON, or too large is told with its path', async () => {
    await expect(readAdapterConfig(folder)).rejects.toThrow(`${file} does not exist: an adapter is a folder of PEFT`);
    writeFileSync(file, '{"r": 8');
    await expect(readAdapterConfig(folder)).rejects.toThrow(`${file}: not JSON`);
    writeFileSync(file, `{"x": "${'x'.repeat(2 ** 22)}"}`);
    await expect(readAdapterConfig(folder)).rejects.toThrow(/may have 4194304: an adapter/);
  });
});
