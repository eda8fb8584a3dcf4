/** A GGUF file of a small Llama, for tests. Source: the format's specification, ggml/docs/gguf.md. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openWeights } from '../../../formats/index.js';

type Value = number | string | readonly string[] | readonly number[];

const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
const u64 = (value: number) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
/** Floats are given as texts such as `1e-5f`. */
const scalar = (value: number | string): [type: number, bytes: Buffer] =>
  typeof value === 'number'
    ? [4, u32(value)]
    : /^[\d.e-]+f$/.test(value)
      ? [6, Buffer.from(Float32Array.of(Number(value.slice(0, -1))).buffer)]
      : [8, text(value)];

function entry(key: string, value: Value): Buffer {
  if (!Array.isArray(value)) {
    const [type, bytes] = scalar(value as number | string);
    return Buffer.concat([text(key), u32(type), bytes]);
  }
  const items = (value as (number | string)[]).map((one): [number, Buffer] =>
    typeof one === 'string' ? [8, text(one)] : [5, u32(one)],
  );
  return Buffer.concat([
    text(key),
    u32(9),
    u32(items[0]?.[0] ?? 8),
    u64(items.length),
    ...items.map(([, bytes]) => bytes),
  ]);
}

const names: Readonly<Record<string, string>> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
};

/** The name of a weight in GGUF. */
function ggufName(name: string): string {
  const fixed = {
    'model.embed_tokens.weight': 'token_embd.weight',
    'model.norm.weight': 'output_norm.weight',
    'lm_head.weight': 'output.weight',
  }[name];
  const [, layer, part] = /^model\.layers\.(\d+)\.(.+)\.weight$/.exec(name) ?? [];
  return fixed ?? `blk.${layer}.${names[part!]}.weight`;
}

/** Rows of queries and keys go from halves to pairs: llama.cpp turns neighbours. */
function paired(values: Float32Array, heads: number, width: number): Float32Array<ArrayBuffer> {
  const size = values.length / width / heads;
  const moved = new Float32Array(values.length);
  for (let row = 0; row < heads * size; row++) {
    const [head, at] = [Math.floor(row / size), row % size];
    const from = head * size + (at % 2) * (size / 2) + Math.floor(at / 2);
    moved.set(values.subarray(from * width, (from + 1) * width), row * width);
  }
  return moved;
}

/** What a GGUF file says of a model by its config.json and tokenizer.json. */
// biome-ignore lint/suspicious/noExplicitAny: JSON of the fixtures.
function metadataOf(config: any, tokenizer: any): Record<string, Value> {
  const vocab = Object.entries(tokenizer.model.vocab as Record<string, number>);
  for (const { content, id } of tokenizer.added_tokens)
    if (!Object.hasOwn(tokenizer.model.vocab, content)) vocab.push([content, id]);
  const tokens = vocab.sort(([, a], [, b]) => a - b).map(([token]) => token);
  const special = new Set((tokenizer.added_tokens as { content: string }[]).map(({ content }) => content));
  const merges = (tokenizer.model.merges as (string | string[])[]).map((merge) =>
    Array.isArray(merge) ? merge.join(' ') : merge,
  );
  return {
    'general.architecture': 'llama',
    'general.name': 'tiny',
    'llama.context_length': config.max_position_embeddings,
    'llama.embedding_length': config.hidden_size,
    'llama.block_count': config.num_hidden_layers,
    'llama.feed_forward_length': config.intermediate_size,
    'llama.attention.head_count': config.num_attention_heads,
    'llama.attention.head_count_kv': config.num_key_value_heads,
    'llama.attention.layer_norm_rms_epsilon': `${config.rms_norm_eps}f`,
    'llama.rope.dimension_count': config.hidden_size / config.num_attention_heads,
    'llama.vocab_size': config.vocab_size,
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'gpt-2',
    'tokenizer.ggml.tokens': [
      ...tokens,
      ...Array.from({ length: config.vocab_size - tokens.length }, (_, i) => `<unused${i}>`),
    ],
    'tokenizer.ggml.token_type': Array.from({ length: config.vocab_size }, (_, i) =>
      special.has(tokens[i] ?? '') ? 3 : 1,
    ),
    'tokenizer.ggml.merges': merges,
    'tokenizer.ggml.bos_token_id': tokens.indexOf('<s>'),
    'tokenizer.ggml.eos_token_id': tokens.indexOf('</s>'),
  };
}

/** The GGUF file of a model folder with a byte-level tokenizer. */
export async function ggufOf(folder: string): Promise<Buffer> {
  const json = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  const config = json('config.json');
  const weights = readFileSync(join(folder, 'model.safetensors'));
  const infos: Buffer[] = [];
  const data: Buffer[] = [];
  let offset = 0;
  for (const [name, { shape, begin, end }] of await openWeights(folder)) {
    let values = new Float32Array(Uint8Array.from(weights.subarray(begin, end)).buffer);
    if (/q_proj/.test(name)) values = paired(values, config.num_attention_heads, shape[1]!);
    if (/k_proj/.test(name)) values = paired(values, config.num_key_value_heads, shape[1]!);
    infos.push(
      Buffer.concat([text(ggufName(name)), u32(shape.length), ...[...shape].reverse().map(u64), u32(0), u64(offset)]),
    );
    const bytes = Buffer.alloc(Math.ceil(values.byteLength / 32) * 32);
    bytes.set(new Uint8Array(values.buffer));
    data.push(bytes);
    offset += bytes.length;
  }
  const entries = Object.entries(metadataOf(config, json('tokenizer.json'))).map(([key, value]) => entry(key, value));
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    u32(3),
    u64(infos.length),
    u64(entries.length),
    ...entries,
    ...infos,
  ]);
  return Buffer.concat([head, Buffer.alloc((32 - (head.length % 32)) % 32), ...data]);
}
