// Folders of PEFT: a config that is broken beside whole weights, and weights beside a whole config.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AdaptableNetwork, readAdapter } from '#reanchor/adapters/index.js';
import type { Reader } from './reader.js';

const module = 'model.layers.0.self_attn.q_proj';
const network: AdaptableNetwork = {
  linear: new Map([[module, { inputs: 4, outputs: 4, hasBias: true }]]),
  parameters: new Map([
    ['model.embed_tokens.weight', [6, 4]],
    [`${module}.weight`, [4, 4]],
    [`${module}.bias`, [4]],
  ]),
  embedding: 'model.embed_tokens.weight',
  head: undefined,
};

const config = {
  peft_type: 'LORA',
  ...{ r: 2, lora_alpha: 4, lora_dropout: 0, bias: 'lora_only', use_rslora: false, lora_bias: false },
  ...{ target_modules: ['q_proj', 'embed_tokens'], exclude_modules: ['lm_head'], layers_to_transform: null },
  ...{ rank_pattern: { q_proj: 2 }, alpha_pattern: { 'layers\\.[0-3]\\..*proj': 8, 'self_attn.(q|k)_proj': 8 } },
  ...{ modules_to_save: ['lm_head'], ensure_weight_tying: true, init_lora_weights: 'gaussian' },
  base_model_name_or_path: 'owner/name',
};

function weights(): Buffer {
  const shapes = {
    [`${module}.lora_A.weight`]: [2, 4],
    [`${module}.lora_B.weight`]: [4, 2],
    [`${module}.base_layer.bias`]: [4],
    'model.embed_tokens.lora_embedding_A': [2, 6],
    'model.embed_tokens.lora_embedding_B': [4, 2],
    'lm_head.weight': [6, 4],
  };
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, shape] of Object.entries(shapes)) {
    const begin = end;
    end += 4 * shape.reduce((product, size) => product * size, 1);
    header[`base_model.model.${name}`] = { dtype: 'F32', shape, data_offsets: [begin, end] };
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(end, 1)]);
}

const [configName, weightsName] = ['adapter_config.json', 'adapter_model.safetensors'];
const text = () => Buffer.from(JSON.stringify(config));

function reader(broken: string, whole: string, content: () => Buffer, share: number): Reader {
  return {
    names: [configName, weightsName],
    share,
    read: (bytes, folder) => {
      writeFileSync(join(folder, broken), bytes);
      writeFileSync(join(folder, whole), content());
      return readAdapter(folder, network);
    },
  };
}

export const adapterReaders: Readonly<Record<string, Reader>> = {
  'adapter-config': reader(configName, weightsName, weights, 5),
  'adapter-weights': reader(weightsName, configName, text, 3),
};

export const adapterInputs: Readonly<Record<string, () => Buffer[]>> = {
  'adapter-config': () => [text(), Buffer.from('{}')],
  'adapter-weights': () => [weights()],
};

export const adapterWords: Readonly<Record<string, readonly string[]>> = {
  'adapter-config': [
    '"(.*)*x"',
    '(?P<a>',
    '\\\\Z',
    '__proto__',
    '1e400',
    '"all-linear"',
    '"pissa"',
    ': null',
    '"use_dora": true',
  ],
  'adapter-weights': ['lora_', '.base_layer', 'lora_magnitude_vector', '"F4"', '"BF16"', '__proto__'],
};
