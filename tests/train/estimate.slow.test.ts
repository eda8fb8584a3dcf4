// The memory of whole training processes against what `reanchor estimate` says beforehand: within 10 %.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { estimateRun, totalMemory } from '#reanchor/estimate/index.js';
import { loadedBytes } from '#reanchor/estimate/process.js';
import { initModel } from '#reanchor/models/init.js';
import { saveModel } from '#reanchor/models/save.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { fixtures, repositoryRoot } from '../support/repository.js';
import type { ProcessReport } from '../support/train-process.js';

const models = {
  'llama, 18M': {
    model_type: 'llama',
    vocab_size: 512,
    hidden_size: 512,
    intermediate_size: 1376,
    num_hidden_layers: 6,
    num_attention_heads: 8,
    num_key_value_heads: 4,
  },
  'llama, 69M': {
    model_type: 'llama',
    vocab_size: 50304,
    hidden_size: 512,
    intermediate_size: 1376,
    num_hidden_layers: 6,
    num_attention_heads: 8,
    num_key_value_heads: 4,
  },
  'llama, 135M': {
    model_type: 'llama',
    vocab_size: 49152,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    tie_word_embeddings: true,
  },
  'gpt-neox, 70M': {
    model_type: 'gpt_neox',
    vocab_size: 50304,
    hidden_size: 512,
    intermediate_size: 2048,
    num_hidden_layers: 6,
    num_attention_heads: 8,
  },
};

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'reanchor-memory-'));
  for (const [name, configJson] of Object.entries(models)) {
    mkdirSync(join(folder, name));
    using model = initModel(configJson, { seed: 1, dtype: 'float32' });
    await saveModel(model, join(folder, name));
    const tokenizer = join(fixtures, 'tokenizer');
    for (const file of readdirSync(tokenizer).filter((file) => file.endsWith('.json')))
      copyFileSync(join(tokenizer, file), join(folder, name, file));
  }
  // Prompts and answers of many lengths, up to some 400 tokens together.
  const words = 'the small dog ran over a hill and found its red ball under an old tree'.split(' ');
  const text = (row: number, length: number) =>
    Array.from({ length }, (_, i) => words[(row * 7 + i * i) % words.length]).join(' ');
  const rows = Array.from({ length: 64 }, (_, row) => ({
    prompt: text(row, 20 + ((row * 13) % 60)),
    chosen: ` ${text(row + 1, 5 + ((row * 11) % 50))}`,
    rejected: ` ${text(row + 2, 5 + ((row * 17) % 50))}`,
  }));
  writeFileSync(join(folder, 'rows.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
});
afterAll(() => rmSync(folder, { recursive: true }));

const soft = { reference: { update: 'soft', alpha: 0.6 } };
const hard = { reference: { update: 'hard', tau: 2 } };
const cached = { reference: { update: 'hard', tau: 2, storage: 'cached' } };
const lora = { adapter: { r: 16 } };

type Case = [name: keyof typeof models, method: string, options: object];

/** What is said of a run of two steps, and what a process held that made it. */
async function estimatedAndMeasured(...[name, method, options]: Case) {
  const data = { train: join(folder, 'rows.jsonl'), maxLength: 512 };
  const text = JSON.stringify({ model: join(folder, name), method, data, steps: 2, threads: 1, ...options });
  const estimate = await estimateRun({ recipe: parseRecipe(text, { file: 'recipe.json', env: {} }) });
  const child = join(repositoryRoot, 'tests/support/train-process.ts');
  const run = spawnSync(process.execPath, ['--import', 'tsx', child, text, join(folder, `run-${Math.random()}`)], {
    cwd: repositoryRoot,
    encoding: 'utf8',
  });
  expect(run.stderr).toBe('');
  return { estimate, measured: JSON.parse(run.stdout) as ProcessReport };
}

test.each<Case>([
  ['llama, 18M', 'dpo', { ...soft, batch: { size: 16, tokensPerMicroBatch: 16384 } }],
  ['llama, 18M', 'dpo', { ...cached, batch: { size: 16, tokensPerMicroBatch: 2048 } }],
  ['llama, 18M', 'kto', { ...soft, batch: { size: 24 }, activationCheckpointing: true }],
  ['gpt-neox, 70M', 'dpo', { ...soft, batch: { size: 4, tokensPerMicroBatch: 1024 } }],
  ['gpt-neox, 70M', 'sft', { batch: { size: 16 } }],
  ['gpt-neox, 70M', 'dpo', { ...cached, batch: { size: 8 }, activationCheckpointing: true }],
  ['llama, 18M', 'dpo', { ...soft, ...lora, batch: { size: 24 }, activationCheckpointing: true }],
  ['llama, 135M', 'dpo', { ...soft, ...lora, quantize: 'nf4-double', batch: { size: 2 } }],
  ...[soft, { ...soft, ...lora }, { ...hard, ...lora }, { ...cached, ...lora }].flatMap((options): Case[] => [
    ['llama, 69M', 'dpo', { ...options, batch: { size: 8 } }],
    ['llama, 135M', 'dpo', { ...options, batch: { size: 2 } }],
  ]),
])('%s, %s, %j', async (name, method, options) => {
  const { estimate, measured } = await estimatedAndMeasured(name, method, options);
  expect(measured.steps).toBe(estimate.steps);
  expect(measured.updates).toBe(estimate.updates);

  const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20);
  const total = totalMemory(estimate.memory);
  const tensors = total - estimate.memory.process;
  const [over, overMeasured] = [total - loadedBytes, measured.peak - measured.loaded];
  // This process has loaded what compiles TypeScript as well, and the command has not.
  const peak = loadedBytes + overMeasured;
  const share = (estimated: number, real: number) => `${(100 * (estimated / real - 1)).toFixed(1)} %`;
  console.log(
    `${name}, ${method}, ${JSON.stringify(options)}: over libtorch ${mebibytes(over)} MiB estimated, ${mebibytes(overMeasured)} measured ` +
      `(${share(over, overMeasured)}); in all ${mebibytes(total)}, ${mebibytes(peak)} (${share(total, peak)}); ` +
      `tensors ${mebibytes(tensors)}, ${mebibytes(measured.tensors)} (${share(tensors, measured.tensors)})`,
  );
  expect(Math.abs(tensors / measured.tensors - 1)).toBeLessThan(0.05);
  expect(Math.abs(over / overMeasured - 1)).toBeLessThan(0.1);
  expect(Math.abs(total / peak - 1)).toBeLessThan(0.1);
});

test('a reference beside an adapter takes its factors, and no second base', async () => {
  const run = (reference: object) =>
    estimatedAndMeasured('llama, 135M', 'dpo', { ...reference, ...lora, batch: { size: 2 } });
  const { estimate, measured } = await run(cached);
  const base = 4 * estimate.model.shape.parameters;
  const adapter = 4 * estimate.adapter!.parameters;
  // Besides there are factors and their two moments; their gradients come while activations go.
  const activations = measured.tensors - base - 3 * adapter;
  const most = 1.05 * (base + 4 * adapter + activations);
  for (const [reference, adapters] of [
    [hard, 1],
    [soft, 4],
  ] as const) {
    const { tensors } = (await run(reference)).measured;
    expect((tensors - measured.tensors) / adapter).toBeCloseTo(adapters, 1);
    expect(tensors).toBeLessThan(most);
    expect(tensors + base).toBeGreaterThan(most);
  }
});
