// A whole study of the tiny model: a model, answers, pairs, two arms of two seeds, in processes.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { tinyArms, tinyStudy } from '../../../../tests/support/tiny-study.js';
import { tinyModel, tinyPairs } from '../../../../tests/support/training.js';
import { commandLine } from '../cli/main.js';
import { Terminal } from '../cli/terminal.js';
import { front } from '../eval/front/front.js';
import { fileSizes, lockRun, readEvents } from '../runs/index.js';
import { summarise } from './results.js';
import { parseStudy } from './study.js';
import { estimateStudy } from './study-estimate.js';
import { type SweepOptions, sweep } from './sweep.js';

const folder = mkdtempSync(join(tmpdir(), 'sweep-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Processes take longer to start where others work. */
const limit = { timeout: 180_000 };
const out = join(folder, 'out');
/** Runs the study with other arms, and tells which jobs were begun. */
async function run(text = tinyArms, options: Partial<SweepOptions> = {}, change = (study: string) => study) {
  const begun = new Set<string>();
  const onChange: SweepOptions['onChange'] = ({ running }) => {
    for (const { title } of running.keys()) begun.add(title);
  };
  const study = parseStudy(change(tinyStudy(folder, text)), 'study.yaml');
  const result = await sweep({ study, out, jobs: 2, onChange, ...options });
  return { ...result, begun: [...begun].sort() };
}

/** The bytes of the files below a folder of the sweep. */
const bytesBelow = (name: string) => Object.values(fileSizes(join(out, name))).reduce((sum, bytes) => sum + bytes, 0);

/** The files below the folder with the times of their last changes. */
const times = () =>
  readdirSync(out, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(out, name)).isFile())
    .map((name) => `${name} ${statSync(join(out, name)).mtimeMs}`)
    .sort();
const results = () => readFileSync(join(out, 'results.jsonl'), 'utf8');

test('a study leaves runs, stages, and a row for each measurement; another call does nothing', limit, async () => {
  const { rows, failed, left, made } = await run();
  expect({ failed, left, made }).toEqual({ failed: [], left: 0, made: 9 });
  expect(rows.map(({ arm, seed, step }) => `${arm} ${seed} ${step}`)).toEqual(
    ['dpo', 'hard'].flatMap((arm) => [1, 2].flatMap((seed) => [0, 2, 4].map((step) => `${arm} ${seed} ${step}`))),
  );
  expect(results()).toBe(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const [start, middle] = rows;
  expect(start).toMatchObject({ key: { 'loss.beta': 0.1 }, kl: { mean: 0, se: 0 }, grad_norm: null });
  expect(start!.scores.long!.mean).toBeGreaterThan(4);
  expect(middle!.kl.mean).not.toBe(0);
  expect(middle!.grad_norm).toBeGreaterThan(0);
  // Both arms begin alike, and differ once the reference has moved.
  expect(rows[7]).toEqual({ ...rows[1], arm: 'hard', key: rows[7]!.key });
  expect(rows[8]!.kl).not.toEqual(rows[2]!.kl);
  expect(
    readdirSync(join(out, 'stages'))
      .map((name) => name.replace(/-[\da-f]{12}$/, ''))
      .sort(),
  ).toEqual([...['pairs', 'pairs', 'pairs-answers', 'pairs-answers', 'sft']]);
  const seed1 = join(out, 'runs/dpo/beta=0.1/seed-1');
  expect(readdirSync(seed1).sort()).toEqual(['events.jsonl', 'measured', 'run.json', 'sweep.json']);
  const answers = readFileSync(join(seed1, 'measured/step-000004.jsonl'), 'utf8').trim().split('\n');
  expect(answers).toHaveLength(6);
  expect(JSON.parse(answers[0]!)).toMatchObject({ index: 0, sample: 0, scores: { long: expect.any(Number) } });
  const before = times();
  expect(await run()).toMatchObject({ rows, made: 0, begun: [] });
  expect(times()).toEqual(before);

  // A new arm runs alone, and the models of its runs are kept where the study says so.
  const more = await run(`${tinyArms.replace(/ }$/, '')}, low: { loss.beta: 0.01 } }\nsave: ends`);
  expect(more.begun).toEqual(['low seed 1', 'low seed 2']);
  expect(results().startsWith(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))).toBe(true);
  expect(more.rows).toHaveLength(18);
  expect(readdirSync(join(out, 'runs/low/beta=0.01/seed-1'))).toContain('final');
  expect(summarise(more.rows).map(({ arm, seeds }) => `${arm} ${seeds}`)).toEqual(['dpo 2', 'hard 2', 'low 2']);
});

test('what was told of a study beforehand is what it took; once a run is done, so is its time', async () => {
  const study = parseStudy(tinyStudy(folder), 'study.yaml');
  const told = await estimateStudy(study);
  expect(told).toMatchObject({ stages: { of: 5, done: 0 }, runs: { of: 4, done: 0 }, unknown: [] });
  // The small files of models, and answers shorter than they may be, are the difference.
  for (const [ratio, part] of [
    [told.bytes.runs / 2 / bytesBelow('runs/dpo'), 'runs'],
    [told.bytes.stages / bytesBelow('stages'), 'stages'],
  ] as const) {
    expect(Math.abs(ratio - 1), `${part}: ${ratio}`).toBeLessThan(0.25);
  }
  const now = await estimateStudy(study, { out });
  expect(now).toMatchObject({ stages: { of: 5, done: 5 }, runs: { of: 4, done: 4 }, hours: { atPace: 0 } });
  const ends = ['dpo/beta=0.1', 'hard/reference=update-hard,tau-2-273ad3c3'].flatMap((setting) =>
    [1, 2].map((seed) => readEvents(join(out, 'runs', setting, `seed-${seed}/events.jsonl`)).events.at(-1)!),
  );
  const seconds = ends.reduce((sum, event) => sum + (event.type === 'end' ? event.seconds : Number.NaN), 0);
  expect(now.pace).toMatchObject({ jobs: 4, of: 'runs', rate: now.flops.runs / seconds });
  // Of an arm that comes now, that pace tells how long it will take.
  const arms = tinyArms.replace(/ }$/, ', next: { loss.beta: 0.02 } }');
  const more = await estimateStudy(parseStudy(tinyStudy(folder, arms), 'study.yaml'), { out, jobs: 2 });
  expect(more.runs).toEqual({ of: 6, done: 4 });
  expect(more.hours.atPace! * 3600).toBeCloseTo(more.flops.left / 2 / more.pace!.rate, 9);
});

test(
  'with another setting of a stage, what depends on it is made anew; with the one of before it is there',
  limit,
  async () => {
    const before = results();
    const flipped = await run(tinyArms, { only: 'dpo' }, (study) =>
      study.replace('surprise }', 'surprise, flip: 0.5 }').replace('seeds: [1, 2]', 'seeds: [1]'),
    );
    expect(flipped.begun).toEqual(['dpo seed 1', 'stage pairs seed 1']);
    expect(flipped.moved).toHaveLength(1);
    expect(flipped.rows.map(({ arm }) => arm)).not.toContain('hard');
    const arms = `${tinyArms.replace(/ }$/, '')}, low: { loss.beta: 0.01 } }\nsave: ends`;
    expect(await run(arms)).toMatchObject({ made: 0, begun: [] });
    expect(results()).toBe(before);
  },
);

test('an arm that is not there, and a folder that another sweep is at work in, are refused', async () => {
  await expect(run(tinyArms, { only: 'hrad' })).rejects.toThrow('only hrad: did you mean hard?');
  using _held = lockRun(out);
  await expect(run()).rejects.toThrow(/is used by process \d+/);
});

test('a job that fails ends no other, and what needs it is not begun', limit, async () => {
  const failing = join(folder, 'failing');
  // What the other arm needs has been made.
  cpSync(join(out, 'stages'), join(failing, 'stages'), { recursive: true });
  const none = `none: { train: { model: ${tinyModel}, method: sft, data: { train: ${tinyPairs}, maxLength: 2 }, steps: 1 } }`;
  const arms = `arms: { none: { model: "\${stages.none}" }, dpo: {} }`;
  const result = await run(arms, { out: failing }, (study) =>
    study.replace('stages:\n', `stages:\n  ${none}\n`).replace('seeds: [1, 2]', 'seeds: [1]'),
  );
  expect(result.begun).toEqual(['dpo seed 1', 'stage none']);
  expect(result.failed).toEqual([{ title: 'stage none', message: expect.stringMatching(/no row is left of \d+/) }]);
  expect(result).toMatchObject({ left: 1, made: 1 });
  expect(result.rows.map(({ arm, step }) => `${arm} ${step}`)).toEqual(['dpo 0', 'dpo 2', 'dpo 4']);
});

test('the command prints how the settings ended and how arms differ, and refuses what is no study', async () => {
  const studyFile = join(folder, 'study.yaml');
  const command = async (text: string, ...flags: string[]) => {
    writeFileSync(studyFile, text);
    const written = { stdout: '', stderr: '' };
    const stdout = { write: (text: string) => (written.stdout += text) };
    const stderr = { write: (text: string) => (written.stderr += text) };
    const words = ['node', 'reanchor', 'sweep', studyFile, '--out', out, ...flags];
    await commandLine(new Terminal({ stdout, stderr, env: {} })).parseAsync(words);
    return written;
  };
  const { stdout, stderr } = await command(tinyStudy(folder), '--jobs', '2');
  const file = join(out, 'results.jsonl');
  const { comparisons, tests } = await front({ runs: [{ name: file, file }], kl: 'kl', quality: 'long' });
  const short = comparisons.filter(({ way }) => way !== 'training');
  expect(short.map(({ a, way }) => `${a} ${way}`)).toEqual(['hard best', 'hard end']);
  expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['arm', 'loss.beta', 'reference', 'seeds', 'long', 'fluent', 'KL'],
    ['dpo', '0.1', '2', expect.stringMatching(/^\d\.\d\d ± \d/), expect.any(String), expect.stringMatching(/ ± /)],
    ['hard', '{update:hard,tau:2}', '2', expect.any(String), expect.any(String), expect.any(String)],
    [''],
    [`differences in long; Holm's p holds for all ${tests} that eval front tests`],
    ['arms', 'way', 'KL', 'difference', '95 % interval', 'Holm', 'seeds'],
    ...short.map(({ a, b, way, rows: [row] }) => [
      `${a} against ${b}`,
      way,
      expect.stringMatching(/^\d\.\d{4}/),
      expect.stringContaining(Math.abs(row!.difference!).toFixed(4)),
      `${row!.interval!.low.toFixed(4)} to ${row!.interval!.high.toFixed(4)}`,
      row!.holm!.toFixed(3),
      '2',
    ]),
    [''],
  ]);
  const more = `for more: npx reanchor eval front ${file} --quality long\n`;
  expect(stderr).toContain(more);
  expect(stderr).toContain('all of it had been done already');
  expect(process.exitCode).toBe(0);
  process.exitCode = undefined;
  await expect(command(tinyStudy(folder, 'arm: {}'))).rejects.toThrow('arm: unknown key; did you mean arms?');
  await expect(command(tinyStudy(folder), '--jobs', '0')).rejects.toThrow('--jobs: "0" is not allowed');
});
