import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { encodeEvent, type RunEvent } from '../runs/index.js';
import { RunFile } from './run-file.js';
import { ServedFolder } from './served-folder.js';

const [time, later] = ['2026-01-02T03:04:05.678Z', '2026-01-02T04:04:05.678Z'];
const line = (event: RunEvent) => `${encodeEvent(event)}\n`;
const step = (step: number, loss = step) => line({ time, type: 'step', step, epoch: step / 100, metrics: { loss } });
const update = (step: number) => line({ time, type: 'reference', step, version: step, update: 'hard', share: 1 });

let path: string;
let file: string;
let folder: ServedFolder;
beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'run-file-'));
  file = join(path, 'events.jsonl');
  folder = await ServedFolder.at(path);
});

const steps = (run: RunFile) => run.series.steps.points().steps;

test('a file is followed as it grows, its last line once it is whole', async () => {
  const run = new RunFile(folder, path);
  await run.refresh();
  expect(steps(run)).toEqual([]);
  writeFileSync(file, step(1) + step(2).slice(0, 20));
  await run.refresh();
  expect(steps(run)).toEqual([1]);
  appendFileSync(file, step(2).slice(20) + update(2));
  await run.refresh();
  expect(steps(run)).toEqual([1, 2]);
  expect(run.series.marks()).toMatchObject([{ step: 2, version: 2 }]);
  appendFileSync(file, `rubbish\n\n\0\0\0\n${step(3)}`);
  await run.refresh();
  expect(steps(run)).toEqual([1, 2, 3]);
  expect(run.series.log.badLines).toBe(2);
  expect(run.generation).toBe(0);
});

test('a file that is cut off or replaced is read anew', async () => {
  writeFileSync(file, step(1) + step(2));
  const run = new RunFile(folder, path);
  await run.refresh();
  truncateSync(file, step(1).length);
  await run.refresh();
  expect([steps(run), run.generation]).toEqual([[1], 1]);
  writeFileSync(join(path, 'other'), step(7) + step(8) + step(9));
  renameSync(join(path, 'other'), file);
  await run.refresh();
  expect([steps(run), run.generation]).toEqual([[7, 8, 9], 2]);
});

/** So many steps, each of so many bytes, with one number in all of them. */
const stepsOf = (count: number, loss: number, bytes = 200) =>
  Array.from({ length: count }, (_, i) =>
    line({ time, type: 'step', step: i + 1, epoch: 1, metrics: { loss, [`m/${'x'.repeat(bytes - 150)}`]: 1 } }),
  );
const losses = (run: RunFile) => {
  const { mean, min, max } = run.series.steps.points().metrics.loss!;
  return [...new Set([...mean, ...(min ?? []), ...(max ?? [])])];
};

test.each([
  ['as long', 50, 50],
  ['longer', 50, 90],
  ['as long, some megabytes', 20_000, 20_000],
  ['longer, some megabytes', 20_000, 30_000],
])('a file that is rewritten in its place is read anew: %s', async (_, before, after) => {
  writeFileSync(file, stepsOf(before, 0.25).join(''));
  const run = new RunFile(folder, path);
  await run.refresh();
  expect(losses(run)).toEqual([0.25]);
  // The same inode, as with rsync --inplace, or cp over it.
  writeFileSync(file, stepsOf(after, 0.75).join(''));
  await run.refresh();
  expect([losses(run), run.generation, run.series.steps.lines]).toEqual([[0.75], 1, after]);
});

test('one number that is changed in the middle of a long file is found', async () => {
  const lines = stepsOf(20_000, 0.25);
  writeFileSync(file, lines.join(''));
  const run = new RunFile(folder, path);
  await run.refresh();
  lines[10_000] = lines[10_000]!.replace('0.25', '0.75');
  writeFileSync(file, lines.join(''));
  await run.refresh();
  expect([losses(run).includes(0.25), losses(run).length, run.generation]).toEqual([true, 3, 1]);
  // In a file that has grown too, as the middle is looked at in turns.
  lines[9000] = lines[9000]!.replace('0.25', '0.50');
  writeFileSync(file, lines.join(''));
  for (let looks = 0; run.generation === 1 && looks < 60; looks++) {
    appendFileSync(file, step(30_000 + looks));
    await run.refresh();
  }
  expect([run.generation, losses(run).includes(0.5)]).toEqual([2, true]);
});

test('a file that only grows is never read twice, however it is looked at', async () => {
  const lines = stepsOf(3000, 0.25);
  const run = new RunFile(folder, path);
  writeFileSync(file, '');
  for (let at = 0; at < lines.length; at += 30) {
    const text = lines.slice(at, at + 30).join('');
    appendFileSync(file, text.slice(0, 1234));
    await run.refresh();
    appendFileSync(file, text.slice(1234));
    await run.refresh();
    await run.refresh();
  }
  expect([run.generation, run.series.steps.lines, run.series.log.badLines]).toEqual([0, lines.length, 0]);
});

test('a file whose time is long past by the clock it is given is not read again', async () => {
  writeFileSync(file, step(1));
  let ahead = 0;
  const run = new RunFile(folder, path, { now: () => Date.now() + ahead });
  const handle = await folder.open(file);
  const read = vi.spyOn(Object.getPrototypeOf(handle) as typeof handle, 'read');
  const reads = async () => {
    read.mockClear();
    await run.refresh();
    return read.mock.calls.length;
  };
  try {
    expect(await reads()).toBeGreaterThan(0);
    expect(await reads()).toBeGreaterThan(0);
    ahead = 60_000;
    expect(await reads()).toBeGreaterThan(0);
    expect(await reads()).toBe(0);
  } finally {
    read.mockRestore();
    await handle.close();
  }
});

test('a hole of gigabytes is not read, and what stands before it is', async () => {
  writeFileSync(file, step(1) + step(2));
  const whole = step(1).length + step(2).length;
  truncateSync(file, 5e9);
  const handle = await folder.open(file);
  const read = vi.spyOn(Object.getPrototypeOf(handle) as typeof handle, 'read');
  try {
    const run = new RunFile(folder, path);
    for (let looks = 0; looks < 5; looks++) await run.refresh();
    expect([steps(run), run.bytesRead]).toEqual([[1, 2], whole]);
    expect(run.problem).toBe(`events.jsonl: what begins at byte ${whole} is no line, so nothing from there on is read`);
    const lengths = read.mock.calls.map((args) => Number((args as unknown[])[2]));
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBeLessThan(4 << 20);
    // Once it is mended it is read.
    writeFileSync(file, step(1) + step(2) + step(3));
    await run.refresh();
    expect([steps(run), run.problem]).toEqual([[1, 2, 3], undefined]);
  } finally {
    read.mockRestore();
    await handle.close();
  }
});

test('a line without an end is given up, and told', async () => {
  writeFileSync(file, step(1) + 'x'.repeat(17 << 20));
  const run = new RunFile(folder, path);
  await run.refresh();
  expect([steps(run), run.problem]).toEqual([[1], expect.stringContaining(`byte ${step(1).length} is no line`)]);
});

test.skipIf(process.platform === 'win32')('a pipe is not waited for, and told', async () => {
  execFileSync('mkfifo', [file]);
  const run = new RunFile(folder, path);
  await run.refresh();
  expect([steps(run), run.problem]).toEqual([[], expect.stringContaining('is no regular file')]);
  rmSync(file);
  writeFileSync(file, step(1));
  await run.refresh();
  expect([steps(run), run.problem]).toEqual([[1], undefined]);
});

test('a line longer than what is read at once', async () => {
  const message = 'x'.repeat(9_000_000);
  writeFileSync(file, step(1) + line({ time, type: 'warning', message }) + step(2));
  const run = new RunFile(folder, path);
  await run.refresh();
  expect(steps(run)).toEqual([1, 2]);
  expect(run.series.log.warnings[0]!.message).toHaveLength(message.length);
});

test('of a long run: every value in some point, a part in full, a skim of it', async () => {
  const total = 30_000;
  const text = Array.from({ length: total }, (_, i) => step(i + 1) + ((i + 1) % 500 === 0 ? update(i + 1) : ''));
  writeFileSync(
    file,
    line({ time, type: 'start', steps: total, rows: 1, validationRows: 0, parameters: 1 }) + text.join(''),
  );
  const run = new RunFile(folder, path);
  await run.refresh();
  const { loss } = run.series.steps.points().metrics;
  expect([Math.min(...(loss!.min as number[])), Math.max(...(loss!.max as number[]))]).toEqual([1, total]);
  expect(run.series.marks().map(({ step }) => step)).toEqual(Array.from({ length: 60 }, (_, i) => 500 * (i + 1)));

  const part = await run.part(12_001, 12_600);
  expect(part.steps.points().steps).toEqual(Array.from({ length: 600 }, (_, i) => 12_001 + i));
  expect(part.marks().map(({ step }) => step)).toEqual([12_500]);

  const skim = new RunFile(folder, path, { skim: { samples: 100, buckets: 1024 } });
  await skim.refresh();
  const { series } = skim;
  expect(series.log.start!.steps).toBe(total);
  expect(series.steps.lastStep).toBe(total);
  expect(series.steps.lines).toBeLessThan(120);
  const sketched = series.steps.points().steps;
  expect(sketched.length).toBeGreaterThan(95);
  expect(Math.max(...sketched.slice(1).map((at, i) => at - sketched[i]!))).toBeLessThan(total / 50);
});

test('a skim that is followed knows the newest step, every evaluation and why a run failed', async () => {
  const evaluation = (step: number) => line({ time, type: 'evaluation', step, metrics: { loss: step } });
  const sample = { prompt: 'p'.repeat(10_000), completion: 'c' };
  let text = '';
  const skim = new RunFile(folder, path, { skim: { samples: 10, buckets: 128 } });
  for (let at = 1; at <= 2000; at++) {
    text += step(at) + update(at);
    if (at % 300 === 0) text += evaluation(at) + line({ time, type: 'samples', step: at, samples: [sample] });
    if (at % 500 !== 7) continue;
    writeFileSync(file, text, { flag: 'a' });
    text = '';
    await skim.refresh();
    expect(skim.series.steps.lastValues('line')).toEqual({ loss: at });
    const evaluated = Math.floor(at / 300) * 300;
    expect(skim.series.evaluations.lastValues()).toEqual(evaluated > 0 ? { loss: evaluated } : {});
  }
  const message = 'a row '.repeat(20_000);
  appendFileSync(file, text + line({ time: later, type: 'failed', step: 2000, message }));
  await skim.refresh();
  expect(skim.series.log.failed!.message).toBe(message);
  expect([skim.series.scanner.time, skim.series.steps.lastStep]).toEqual([later, 2000]);
});

test('of the texts of many evaluations some are kept, from the first to the newest', async () => {
  const samples = [{ prompt: 'p', completion: 'c' }];
  const text = Array.from({ length: 1000 }, (_, i) => line({ time, type: 'samples', step: i, samples }));
  writeFileSync(file, text.join(''));
  const run = new RunFile(folder, path);
  await run.refresh();
  const kept = run.series.log.samples.map(({ step }) => step);
  expect(kept.length).toBeGreaterThan(30);
  expect(kept.length).toBeLessThanOrEqual(64);
  expect([kept[0], kept.at(-1)]).toEqual([0, 999]);
  expect(Math.max(...kept.slice(1).map((step, i) => step - kept[i]!))).toBeLessThanOrEqual(32);
});

test('a file that is deleted leaves no events behind', async () => {
  writeFileSync(file, step(1));
  const run = new RunFile(folder, path);
  await run.refresh();
  rmSync(file);
  await run.refresh();
  expect([steps(run), run.generation]).toEqual([[], 1]);
});

test('thousands of updates are told by place and number', async () => {
  writeFileSync(file, Array.from({ length: 9000 }, (_, i) => update(i + 1)).join(''));
  const run = new RunFile(folder, path);
  await run.refresh();
  const marks = run.series.marks();
  expect(marks.length).toBeLessThanOrEqual(4096);
  expect(marks.reduce((sum, { count }) => sum + count, 0)).toBe(9000);
});

test('a folder in the place of a file is no run without events', async () => {
  mkdirSync(file);
  const run = new RunFile(folder, path);
  await run.refresh();
  expect(steps(run)).toEqual([]);
});
