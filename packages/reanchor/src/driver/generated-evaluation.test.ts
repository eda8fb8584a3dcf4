import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { parseRecipe } from '../recipe/index.js';
import { readEvents } from '../runs/index.js';
import { keptText } from './generated-evaluation.js';
import { train } from './train.js';

const fixtures = fileURLToPath(new URL('../../../../tests/fixtures/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'generated-'));
afterAll(() => rmSync(folder, { recursive: true }));

const recipe = (reference: string, generate: string, more = '') =>
  parseRecipe(
    `model: ${fixtures}models/llama-tiny
method: dpo
reference: ${reference}
data: { train: ${fixtures}text/pairs.jsonl, validation: 8, maxLength: 64 }
batch: { size: 4 }
optimizer: { lr: 3.0e-3 }
steps: 4
evaluate: { every: 2, generate: ${generate} }
${more}`,
    { file: 'r.yaml' },
  );

/** The metrics of a run's evaluations, by step. */
async function evaluationsOf(name: string, ...recipeOf: Parameters<typeof recipe>) {
  const out = join(folder, name);
  await train({ recipe: recipe(...recipeOf), out, command: [] });
  expect(readFileSync(join(out, 'final/README.md'), 'utf8')).toContain('rewards/accuracies');
  const { events } = readEvents(join(out, 'events.jsonl'));
  return events.flatMap((event) => (event.type === 'evaluation' ? [event] : []));
}

test('answers are written at every evaluation: KL, diversity and length, logged as events', async () => {
  const generate = '{ prompts: 5, samples: 2, maxNewTokens: 8 }';
  const evaluations = await evaluationsOf('hard', '{ update: hard, tau: 2 }', generate);
  expect(evaluations.map(({ step }) => step)).toEqual([0, 2, 4]);
  const [before, middle, after] = evaluations.map(({ metrics }) => metrics);
  expect(before).toMatchObject({ 'kl/initial': 0, 'kl/reference': 0, 'kl/initial_error': 0 });
  expect(middle!['kl/initial']).toBeGreaterThan(0);
  expect(after!['kl/initial']).toBeGreaterThan(0);
  // The reference has just become the policy.
  expect(middle!['kl/reference']).toBe(0);
  expect(after!['kl/reference']).toBe(0);
  expect(after!['kl/initial_token']).toBeGreaterThanOrEqual(after!['kl/initial']! / 9);
  for (const name of ['diversity/self_bleu', 'diversity/self_bleu_prompt', 'diversity/distinct_2', 'length/ended']) {
    expect(after![name]).toBeGreaterThanOrEqual(0);
    expect(after![name]).toBeLessThanOrEqual(1);
  }
  expect(after!['length/mean']).toBeLessThanOrEqual(8);
  expect(after!['rewards/accuracies']).toBeDefined();
});

/** The texts that a run has kept, by step, with the run's folder. */
async function textsOf(name: string, ...recipeOf: Parameters<typeof recipe>) {
  const out = join(folder, name);
  await train({ recipe: recipe(...recipeOf), out, command: [] });
  return readEvents(join(out, 'events.jsonl')).events.flatMap((event) => (event.type === 'samples' ? [event] : []));
}

test('a few answers are kept at every evaluation, to the same prompts, and are the same in a run of the same seed', async () => {
  const generate = '{ prompts: 7, samples: 2, maxNewTokens: 8, metrics: [length] }';
  const texts = await textsOf('texts', '{ update: fixed }', generate);
  expect(texts.map(({ step }) => step)).toEqual([0, 2, 4]);
  const prompts = texts.map(({ samples }) => samples.map(({ prompt }) => prompt));
  expect(new Set(prompts[0]).size).toBe(6);
  expect(prompts).toEqual([prompts[0], prompts[0], prompts[0]]);
  const [first, , last] = texts.map(({ samples }) => samples.map(({ completion }) => completion));
  expect(first).not.toEqual(last);
  const again = await textsOf('texts-again', '{ update: fixed }', generate);
  expect(again.map(({ samples }) => samples)).toEqual(texts.map(({ samples }) => samples));
});

test.each([
  ['{ prompts: 1, maxNewTokens: 4 }', 1, 1],
  ['{ prompts: 1, samples: 2, maxNewTokens: 4 }', 2, 1],
  ['{ prompts: 2, samples: 4, maxNewTokens: 4 }', 3, 2],
  ['{ prompts: 5, samples: 4, maxNewTokens: 4 }', 5, 5],
])('of answers %s so many are kept: %i, to %i prompts', async (generate, count, prompts) => {
  const texts = await textsOf(`texts-${generate}`, '{ update: fixed }', generate);
  for (const { samples } of texts) {
    expect(samples).toHaveLength(count);
    expect(new Set(samples.map(({ prompt }) => prompt)).size).toBe(prompts);
  }
});

test('kept texts are bounded: the end of a prompt, the beginning of an answer, whole code points', () => {
  expect(keptText('p', 'c')).toEqual({ prompt: 'p', completion: 'c' });
  const whole = { prompt: '😀'.repeat(600), completion: '😀'.repeat(1200) };
  expect(keptText(whole.prompt, whole.completion)).toEqual(whole);
  expect(keptText(`begin${whole.prompt}`, `${whole.completion}end`)).toEqual({
    prompt: `…${whole.prompt}`,
    completion: `${whole.completion}…`,
  });
});

test('what is not asked for is not measured; training is the same', async () => {
  const some = await evaluationsOf('some', '{ update: fixed }', '{ prompts: 2, maxNewTokens: 4, metrics: [kl] }');
  const { metrics } = some.at(-1)!;
  expect(metrics['kl/reference']).toBe(metrics['kl/initial']);
  expect(Object.keys(metrics).filter((name) => /diversity|length/.test(name))).toEqual([]);
  const only = '{ prompts: 2, maxNewTokens: 4, metrics: [length] }';
  const other = await evaluationsOf('other', '{ update: fixed, storage: cached }', only, 'precision: fp64\n');
  expect(Object.keys(other.at(-1)!.metrics).filter((name) => name.startsWith('kl/'))).toEqual([]);
  expect(other.at(-1)!.metrics['length/mean']).toBeGreaterThan(0);
  expect(other.at(-1)!.metrics['rewards/margins']).toBeCloseTo(metrics['rewards/margins']!, 4);
});

test('it needs prompts', () => {
  const text = 'model: m\nmethod: dpo\ndata: { train: x.jsonl }\nevaluate: { generate: {} }\n';
  expect(() => parseRecipe(text, { file: 'r.yaml' })).toThrow(/evaluate\.generate: .*set data\.validation/);
  const bad =
    'model: m\nmethod: dpo\ndata: { train: x.jsonl, validation: 2 }\nevaluate: { generate: { metrics: [bleu] } }\n';
  expect(() => parseRecipe(bad, { file: 'r.yaml' })).toThrow(/evaluate\.generate\.metrics/);
});
