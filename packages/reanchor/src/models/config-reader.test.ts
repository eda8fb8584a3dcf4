import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { UserError } from '../errors.js';
import { gptNeoxConfig } from './gpt-neox/config.js';
import { llamaConfig } from './llama/config.js';
import { readConfig } from './load.js';
import { publishedConfig, publishedModels } from './published-configs.js';
import { modelShape } from './shape.js';

const folder = mkdtempSync(join(tmpdir(), 'config-'));
afterAll(() => rmSync(folder, { recursive: true }));

const llama = publishedConfig('meta-llama/Meta-Llama-3-8B')!.configJson;
const neox = publishedConfig('EleutherAI/pythia-70m')!.configJson;

/** What is said of a config.json with this text in the place of a key's value. */
async function told(config: object, key: string, text: string): Promise<Error> {
  const mark = '"the value"';
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, [key]: 'the value' }).replace(mark, text));
  return readConfig(folder).then(
    (json) => {
      try {
        modelShape(json);
      } catch (error) {
        return error as Error;
      }
      return new Error(`${key}: ${text} was taken`);
    },
    (error: Error) => error,
  );
}

const counts = ['hidden_size', 'num_hidden_layers', 'num_attention_heads', 'intermediate_size', 'vocab_size'];
const noCounts = ['0', '-5', '1.5', '1e300', '1e400', '-1e400', '2147483648', '9e15', 'true', '"8"', '[8]', '{}'];
const noNumbers = ['1e400', '-1e400', '-1', '0', '1e300', 'true', '"x"', '[1]'];

describe('llama', () => {
  test.each([
    ...[...counts, 'num_key_value_heads', 'head_dim', 'max_position_embeddings'].map((key) => [key, noCounts] as const),
    ['num_hidden_layers', ['10001', '1000000000']],
    ['num_attention_heads', ['65537']],
    ['head_dim', ['65538', '2147483646']],
    ['hidden_size', ['16777217']],
    ['rms_norm_eps', [...noNumbers, '1.5']],
    ['rope_theta', [...noNumbers, '1e-300', '0.5']],
  ] as const)('a %s that cannot be is refused by its name', async (key, texts) => {
    for (const text of texts) {
      const error = await told(llama, key, text);
      expect(error, text).toBeInstanceOf(UserError);
      expect(error.message, text).toContain(key);
      expect(error.message, text).toMatch(/config\.json: ("?\w+"? is |head_dim \d+ is odd)/);
    }
  });

  test.each(['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'])(
    'a %s of its rotary positions that cannot be is refused by its name',
    async (key) => {
      const scaling = {
        rope_type: 'llama3',
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 8192,
      };
      expect(() => llamaConfig({ ...llama, rope_scaling: scaling })).not.toThrow();
      for (const text of [...noNumbers, 'null']) {
        const rope = JSON.stringify({ ...scaling, [key]: 'x' }).replace('"x"', text);
        const error = await told(llama, 'rope_scaling', rope);
        expect(error, text).toBeInstanceOf(UserError);
        expect(error.message, text).toMatch(
          new RegExp(`config\\.json: ("?${key}"? is |rope type "llama3" needs the number ${key})`),
        );
      }
      expect(() => llamaConfig({ ...llama, rope_scaling: { ...scaling, low_freq_factor: 4 } })).toThrow(
        /low_freq_factor 4 has to be below high_freq_factor 4/,
      );
    },
  );

  test('a window of attention is a count, where one is used', () => {
    const mistral = { ...llama, model_type: 'mistral' };
    for (const window of [0, -5, 1.5, 1e300, '4096', true]) {
      expect(() => llamaConfig({ ...mistral, sliding_window: window })).toThrow(/config\.json: sliding_window is /);
      expect(llamaConfig({ ...llama, sliding_window: window }).window).toBe(Number.POSITIVE_INFINITY);
    }
    expect(llamaConfig({ ...mistral, sliding_window: 4096 }).window).toBe(4096);
    expect(llamaConfig({ ...mistral, sliding_window: null }).window).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('gpt_neox', () => {
  test.each([
    ...[...counts, 'max_position_embeddings'].map((key) => [key, noCounts] as const),
    ['layer_norm_eps', [...noNumbers, '1.5']],
    ['rotary_emb_base', [...noNumbers, '0.5']],
    ['rotary_pct', [...noNumbers, '1.5', '1e-9']],
  ] as const)('a %s that cannot be is refused by its name', async (key, texts) => {
    for (const text of texts) {
      const error = await told(neox, key, text);
      expect(error, text).toBeInstanceOf(UserError);
      expect(error.message, text).toContain(key);
    }
  });
});

test('a number without end is refused wherever it is, since config.json is written back with the model', async () => {
  for (const text of ['1e400', '[[1e999]]', '{"a": {"b": -1e400}}']) {
    const error = await told(llama, 'router_aux_loss_coef', text);
    expect(error).toBeInstanceOf(UserError);
    expect(error.message).toMatch(/config\.json: "\w+" is too large for a number: a finite one is needed/);
  }
  const deep = `${'['.repeat(200_000)}1e400${']'.repeat(200_000)}`;
  expect((await told(llama, 'deep', deep)).message).toMatch(/is too large for a number/);
});

test('the numbers of published models are taken', () => {
  for (const name of publishedModels) {
    const json = publishedConfig(name)!.configJson;
    expect(() => (json.model_type === 'gpt_neox' ? gptNeoxConfig(json) : llamaConfig(json))).not.toThrow();
    expect(() => modelShape(json)).not.toThrow();
  }
  expect(() => modelShape({ ...llama, max_position_embeddings: null })).not.toThrow();
  expect(() => llamaConfig({ ...llama, rope_theta: 1_000_000_000, rms_norm_eps: 1e-12 })).not.toThrow();
});
