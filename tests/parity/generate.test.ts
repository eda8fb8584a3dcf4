// Greedy generation against transformers', and the cache against computing every text anew.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { memory, noGrad, tidy } from '@reanchor/torch';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { packGroups } from '#reanchor/data/index.js';
import { generate } from '#reanchor/generate/index.js';
import type { CausalLM } from '#reanchor/models/causal-lm.js';
import { loadModel } from '#reanchor/models/load.js';
import { spanBatch } from '#reanchor/nn/spans.js';
import { uniforms } from '#reanchor/random.js';
import { dataFolder, fixtures } from '../support/repository.js';
import { tinyModel } from '../support/training.js';

const real = (...path: string[]) => join(dataFolder ?? 'no-data', ...path);
const own = ['llama-tiny', 'llama3-untied', 'gpt-neox-parallel', 'gpt-neox-sequential', 'mistral', 'qwen2', 'qwen3'];
const cases = [
  ...own.map((name) => ({ name, model: join(fixtures, 'models', name), references: join(fixtures, 'models', name) })),
  ...['gpt_neox-pythia', 'llama3-tied', 'llama3-untied'].map((name) => ({
    name: `${name} of the data set`,
    model: real('parity/arch', name),
    references: real('parity/arch', name),
  })),
  { name: 'stories260K', model: real('models/stories260K'), references: real('parity/stories260K') },
];

describe.each(cases)('$name', ({ model: folder, references }) => {
  test.skipIf(!existsSync(references))("all greedy texts together are transformers', each alone too", async () => {
    const { greedy } = JSON.parse(readFileSync(join(references, 'reference.json'), 'utf8')) as {
      greedy: { prompt_ids: number[]; next_ids: number[] }[];
    };
    using model = await loadModel(folder, { dtype: 'float32' });
    const options = { maxNewTokens: Math.max(...greedy.map(({ next_ids }) => next_ids.length)), temperature: 0 };
    const prompts = greedy.map(({ prompt_ids }) => Int32Array.from(prompt_ids));
    const together = await generate(model, prompts, options);
    const alone = await generate(model, prompts, { ...options, batchSize: 1 });
    for (const [i, { next_ids }] of greedy.entries()) {
      expect([...together[i]!.tokens].slice(0, next_ids.length)).toEqual(next_ids);
      expect([...alone[i]!.tokens].slice(0, next_ids.length)).toEqual(next_ids);
    }
  });
});

/** log p of the tokens after a prompt, computed at once without a cache. */
function logprobsOf(model: CausalLM, prompt: Int32Array, tokens: Int32Array): number[] {
  return tidy(() =>
    noGrad(() => {
      const batch = spanBatch(packGroups([{ prompt, completions: [tokens] }]), model);
      const logprobs_MV = model.hidden(batch).matmul(model.head_VD.t()).logSoftmax(-1);
      return [...tokens].map((token, i) => logprobs_MV.select(0, i).select(0, token).item());
    }),
  );
}

const prompts = fc.array(fc.array(fc.integer({ min: 3, max: 400 }), { minLength: 1, maxLength: 30 }), {
  minLength: 1,
  maxLength: 6,
});

test('log-probabilities with the cache are those without, over random prompts that end at different times', async () => {
  using model = await loadModel(tinyModel, { dtype: 'float64' });
  await fc.assert(
    fc.asyncProperty(prompts, fc.nat(), async (given, seed) => {
      const ids = given.map((prompt) => Int32Array.from(prompt));
      // Many stop tokens, so that texts end early and the cache is compacted.
      const stopTokens = Array.from({ length: 50 }, (_, i) => 10 * i);
      const texts = await generate(model, ids, { maxNewTokens: 12, temperature: 1.5, seed, samples: 2, stopTokens });
      for (const { prompt, tokens, logprobs } of texts) {
        expect(logprobs).toBeCloseToTensor(logprobsOf(model, ids[prompt]!, tokens), 1e-10);
      }
    }),
    { numRuns: 15 },
  );
});

test('a text longer than a growth of the cache goes on as without it', async () => {
  using model = await loadModel(tinyModel, { dtype: 'float64' });
  const ids = [Int32Array.of(5, 6, 7), Int32Array.of(8)];
  const texts = await generate(model, ids, { maxNewTokens: 200, temperature: 1, seed: 1 });
  for (const { prompt, tokens, logprobs, finish } of texts) {
    expect(finish).toBe('length');
    expect(logprobs).toBeCloseToTensor(logprobsOf(model, ids[prompt]!, tokens), 1e-9);
  }
});

test('the seed decides a text, whatever else is computed with it; samples of a prompt differ', async () => {
  using model = await loadModel(tinyModel, { dtype: 'float64' });
  const ids = [Int32Array.of(5, 6, 7), Int32Array.of(8), Int32Array.of(9, 10)];
  const options = { maxNewTokens: 20, temperature: 1, topK: 50, topP: 0.9, seed: 3, samples: 3 };
  const texts = await generate(model, ids, options);
  const small = await generate(model, ids, { ...options, batchSize: 2 });
  expect(small.map(({ tokens }) => tokens)).toEqual(texts.map(({ tokens }) => tokens));
  expect(new Set(texts.map(({ tokens }) => tokens.join())).size).toBe(9);
  const other = await generate(model, ids, { ...options, seed: 4 });
  expect(other.map(({ tokens }) => tokens)).not.toEqual(texts.map(({ tokens }) => tokens));
});

test('stop tokens and strings end a text and are not part of it, across token borders too', async () => {
  using model = await loadModel(tinyModel, { dtype: 'float64' });
  const ids = [Int32Array.of(5, 6, 7)];
  const [free] = await generate(model, ids, { maxNewTokens: 20, temperature: 1, seed: 5 });
  const decode = (tokens: readonly number[]) => tokens.map((token) => `<${token}>`).join('');
  const [third, fourth] = [free!.tokens[2]!, free!.tokens[3]!];
  const [byToken] = await generate(model, ids, { maxNewTokens: 20, temperature: 1, seed: 5, stopTokens: [third] });
  const first = free!.tokens.indexOf(third);
  expect(byToken).toMatchObject({ finish: 'stop', tokens: free!.tokens.slice(0, first) });
  const stopStrings = [`${third}><${fourth}`];
  const [byString] = await generate(model, ids, { maxNewTokens: 20, temperature: 1, seed: 5, stopStrings, decode });
  expect(byString!.finish).toBe('stop');
  expect(decode([...free!.tokens]).startsWith(`${byString!.text}${stopStrings[0]}`)).toBe(true);
});

test('no tensor is left over, and an abort ends the work with its reason', async () => {
  const before = memory().liveTensors;
  {
    using model = await loadModel(tinyModel, { dtype: 'float32' });
    await generate(model, [Int32Array.of(5)], { maxNewTokens: 2, temperature: 0 });
    const loaded = memory().liveTensors;
    const counts: number[] = [];
    const onToken = () => counts.push(memory().liveTensors);
    await generate(model, [Int32Array.of(5)], { maxNewTokens: 30, temperature: 1, onToken });
    expect(new Set(counts.slice(1)).size).toBe(1);
    expect(memory().liveTensors).toBe(loaded);
    const abort = new AbortController();
    abort.abort(new Error('enough'));
    const stopped = generate(model, [Int32Array.of(5)], { maxNewTokens: 30, temperature: 1, signal: abort.signal });
    await expect(stopped).rejects.toThrow('enough');
  }
  expect(memory().liveTensors).toBe(before);
});

test('an empty prompt, a foreign token and options out of range are refused', async () => {
  using model = await loadModel(tinyModel, { dtype: 'float32' });
  const options = { maxNewTokens: 1, temperature: 1 };
  await expect(generate(model, [new Int32Array(0)], options)).rejects.toThrow(/prompt 0 has no token/);
  await expect(generate(model, [Int32Array.of(100_000)], options)).rejects.toThrow(/token 100000/);
  await expect(generate(model, [], { ...options, topP: 2 })).rejects.toThrow(/topP is 2; allowed/);
  await expect(generate(model, [], { ...options, stopStrings: ['x'] })).rejects.toThrow(/decode/);
});

test('random streams of different keys are unlike, of the same key equal', () => {
  const draw = (...key: number[]) => {
    const next = uniforms(...key);
    return Array.from({ length: 100 }, () => next());
  };
  expect(draw(1, 2)).toEqual(draw(1, 2));
  expect(draw(1, 2)).not.toEqual(draw(1, 3));
  expect(Math.abs(draw(7).reduce((sum, x) => sum + x, 0) / 100 - 0.5)).toBeLessThan(0.1);
});
