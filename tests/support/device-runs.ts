/** Whole runs on a device and on the CPU, for the tests of devices. */
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { configureProcess, train } from '#reanchor/driver/index.js';
import { measureKl } from '#reanchor/eval/kl/measure.js';
import { score } from '#reanchor/eval/score.js';
import { generateFile } from '#reanchor/generate/index.js';
import { initModel } from '#reanchor/models/init.js';
import { saveModel } from '#reanchor/models/save.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import type { RunEvent } from '#reanchor/runs/index.js';
import { fixtures } from './repository.js';
import { interruptedRun, outcome, resumableRecipe } from './resuming.js';
import { tinyModel, tinyPairs } from './training.js';

/** One case for every kind of thing that a run computes with. */
export const deviceRuns = [
  { name: 'DPO, soft reference', text: 'method: dpo\nreference: { update: soft, alpha: 0.3 }' },
  { name: 'DPO, hard reference', text: 'method: dpo\nreference: { update: hard, tau: 2 }' },
  { name: 'IPO, cached reference', text: 'method: ipo\nreference: { update: hard, tau: 2, storage: cached }' },
  {
    name: 'DPO, capped, checkpointed blocks',
    text: 'method: dpo\nreference: { update: soft, alpha: 0.3, maxDivergence: 1 }\nactivationCheckpointing: true',
  },
  { name: 'AOT, which couples rows', text: 'method: dpo\nloss: { type: [aot, sft], weights: [1, 0.5] }' },
  {
    name: 'DPO, a reference of its own',
    text: `method: dpo\nreference: { update: soft, alpha: 0.3, model: ${tinyModel} }`,
  },
  { name: 'KTO', text: 'method: kto\nreference: { update: soft, alpha: 0.5 }' },
  { name: 'SFT', text: 'method: sft' },
  {
    name: 'DPO, moments of 8 bits',
    text: 'method: dpo\noptimizer: { lr: 1e-3, weightDecay: 0.1, moments: 8bit }',
  },
  { name: 'DPO in float64, GPT-NeoX', text: 'method: dpo\nprecision: fp64', model: 'gpt-neox' },
] as const;

/** Runs whose optimizer is in main memory, each way of which something is copied; without `parallel` they need none. */
export const offloadedRuns = [
  ['optimizer', 'reference: { update: fixed }'],
  ['gradients', 'reference: { update: soft, alpha: 0.3 }'],
  ['gradients', 'reference: { update: soft, alpha: 0.3 }\nprecision: bf16'],
  ['parameters', 'reference: { update: soft, alpha: 0.3 }'],
  ['parameters', 'reference: { update: hard, tau: 2, storage: cached }\nprecision: bf16'],
].map(([shard, rest]) => ({
  name: `${shard}, ${rest!.replace('\n', ', ')}`,
  plain: `method: dpo\n${rest}`,
  parallel: `parallel: { shard: ${shard}, offload: optimizer }`,
  // No process has a model that is divided, for answers.
  generate: shard !== 'parameters',
  tolerance: rest!.includes('bf16') ? 1e-3 : 2e-5,
}));

/** A GPT-NeoX with the vocabulary and tokenizer of the tiny Llama. */
async function tinyGptNeox(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'gpt-neox-'));
  const config = JSON.parse(readFileSync(join(fixtures, 'models/gpt-neox-parallel/config.json'), 'utf8'));
  const { vocab_size } = JSON.parse(readFileSync(join(tinyModel, 'config.json'), 'utf8'));
  using model = initModel({ ...config, vocab_size }, { seed: 1, dtype: 'float32' });
  await saveModel(model, folder);
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    copyFileSync(join(tinyModel, name), join(folder, name));
  return folder;
}

export interface DeviceRun {
  folder: string;
  final: string;
  events: RunEvent[];
  losses: number[];
  /** The metrics of every evaluation. */
  evaluations: Record<string, number>[];
}

/** Four steps of a tiny model, evaluated before and after. */
export async function runOn(
  device: string,
  { text, model = 'llama-tiny', generate = true }: { text: string; model?: string; generate?: boolean },
): Promise<DeviceRun> {
  const events: RunEvent[] = [];
  const recipe = parseRecipe(
    `model: ${model === 'gpt-neox' ? await tinyGptNeox() : tinyModel}\ndevice: ${device}\n${text}\n` +
      `data: { train: ${join(fixtures, 'text/pairs.jsonl')}, validation: 4, maxLength: 96 }\n` +
      'batch: { size: 8, rowsPerMicroBatch: 4 }\nsteps: 4\n' +
      (/^optimizer:/m.test(text) ? '' : 'optimizer: { lr: 1e-3, weightDecay: 0.1 }\n') +
      (generate ? 'evaluate: { generate: { prompts: 2, maxNewTokens: 4 } }\n' : ''),
    { file: 'device.yaml' },
  );
  const out = join(mkdtempSync(join(tmpdir(), 'device-')), 'run');
  configureProcess(recipe);
  const { folder, final } = await train({ recipe, out, command: [], onEvent: (event) => events.push(event) });
  const of = <Type extends RunEvent['type']>(type: Type) =>
    events.filter((event): event is Extract<RunEvent, { type: Type }> => event.type === type);
  return {
    folder,
    final,
    events,
    losses: of('step').map(({ metrics }) => metrics.loss!),
    evaluations: of('evaluation').map(({ metrics }) => metrics),
  };
}

/** Two runs with the same numbers, but for rounding. */
export function expectSameRun(found: DeviceRun, expected: DeviceRun, tolerance: number): void {
  expect(found.losses).toHaveLength(4);
  expect(found.losses).toBeCloseToTensor(expected.losses, tolerance);
  expect(found.evaluations).toHaveLength(2);
  for (const [i, metrics] of found.evaluations.entries()) {
    const wanted = expected.evaluations[i]!;
    expect(Object.keys(metrics)).toEqual(Object.keys(wanted));
    expect(Object.values(metrics)).toBeCloseToTensor(Object.values(wanted), 20 * tolerance);
  }
}

/** What `score`, `generate` and `eval kl` make on a device. */
export async function measuresOn(device: string) {
  const folder = mkdtempSync(join(tmpdir(), 'device-'));
  const [prompts, scores, answers] = ['prompts', 'scores', 'answers'].map((name) => join(folder, `${name}.jsonl`)) as [
    string,
    string,
    string,
  ];
  const texts = ['One day', 'The sun and the moon', 'A'];
  writeFileSync(prompts, texts.map((prompt) => `${JSON.stringify({ prompt })}\n`).join(''));
  await score({ model: tinyModel, reference: tinyModel, data: [tinyPairs], out: scores, device });
  const sampling = { prompts, maxNewTokens: 4, samples: 2, seed: 1, device };
  await generateFile({ model: tinyModel, out: answers, temperature: 0.7, topP: 0.9, ...sampling });
  const kl = await measureKl({ model: tinyModel, reference: tinyModel, of: sampling, exact: true, device });
  return {
    numbers: readFileSync(scores, 'utf8')
      .match(/-?\d+\.\d+/g)!
      .map(Number),
    answers: readFileSync(answers, 'utf8').match(/"completion":"[^"]*"/g),
    kl: kl.exact!.sequence.estimate,
  };
}

type Measures = Awaited<ReturnType<typeof measuresOn>>;

export function expectSameMeasures(found: Measures, expected: Measures): void {
  expect(found.numbers).toBeCloseToTensor(expected.numbers, 1e-4);
  expect(found.answers).toEqual(expected.answers);
  expect(found.kl).toBeCloseTo(expected.kl, 6);
}

/** A run that was interrupted twice ends like one that was not. */
export async function expectSameBitsAfterResuming(
  device: string,
  precision: string,
  reference: string,
  ...set: string[]
): Promise<void> {
  const recipe = resumableRecipe(
    tinyModel,
    `device=${device}`,
    'deterministic=true',
    `precision=${precision}`,
    `reference=${reference}`,
    ...set,
  );
  const place = () => join(mkdtempSync(join(tmpdir(), 'device-')), 'run');
  const [whole, parts] = [place(), place()];
  configureProcess(recipe);
  await train({ recipe, out: whole, command: [] });
  const stopAt = new Set([3, 6]);
  await interruptedRun(recipe, (event) => event.type === 'step' && stopAt.delete(event.step), parts);
  expect(stopAt.size).toBe(0);
  expect(outcome(parts)).toEqual(outcome(whole));
}
