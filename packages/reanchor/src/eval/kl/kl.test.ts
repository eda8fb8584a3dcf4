import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { drawnTokens, generateFile, generate as generateTokens } from '../../generate/index.js';
import { initModel } from '../../models/init.js';
import { type LogRatio, logRatios } from '../../models/log-ratios.js';
import { scoreCompletions } from '../../models/score-completions.js';
import { klEstimate } from './estimate.js';
import { measureKl } from './measure.js';

const folder = mkdtempSync(join(tmpdir(), 'kl-'));
afterAll(() => rmSync(folder, { recursive: true }));
const tiny = fileURLToPath(new URL('../../../../../tests/fixtures/models/llama-tiny', import.meta.url));

const vocabulary = 5;
const longest = 4;
const stop = 0;
const config = {
  model_type: 'llama',
  vocab_size: vocabulary,
  hidden_size: 8,
  intermediate_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-5,
  max_position_embeddings: 32,
  initializer_range: 0.6,
  tie_word_embeddings: false,
};
const micro = { tokensPerMicroBatch: 4096 };
const prompt = Int32Array.of(1, 3);

/** Every answer that can be drawn: up to the stop token, or of the greatest length. */
function everyAnswer(before: number[] = []): number[][] {
  if (before.length === longest || before.at(-1) === stop) return [before];
  return Array.from({ length: vocabulary }, (_, token) => everyAnswer([...before, token])).flat();
}

test('the estimate is inside 3 standard errors of the enumerated KL for 99 of 100 seeds, and the exact one nearer', async () => {
  using policy = initModel(config, { seed: 1, dtype: 'float32' });
  using reference = initModel(config, { seed: 2, dtype: 'float32' });
  const all = { prompt, completions: everyAnswer().map((ids) => Int32Array.from(ids)) };
  const [[ours], [theirs]] = [
    await scoreCompletions(policy, [all], micro),
    await scoreCompletions(reference, [all], micro),
  ];
  const probabilities = ours!.map(Math.exp);
  expect(probabilities.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
  const kl = probabilities.reduce((sum, p, i) => sum + p * (ours![i]! - theirs![i]!), 0);
  const meanLength = probabilities.reduce((sum, p, i) => sum + p * all.completions[i]!.length, 0);
  expect(kl).toBeGreaterThan(0.05);

  const inside = { sampled: 0, exact: 0, token: 0 };
  const errors: [sampled: number, exact: number][] = [];
  for (let seed = 0; seed < 100; seed++) {
    const options = { maxNewTokens: longest, temperature: 1, stopTokens: [stop], samples: 128, batchSize: 128, seed };
    const completions = (await generateTokens(policy, [prompt], options)).map(drawnTokens);
    const ratios = await logRatios(policy, reference, [{ prompt, completions }], { ...micro, exact: true });
    const { logRatio, exact, answers } = klEstimate(ratios);
    expect(answers).toBe(128);
    const isNear = ({ estimate, standardError }: { estimate: number; standardError: number }, value = kl) =>
      Number(Math.abs(estimate - value) <= 3 * standardError);
    inside.sampled += isNear(logRatio.sequence);
    inside.exact += isNear(exact!.sequence);
    inside.token += isNear(logRatio.token, kl / meanLength);
    errors.push([logRatio.sequence.standardError, exact!.sequence.standardError]);
  }
  expect(Math.min(...Object.values(inside))).toBeGreaterThanOrEqual(99);
  expect(errors.every(([sampled, exact]) => exact < sampled)).toBe(true);
  // The expectation of the exact one, over all answers, is the KL itself.
  const [every] = await logRatios(policy, reference, [all], { ...micro, exact: true });
  expect(every!.reduce((sum, { divergence }, i) => sum + probabilities[i]! * divergence!, 0)).toBeCloseTo(kl, 5);
});

test('errors are over prompts, whose answers hang together', () => {
  const answer = (logRatio: number, tokens = 1): LogRatio => ({ logRatio, tokens });
  const alike = [[answer(1), answer(1)], [answer(3), answer(3)]]; // biome-ignore format: short
  expect(klEstimate(alike).logRatio.sequence).toEqual({ estimate: 2, standardError: 1 });
  expect(klEstimate([[answer(1), answer(3)]]).logRatio.sequence).toEqual({ estimate: 2, standardError: 1 });
  expect(klEstimate([[answer(2, 4), answer(4, 2)]]).logRatio.token.estimate).toBe(1);
  expect(() => klEstimate([[]])).toThrow(RangeError);
});

test('a model is at no distance from itself; answers of a file are measured as when they were written', async () => {
  const prompts = join(folder, 'prompts.jsonl');
  writeFileSync(prompts, ['One', 'Two', 'Three'].map((prompt) => `${JSON.stringify({ prompt })}\n`).join(''));
  const sampling = { prompts, samples: 2, maxNewTokens: 12, temperature: 1, seed: 4 };
  const own = await measureKl({ model: tiny, reference: tiny, of: sampling, exact: true });
  expect(own).toMatchObject({ prompts: 3, answers: 6, measure: 'kl' });
  expect(own.logRatio.sequence.estimate).toBe(0);
  expect(Math.abs(own.exact!.token.estimate)).toBeLessThan(1e-12);
  const out = join(folder, 'answers.jsonl');
  await generateFile({ model: tiny, out, ...sampling });
  const given = await measureKl({ model: tiny, reference: tiny, of: { answers: out } });
  expect(given).toMatchObject({ prompts: 3, answers: 6, measure: 'given', exact: undefined });
  const warm = { ...sampling, temperature: 0.7 };
  expect((await measureKl({ model: tiny, reference: tiny, of: warm })).measure).toBe('log-ratio');
});
