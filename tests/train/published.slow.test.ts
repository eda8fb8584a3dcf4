// The recipes of the paper as they stand, on the published sets in small, with models of the shapes of Pythia and Llama
// 3, their real tokenizers and random weights. All of it comes by its names from a Hub on the loopback device.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type TrainResult, train } from '#reanchor/driver/index.js';
import { initModel } from '#reanchor/models/init.js';
import { loadModel } from '#reanchor/models/load.js';
import { saveModel } from '#reanchor/models/save.js';
import { readRecipe } from '#reanchor/recipe/index.js';
import { readEvents } from '#reanchor/runs/index.js';
import { builtInTemplates } from '#reanchor/text/built-in-templates.js';
import { tokenizerJson } from '#reanchor/text/testing/real-tokenizers.js';
import { type Files, filesOf, HubServer } from '../support/hub-server.js';
import {
  hhRlhf,
  llama3Ultrafeedback,
  publishedRows,
  tldrPreferences,
  ultrachat,
  ultrafeedback,
} from '../support/published-sets.js';
import { dataFolder, repositoryRoot } from '../support/repository.js';

// The shapes are the published ones but for their sizes; vocabularies are whole.
const shape = {
  hidden_size: 16,
  intermediate_size: 32,
  num_attention_heads: 4,
  num_hidden_layers: 2,
  initializer_range: 0.02,
};
const pythia = {
  ...shape,
  architectures: ['GPTNeoXForCausalLM'],
  model_type: 'gpt_neox',
  num_attention_heads: 2,
  bos_token_id: 0,
  eos_token_id: 0,
  hidden_act: 'gelu',
  layer_norm_eps: 1e-5,
  max_position_embeddings: 2048,
  rotary_emb_base: 10000,
  rotary_pct: 0.25,
  tie_word_embeddings: false,
  torch_dtype: 'float16',
  use_parallel_residual: true,
  vocab_size: 50304,
};
const llama = (tied: boolean, eos: number) => ({
  ...shape,
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  attention_bias: false,
  bos_token_id: 128000,
  eos_token_id: eos,
  hidden_act: 'silu',
  max_position_embeddings: 8192,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-5,
  rope_scaling: {
    factor: 8,
    high_freq_factor: 4,
    low_freq_factor: 1,
    original_max_position_embeddings: 8192,
    rope_type: 'llama3',
  },
  rope_theta: 500000,
  tie_word_embeddings: tied,
  torch_dtype: 'bfloat16',
  vocab_size: 128256,
});

/** Llama 3's tokenizer with its 256 special tokens. */
function llamaTokenizer(): unknown {
  const made = tokenizerJson(dataFolder!, 'llama3', { bos: true }) as { added_tokens: object[] };
  const named: Record<number, string> = {
    0: 'begin_of_text',
    1: 'end_of_text',
    6: 'start_header_id',
    7: 'end_header_id',
    9: 'eot_id',
  };
  const added_tokens = Array.from({ length: 256 }, (_, i) => {
    const content = `<|${named[i] ?? `reserved_special_token_${i}`}|>`;
    return { ...made.added_tokens[0], id: 128_000 + i, content };
  });
  return { ...made, added_tokens };
}

async function modelFiles(
  folder: string,
  config: Record<string, unknown>,
  tokenizer: unknown,
  names: object,
): Promise<Files> {
  using model = initModel(config, { seed: 1, dtype: 'float32' });
  await saveModel(model, folder);
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(names));
  return filesOf(folder);
}

describe.skipIf(!dataFolder)('the recipes of the paper', () => {
  let hub: HubServer;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'reanchor-published-'));
    hub = await HubServer.start();
    vi.stubEnv('HF_ENDPOINT', hub.endpoint);
    vi.stubEnv('HF_HOME', join(folder, 'hf'));
    vi.stubEnv('HF_HUB_OFFLINE', '0');
    vi.stubEnv('REANCHOR_SOURCES', '');
    const add = async (id: string, config: Record<string, unknown>, tokenizer: unknown, names: object) => {
      const files = await modelFiles(mkdtempSync(join(folder, 'model-')), config, tokenizer, names);
      hub.add(`models/${id}`, { revisions: { main: files } });
    };
    const [neox, llama3] = [tokenizerJson(dataFolder!, 'gpt-neox'), llamaTokenizer()];
    await add('EleutherAI/pythia-2.8b', pythia, neox, { bos_token: '<|endoftext|>', eos_token: '<|endoftext|>' });
    const bos_token = '<|begin_of_text|>';
    await add('meta-llama/Meta-Llama-3-8B', llama(false, 128001), llama3, { bos_token, eos_token: '<|end_of_text|>' });
    await add('meta-llama/Meta-Llama-3-8B-Instruct', llama(true, 128009), llama3, {
      bos_token,
      eos_token: '<|eot_id|>',
      chat_template: builtInTemplates['llama-3'].source,
    });
    const sets = {
      'Anthropic/hh-rlhf': hhRlhf(),
      'UCL-DARK/openai-tldr-summarisation-preferences': tldrPreferences(),
      'HuggingFaceH4/ultrachat_200k': ultrachat(),
      'HuggingFaceH4/ultrafeedback_binarized': ultrafeedback(),
      'princeton-nlp/llama3-ultrafeedback': llama3Ultrafeedback(),
    };
    for (const [id, files] of Object.entries(sets)) hub.add(`datasets/${id}`, { revisions: { main: files } });
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await hub[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  /** Runs a recipe with steps of four rows, and leaves out what a run of thousands of steps needs. */
  const run = (name: string, ...set: string[]): Promise<TrainResult> =>
    train({
      recipe: readRecipe(join(repositoryRoot, `recipes/paper/${name}.yaml`), {
        set: ['batch.size=4', 'schedule.warmupSteps=0', 'optimizer.lr=1e-2', 'data.checkRows=false', ...set],
      }),
      out: join(
        folder,
        [name, ...set]
          .join(' ')
          .replaceAll(/[^\w.-]+/g, '-')
          .slice(0, 100),
      ),
      command: ['test'],
    });

  const eventsOf = (result: TrainResult) => {
    const { events } = readEvents(join(result.folder, 'events.jsonl'));
    const losses = events.flatMap((event) => (event.type === 'step' ? event.metrics.loss! : []));
    const warnings = events.flatMap((event) => (event.type === 'warning' ? event.message : []));
    const skipped = events.filter(({ type }) => type === 'skipped');
    const start = events.find((event) => event.type === 'start')!;
    return { losses, warnings: warnings.join('\n'), skipped, start };
  };

  test('read on whole sets, they would stop at the numbers of rows', async () => {
    const counted = ['data.checkRows=true', 'steps=1', 'epochs=null'];
    await expect(run('pythia-2.8b-hh-sft', ...counted)).rejects.toThrow(/16 rows were read, and 160,800 are published/);
    await expect(run('llama3-8b-base-sft', ...counted)).rejects.toThrow(/16 rows were read, and 207,865 are published/);
    await expect(run('pythia-2.8b-tldr-sft', ...counted)).rejects.toThrow(/16 rows were read, and about 92,900 are/);
    const limited = await run('pythia-2.8b-hh-sft', ...counted, 'data.limit=5', 'data.validation=null');
    expect(eventsOf(limited).start.rows).toBe(5);
  });

  const settings = [
    { name: 'pythia-2.8b-hh', sft: publishedRows, note: /hh-rlhf, train split: 16 rows were read, and 160,800 are/ },
    {
      name: 'pythia-2.8b-tldr',
      sft: publishedRows / 2,
      note: /16 rows were read, 16 rows are used: the paper uses 73,396/,
    },
    {
      name: 'llama3-8b-base',
      sft: publishedRows,
      note: /ultrafeedback_binarized, train split: 16 rows were read, and 61,135/,
    },
    { name: 'llama3-8b-instruct', sft: 0, note: /^(?!.*rows were read)/s },
  ];
  test.each(settings)('$name: SFT, then DPO, TR-DPO and KTO on it', async ({ name, sft, note }) => {
    let model: string[] = [];
    if (sft > 0) {
      const result = await run(`${name}-sft`, 'epochs=4');
      const { losses, warnings, skipped, start } = eventsOf(result);
      expect(start).toMatchObject({ rows: sft });
      expect(skipped).toEqual([]);
      // At first every token is about as likely as any other.
      expect(Math.abs(losses[0]! - Math.log(name.startsWith('llama') ? 128256 : 50304))).toBeLessThan(0.2);
      expect(losses.at(-1)).toBeLessThan(losses[0]! - 0.5);
      if (name.endsWith('tldr')) expect(warnings).toMatch(/8 of the 8 different preferred summaries in 16 comparisons/);
      model = [`model=${result.final}`];
    }
    for (const [recipe, ...set] of [
      ['dpo'],
      ['tr-dpo-soft'],
      ['tr-dpo-hard', 'reference.tau=2'],
      ['tr-kto-hard', 'reference.tau=2'],
      ['kto', 'method=kto'],
    ] as const) {
      const result = await run(`${name}-${recipe}`, ...model, ...set);
      const { losses, warnings, skipped, start } = eventsOf(result);
      const isUnpaired = recipe === 'kto';
      expect(start, recipe).toMatchObject({ rows: publishedRows * (isUnpaired ? 2 : 1) });
      expect(result.steps).toBe(isUnpaired ? 8 : 4);
      expect(start.referenceUpdates).toBe({ soft: 4, hard: 2 }[recipe.split('-').at(-1)!] ?? 0);
      expect(skipped).toEqual([]);
      expect(losses[0]).toBeCloseTo(recipe.includes('dpo') ? Math.log(2) : 0.5, 4);
      expect(losses.every(Number.isFinite)).toBe(true);
      if (!recipe.includes('kto')) expect(result.evaluations.at(-1)!.metrics['rewards/accuracies']).toBe(1);
      expect(warnings).toMatch(note);
      using trained = await loadModel(result.final, { dtype: 'float32' });
      expect(trained.configJson.model_type).toBe(name.startsWith('llama') ? 'llama' : 'gpt_neox');
    }
  });

  test('everything was downloaded once', () => {
    const repositories = readdirSync(join(folder, 'hf/hub')).sort();
    expect(repositories.length).toBe(8);
    const stored = hub.requests.filter(({ host }) => host === 'store').map(({ path }) => path);
    expect(new Set(stored).size).toBe(stored.length);
  });
});
