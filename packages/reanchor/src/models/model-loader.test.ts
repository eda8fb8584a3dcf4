import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory, noGrad, tidy } from '@reanchor/torch';
import { afterAll, expect, test } from 'vitest';
import { fixtures } from '../../../../tests/support/repository.js';
import { writeTinyAdapter } from '../../../../tests/support/tiny-adapter.js';
import { loadTinyPairs, tinyModel } from '../../../../tests/support/training.js';
import { packPairs } from '../data/index.js';
import { isFactor } from '../nn/low-rank.js';
import { spanBatch } from '../nn/spans.js';
import { type CausalLM, tokenLogprobs } from './causal-lm.js';
import { loadModel, readConfig } from './load.js';
import { ModelLoader } from './model-loader.js';
import { FolderAdapter } from './stored-adapter.js';

const folder = mkdtempSync(join(tmpdir(), 'model-loader-'));
afterAll(() => rmSync(folder, { recursive: true }));
const cpu = { dtype: 'float32', device: 'cpu' } as const;
const untied = join(fixtures, 'models/llama3-untied');

const pairs = (await loadTinyPairs()).slice(0, 4);
const logprobs = (model: CausalLM) =>
  tidy(() => noGrad(() => tokenLogprobs(model, spanBatch(packPairs(pairs), model)).toList()));

test('models on one base have its weights in common, and compute what each does alone, to the bit', async () => {
  const before = memory();
  const [one, two] = [
    await writeTinyAdapter(join(folder, 'one')),
    await writeTinyAdapter(join(folder, 'two'), { seed: 2 }),
  ];
  {
    using loader = new ModelLoader(cpu);
    using first = await loader.load({ base: tinyModel, adapter: one });
    const { tensorBytes } = memory();
    using bare = await loader.load({ base: tinyModel });
    expect(memory().tensorBytes).toBe(tensorBytes);
    using second = await loader.load({ base: tinyModel, adapter: two });
    for (const [name, weight] of bare.parameters) {
      for (const model of [first, second]) expect(model.parameters.get(name)!.isSetTo(weight), name).toBe(true);
    }
    for (const [adapter, model] of [[one, first] as const, [two, second] as const]) {
      using stored = await FolderAdapter.over(adapter, await readConfig(tinyModel));
      using alone = await loadModel(tinyModel, { ...cpu, adapter: stored });
      expect(logprobs(model)).toEqual(logprobs(alone));
    }
    using alone = await loadModel(tinyModel, cpu);
    expect(logprobs(bare)).toEqual(logprobs(alone));
    expect(logprobs(first)).not.toEqual(logprobs(second));
  }
  expect(memory()).toMatchObject({ tensorBytes: before.tensorBytes, liveTensors: before.liveTensors });
});

test('what an adapter has trained as a whole is its own, and the base stays as it was', async () => {
  const modulesToSave = ['lm_head', 'embed_tokens'];
  const form = { model: untied, type: 'dora', modulesToSave, targets: ['q_proj'] } as const;
  const adapter = await writeTinyAdapter(join(folder, 'whole'), form);
  using loader = new ModelLoader(cpu);
  using own = await loader.load({ base: untied, adapter });
  using bare = await loader.load({ base: untied });
  using alone = await loadModel(untied, cpu);
  const shared = [...own.parameters].filter(([name, weight]) => bare.parameters.get(name)?.isSetTo(weight));
  const others = [...own.parameters.keys()].filter((name) => !isFactor(name) && !shared.some(([one]) => one === name));
  expect(others).toEqual(['model.embed_tokens.weight', 'lm_head.weight']);
  for (const [name, weight] of alone.parameters) expect(bare.parameters.get(name)!.equal(weight), name).toBe(true);
});

test('a base in four bits is shared as one that is not', async () => {
  const adapter = await writeTinyAdapter(join(folder, 'packed'));
  using loader = new ModelLoader(cpu);
  using own = await loader.load({ base: tinyModel, adapter, quantize: 'nf4' });
  const { tensorBytes } = memory();
  using bare = await loader.load({ base: tinyModel, quantize: 'nf4' });
  expect(memory().tensorBytes).toBe(tensorBytes);
  using dense = await loader.load({ base: tinyModel });
  expect(bare.quantized.size).toBe(own.lowRank.size);
  expect(logprobs(bare)).not.toEqual(logprobs(dense));
});
