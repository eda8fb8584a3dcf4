// Networks without weights: tiny ones of the architectures' names, and those of model folders.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openWeights } from '../../formats/index.js';
import { type AdaptableNetwork, moduleOf } from '../network.js';

const parametersOf = (linear: AdaptableNetwork['linear']): [string, number[]][] =>
  [...linear].flatMap(([module, { inputs, outputs, hasBias }]) => [
    [`${module}.weight`, [outputs, inputs]],
    ...(hasBias ? [[`${module}.bias`, [outputs]] as [string, number[]]] : []),
  ]);

/** Two blocks of a Llama: width 4, vocabulary 10. */
export function tinyLlama({ isTied = false }: { isTied?: boolean } = {}): AdaptableNetwork {
  const linear = new Map(
    [0, 1].flatMap((layer) =>
      Object.entries({ 'self_attn.q_proj': [4, 4], 'self_attn.v_proj': [4, 2], 'mlp.up_proj': [4, 6] }).map(
        ([name, [inputs, outputs]]) =>
          [`model.layers.${layer}.${name}`, { inputs: inputs!, outputs: outputs!, hasBias: false }] as const,
      ),
    ),
  );
  const norms = [0, 1].map((layer): [string, number[]] => [`model.layers.${layer}.input_layernorm.weight`, [4]]);
  const ends: [string, number[]][] = [
    ['model.embed_tokens.weight', [10, 4]],
    ['model.norm.weight', [4]],
    ...(isTied ? [] : [['lm_head.weight', [10, 4]] as [string, number[]]]),
  ];
  const parameters = new Map([...parametersOf(linear), ...norms, ...ends]);
  return { linear, parameters, embedding: 'model.embed_tokens.weight', head: isTied ? undefined : 'lm_head.weight' };
}

/** A block of a GPT-NeoX: width 4, vocabulary 10. */
export function tinyGptNeox(): AdaptableNetwork {
  const block = 'gpt_neox.layers.0';
  const linear = new Map([
    [`${block}.attention.query_key_value`, { inputs: 4, outputs: 12, hasBias: true }],
    [`${block}.attention.dense`, { inputs: 4, outputs: 4, hasBias: true }],
  ]);
  const parameters = new Map([
    ...parametersOf(linear),
    [`${block}.input_layernorm.weight`, [4]] as const,
    [`${block}.input_layernorm.bias`, [4]] as const,
    ['gpt_neox.embed_in.weight', [10, 4]] as const,
    ['embed_out.weight', [10, 4]] as const,
  ]);
  return { linear, parameters, embedding: 'gpt_neox.embed_in.weight', head: 'embed_out.weight' };
}

/** The network of a model folder, by the shapes of its weights. */
export async function networkOf(folder: string): Promise<AdaptableNetwork> {
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Record<string, unknown>;
  const isBuffer = (name: string) => /\.rotary_emb\.inv_freq$|\.attention\.(masked_)?bias$/.test(name);
  const weights = [...(await openWeights(folder))].filter(([name]) => !isBuffer(name));
  const parameters = new Map(weights.map(([name, { shape }]) => [name, shape]));
  const matrices = weights.filter(([name, { shape }]) => shape.length === 2 && /\.layers\.\d+\./.test(name));
  const linear = new Map(
    matrices.map(([name, { shape }]) => {
      const [outputs, inputs] = shape as [number, number];
      return [moduleOf(name), { inputs, outputs, hasBias: parameters.has(`${moduleOf(name)}.bias`) }];
    }),
  );
  const isNeox = config.model_type === 'gpt_neox';
  const head = isNeox ? 'embed_out.weight' : 'lm_head.weight';
  const embedding = isNeox ? 'gpt_neox.embed_in.weight' : 'model.embed_tokens.weight';
  return { linear, parameters, embedding, head: parameters.has(head) ? head : undefined };
}
