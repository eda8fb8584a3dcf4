import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noGrad, tidy } from '@reanchor/torch';
import { afterAll, expect, test } from 'vitest';
import { tinyModel } from '../../../../tests/support/training.js';
import type { CausalLM } from '../models/causal-lm.js';
import { loadModel } from '../models/load.js';
import { parseRecipe } from '../recipe/index.js';
import { loadGold } from './gold.js';
import type { RunJob } from './jobs.js';
import { Measuring, measurementsOf } from './measure.js';

const folder = mkdtempSync(join(tmpdir(), 'measure-'));
afterAll(() => rmSync(folder, { recursive: true }));

const prompts = join(folder, 'prompts.jsonl');
writeFileSync(prompts, ['The', 'A bicycle', 'Chess is'].map((prompt) => `${JSON.stringify({ prompt })}\n`).join(''));

/** A run that measures, in a folder of its own. */
function jobOf(name: string, measure: Partial<RunJob['measure']>): RunJob {
  const text = `model: ${tinyModel}\nmethod: dpo\ndata: { train: none.jsonl }\ndevice: cpu\n`;
  const recipe = parseRecipe(text, { file: 'recipe.yaml', env: {} });
  const out = join(folder, name);
  mkdirSync(out);
  const settings = { every: 1, prompts, samples: 2, maxNewTokens: 6, seed: 1, scores: {}, ...measure };
  return { kind: 'run', recipe, out, digest: '', save: 'none', measure: settings };
}

/** Makes another policy of one: the weights that make logits are scaled. */
const change = (policy: CausalLM, factor: number) => tidy(() => noGrad(() => policy.head_VD.mul_(factor)));

test('scores of answers: built in, of models, of a program, and combined', async () => {
  const scores = {
    long: 'length - 2 * surprise',
    own: { surprise: tinyModel },
    reward: { reward: { model: tinyModel, reference: tinyModel, beta: 0.1 } },
    lines: { command: ['/bin/sh', '-c', 'while read line; do echo 3; done'] },
    both: 'lines + 0 * kl',
    gold: 'afinn',
  };
  const job = jobOf('scores', { scores });
  using measuring = await Measuring.load(job, new AbortController().signal);
  using policy = await loadModel(tinyModel, { dtype: 'float32' });
  const told = await measuring.measure(policy, { step: 0, isEnd: true });
  expect(told!.samples).toHaveLength(3);
  change(policy, 0.5);
  await measuring.measure(policy, { step: 7, isEnd: true });
  const [start, end] = await measurementsOf(job.out, [
    [3, 0.25],
    [8, 1],
  ]);
  expect(start).toMatchObject({ step: 0, kl: { mean: 0, se: 0 }, grad_norm: null });
  expect(end).toMatchObject({ step: 7, grad_norm: 0.25 });
  expect(end!.kl.mean).toBeGreaterThan(0);
  for (const { scores } of [start!, end!]) {
    expect(scores).toMatchObject({ reward: { mean: 0, se: 0 }, lines: { mean: 3, se: 0 }, both: { mean: 3, se: 0 } });
  }
  const gold = await loadGold();
  const kept = readFileSync(join(job.out, 'measured/step-000007.jsonl'), 'utf8').trim().split('\n');
  expect(kept).toHaveLength(6);
  for (const line of kept) {
    const { completion, ids, surprise, scores } = JSON.parse(line);
    expect(scores).toMatchObject({ gold: gold(completion), long: ids.length - 2 * surprise });
    expect(scores.own).toBeGreaterThan(0);
  }
  expect(told!.metrics).toMatchObject({ 'kl/initial': 0, 'score/lines': 3, 'score/long': start!.scores.long!.mean });
});

test('a score that fails is named', async () => {
  const scores = { none: { command: ['/bin/sh', '-c', 'echo 1; echo no; echo why >&2; exit 0'] } };
  using measuring = await Measuring.load(jobOf('failing', { scores }), new AbortController().signal);
  using policy = await loadModel(tinyModel, { dtype: 'float32' });
  const measured = measuring.measure(policy, { step: 0, isEnd: true });
  await expect(measured).rejects.toThrow(/score none: \/bin\/sh, line 2: "no" is not allowed/);
});

test('with a step of KL, what has moved less since the last measurement is not measured', async () => {
  const job = jobOf('step', { klStep: 0.2 });
  using measuring = await Measuring.load(job, new AbortController().signal);
  using policy = await loadModel(tinyModel, { dtype: 'float32' });
  const measure = async (step: number, isEnd = false) =>
    (await measuring.measure(policy, { step, isEnd })) !== undefined;
  expect(await measure(0, true)).toBe(true);
  expect(await measure(1)).toBe(false);
  change(policy, 0.2);
  expect(await measure(2)).toBe(true);
  expect(await measure(3)).toBe(false);
  expect(await measure(4, true)).toBe(true);
  expect((await measurementsOf(job.out, [])).map(({ step }) => step)).toEqual([0, 2, 4]);
});

test('a file with fewer prompts than the study asks for is refused', async () => {
  const load = Measuring.load(jobOf('rows', { rows: 5 }), new AbortController().signal);
  await expect(load).rejects.toThrow('prompts.jsonl has 3 prompts, and rows asks for 5');
});
