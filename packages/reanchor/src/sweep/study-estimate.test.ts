// What is told of a study before it is run; sweep.test.ts compares it with one that was.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { tinyArms, tinyStudy } from '../../../../tests/support/tiny-study.js';
import { commandLine } from '../cli/main.js';
import { Terminal } from '../cli/terminal.js';
import { parseStudy, readStudy } from './study.js';
import { estimateStudy, type StudyEstimateOptions } from './study-estimate.js';

const folder = mkdtempSync(join(tmpdir(), 'study-estimate-'));
afterAll(() => rmSync(folder, { recursive: true }));

const estimate = (text: string, options?: StudyEstimateOptions) =>
  estimateStudy(parseStudy(text, 'study.yaml'), options);
const pilot = new URL('../../../../recipes/study/pilot.yaml', import.meta.url).pathname;

test('a study that starts from nothing is counted through its stages, to the config that begins them', async () => {
  const study = await readStudy(pilot);
  const found = await estimateStudy(study);
  expect(found).toMatchObject({ arms: 4, settings: 8, seeds: 4, unknown: [], notCounted: [], pace: undefined });
  // The text, the model from nothing, the SFT model; answers and pairs of each seed.
  expect([found.stages, found.runs]).toEqual([
    { of: 11, done: 0 },
    { of: 32, done: 0 },
  ]);
  expect(found.flops.left).toBe(found.flops.stages + found.flops.runs);
  expect(found.hours.atTeraflop).toBeCloseTo(found.flops.left / 1e12 / 3600, 9);
  // Half of the blocks: fewer FLOPs, and a smaller model that is there for a while.
  const { stages } = study;
  const init = { ...stages.start!.init!, config: { ...stages.start!.init!.config, num_hidden_layers: 2 } };
  const half = await estimateStudy({ ...study, stages: { ...stages, start: { init } } });
  expect(half.flops.runs / found.flops.runs).toBeGreaterThan(0.5);
  expect(half.flops.runs / found.flops.runs).toBeLessThan(0.7);
  expect(half.bytes.passing).toBeLessThan(found.bytes.passing);
});

test('many processes wait for the longest chain of jobs', async () => {
  const study = await readStudy(pilot);
  const [one, two, many] = await Promise.all([1, 2, 1000].map((jobs) => estimateStudy(study, { jobs })));
  expect(two!.hours.atTeraflop).toBeCloseTo(one!.hours.atTeraflop / 2, 9);
  expect(many!.hours.atTeraflop).toBeGreaterThan(one!.hours.atTeraflop / 32);
  expect(many!.hours.atTeraflop).toBeLessThan(one!.hours.atTeraflop / 5);
  expect(many!.bytes.passing).toBe(32 * one!.bytes.passing);
});

test('measurements and what is saved add what they are', async () => {
  const text = tinyStudy(folder);
  const plain = await estimate(text);
  const [ends, all] = await Promise.all(
    ['ends', 'all'].map((save) =>
      estimate(
        tinyStudy(folder, `${tinyArms}\nsave: ${save}`).replace('steps: 4', 'steps: 4\n  checkpoint: { every: 2 }'),
      ),
    ),
  );
  const model = 36_512 * 4;
  expect(ends!.bytes.runs - plain.bytes.runs).toBe(4 * model);
  // Two checkpoints a run, each with two moments and a copy of the reference.
  expect(all!.bytes.runs - ends!.bytes.runs).toBe(4 * 2 * 4 * model);
  // Those by time of the stage, which has no reference.
  expect(all!.bytes.passing).toBe(3 * 3 * model);
  const often = await estimate(text.replace('every: 2,', 'every: 1,'));
  const rare = await estimate(text.replace('every: 2,', 'every: 4,'));
  expect(often.flops.runs - plain.flops.runs).toBeCloseTo(2 * (plain.flops.runs - rare.flops.runs), -1);
  const looked = await estimate(text.replace('every: 2,', 'every: 2, klStep: 1,'));
  expect(looked.flops.runs - plain.flops.runs).toBeCloseTo(plain.flops.runs - rare.flops.runs, -1);
});

test('what cannot be known is said, and counted nowhere', async () => {
  const text = tinyStudy(folder)
    .replace(/model: \S+llama-tiny/, 'model: some/where')
    .replace('long: length', 'long: { command: [/bin/true] }');
  const found = await estimate(text);
  expect(found.flops).toEqual({ stages: 0, runs: 0, left: 0 });
  expect(found.unknown).toContainEqual(expect.stringMatching(/^stage sft: some\/where\/config.json does not exist/));
  expect(found.unknown).toContainEqual(expect.stringMatching(/^dpo beta=0.1: some\/where\/config.json/));
  const steps = await estimate(
    tinyStudy(folder)
      .replace('steps: 4', 'epochs: 2')
      .replace(/"[^"]*pairs\}"/, 'rows.jsonl'),
  );
  expect(steps.unknown).toEqual([
    'dpo beta=0.1: its rows are not here, and so its steps are not known',
    expect.stringMatching(/^hard /),
  ]);
  const told = await estimate(tinyStudy(folder).replace('long: length', 'long: { command: [/bin/true] }'));
  expect(told.notCounted).toEqual(['checkpoints by time (checkpoint.every: 15min)', 'the program of the score long']);
});

test('the command tells a study from a recipe, and refuses the options of the other', async () => {
  const written = { stdout: '', stderr: '' };
  const command = (...words: string[]) => {
    const stdout = { write: (text: string) => (written.stdout += text) };
    const stderr = { write: (text: string) => (written.stderr += text) };
    const terminal = new Terminal({ stdout, stderr, env: {} });
    return commandLine(terminal).parseAsync(['node', 'reanchor', 'estimate', ...words]);
  };
  await command(pilot, '--jobs', '2', '--out', join(folder, 'none'));
  expect(written.stdout).toMatch(
    /^study +4 arms, 8 settings, 4 seeds\nstages +11, 0 done\nruns +32, 0 done\nFLOPs +\d/,
  );
  expect(written.stdout).toMatch(/\ntime +\d+s by 2 processes at 1 TFLOP\/s each; what this machine does is not known/);
  expect(written.stdout).toMatch(/\ndisk +\d+ MiB of stages, \d+ MiB of runs\n/);
  const recipe = new URL('../../../../recipes/hh-dpo.yaml', import.meta.url).pathname;
  await expect(command(pilot, '--processes', '2')).rejects.toThrow(
    /--processes has no effect: .*pilot.yaml is a study/,
  );
  await expect(command(recipe, '--jobs', '2')).rejects.toThrow(/--jobs has no effect: .*hh-dpo.yaml is a recipe/);
  await expect(command(pilot, '--jobs', 'two')).rejects.toThrow('--jobs: "two" is not allowed');
});
