import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { narrowModel } from '../../../../../tests/support/narrow-model.js';
import { commandLine } from '../../cli/main.js';
import { Terminal } from '../../cli/terminal.js';
import { openWeights, writeSafetensors } from '../../formats/index.js';
import { score } from '../score.js';
import { checkpointLogps } from './logps.js';
import { modelsOf } from './models.js';

const folder = mkdtempSync(join(tmpdir(), 'logps-'));
afterAll(() => rmSync(folder, { recursive: true }));
const fixtures = fileURLToPath(new URL('../../../../../tests/fixtures/', import.meta.url));
const tiny = join(fixtures, 'models/llama-tiny');

/** The tiny model with its weights times a factor. */
async function scaled(path: string, factor: number): Promise<string> {
  const target = join(folder, path);
  cpSync(tiny, target, { recursive: true });
  const weights = readFileSync(join(tiny, 'model.safetensors'));
  const tensors = [...(await openWeights(tiny))].map(([name, { dtype, shape, begin, end }]) => {
    const data = Uint8Array.from(weights.subarray(begin, end));
    const values = new Float32Array(data.buffer);
    for (let i = 0; i < values.length; i++) values[i] = values[i]! * factor;
    return { name, dtype, shape, bytes: () => data };
  });
  await writeSafetensors(join(target, 'model.safetensors'), tensors);
  return target;
}

const lines = readFileSync(join(fixtures, 'text/pairs.jsonl'), 'utf8').split('\n');
const data = join(folder, 'pairs.jsonl');
const twice = '\n\nHuman: Hi\n\nAssistant: Hello';
const same = JSON.stringify({ chosen: twice, rejected: twice });
writeFileSync(data, [...lines.slice(0, 24), same].join('\n'));

const run = join(folder, 'runs/hard');
mkdirSync(join(run, 'checkpoints/step-000300'), { recursive: true });
await scaled('runs/hard/checkpoints/step-000100', 0.9);
await scaled('runs/hard/checkpoints/step-000020', 0.97);
await scaled('runs/hard/final', 0.8);

describe('the models of what is given', () => {
  test('a run stands for its checkpoints by step and its final model; one that is not whole is none', () => {
    expect(modelsOf([tiny, `${run}/`, 'owner/name']).map(({ name }) => name)).toEqual([
      tiny,
      `${run}/step-000020`,
      `${run}/step-000100`,
      `${run}/final`,
      'owner/name',
    ]);
    expect(modelsOf([`h=${join(run, 'checkpoints')}`]).map(({ name }) => name)).toEqual([
      'h/step-000020',
      'h/step-000100',
    ]);
  });

  test('mistakes say what to do', () => {
    expect(() => modelsOf([folder])).toThrow(/holds no model: .* checkpoints\/step-\* and final/);
    expect(() => modelsOf([tiny, tiny])).toThrow(/two models go by the name .*: name them/);
  });
});

test('means are those of score, row by row; changes are paired', async () => {
  const { models, rows, scored, skipped } = await checkpointLogps({
    models: [tiny, `h=${run}`],
    data: [data],
    resamples: 400,
  });
  expect([rows, scored, [...skipped.byReason.keys()]]).toEqual([25, 24, ['identical pair']]);
  expect(models.map(({ name }) => name)).toEqual([tiny, 'h/step-000020', 'h/step-000100', 'h/final']);
  type Line = { chosen: { logprob: number }; rejected: { logprob: number } };
  const scores: Line[][] = [];
  for (const { model } of [models[0]!, models[3]!]) {
    const out = join(folder, 'scores.jsonl');
    await score({ model, data: [data], out });
    scores.push(
      readFileSync(out, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
        .filter((line) => line.chosen),
    );
  }
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  for (const part of ['chosen', 'rejected'] as const) {
    const [first, last] = scores.map((some) => some.map((line) => line[part].logprob)) as [number[], number[]];
    expect(models[0]!.logps[part].mean).toBeCloseTo(mean(first), 9);
    expect(models[3]!.logps[part].mean).toBeCloseTo(mean(last), 9);
    const { estimate, low, high } = models[3]!.change![part];
    expect(estimate).toBeCloseTo(mean(last.map((value, i) => value - first[i]!)), 9);
    expect(low).toBeLessThan(estimate);
    expect(high).toBeGreaterThan(estimate);
    // Pairs share their rows: the interval is far narrower than the spread of the rows themselves would give.
    expect(high - low).toBeLessThan(2 * 1.96 * models[0]!.logps[part].standardError);
  }
  const share = mean(scores[1]!.map(({ chosen, rejected }) => Number(chosen.logprob > rejected.logprob)));
  expect(models[3]!.accuracy).toBeCloseTo(share, 12);
  expect(models[0]!.change).toBeUndefined();
});

test('five equal pairs of each prompt say as much as one', async () => {
  const [rows] = [readFileSync(data, 'utf8').trim().split('\n').slice(0, 12)];
  const files = [1, 5].map((copies) => {
    const file = join(folder, `copies-${copies}.jsonl`);
    writeFileSync(file, rows.flatMap((row) => Array(copies).fill(`${row}\n`)).join(''));
    return file;
  });
  const found = await Promise.all(
    files.map((file) => checkpointLogps({ models: [tiny, `h=${run}`], data: [file], resamples: 200 })),
  );
  const [one, five] = found.map(({ models }) => models.at(-1)!);
  expect(found.map(({ scored }) => scored)).toEqual([12, 60]);
  for (const measure of ['chosen', 'rejected', 'margin'] as const) {
    expect(five!.logps[measure].standardError).toBeCloseTo(one!.logps[measure].standardError, 6);
    for (const end of ['low', 'high'] as const)
      expect(five!.change![measure][end]).toBeCloseTo(one!.change![measure][end], 6);
  }
});

test('rows that are longer than one of the models was made for are told of once, with both numbers', async () => {
  const narrow = narrowModel(join(folder, 'narrow'), 40);
  const notes: string[] = [];
  const options = { data: [data], resamples: 10, onNote: (note: string) => notes.push(note) };
  await checkpointLogps({ ...options, models: [tiny], maxLength: 60 });
  expect(notes).toEqual([]);
  await checkpointLogps({ ...options, models: [`h=${run}`, narrow], maxLength: 60 });
  await score({ ...options, model: narrow, reference: narrow, maxLength: 60, out: join(folder, 'narrow.jsonl') });
  const note = expect.stringMatching(/the longest row has 60 tokens and the model was made for 40 \(max_position_emb/);
  expect(notes).toEqual([note, note]);
});

test('a model with another tokenizer is refused', async () => {
  const other = await scaled('other', 1);
  const tokenizer = JSON.parse(readFileSync(join(tiny, 'tokenizer.json'), 'utf8'));
  tokenizer.model.merges = tokenizer.model.merges.slice(0, 5);
  writeFileSync(join(other, 'tokenizer.json'), JSON.stringify(tokenizer));
  await expect(checkpointLogps({ models: [tiny, other], data: [data] })).rejects.toThrow(
    /other tokens than that of .*llama-tiny: log-probabilities of other tokens cannot be compared/,
  );
});

test('the command prints both tables and writes the file', async () => {
  const written = { stdout: '', stderr: '' };
  const terminal = new Terminal({
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    env: {},
  });
  const json = join(folder, 'logps.json');
  const args = ['eval', 'logps', `sft=${tiny}`, `hard=${run}`, '--data', data, '--resamples', '100', '--json', json];
  await commandLine(terminal).parseAsync(['node', 'reanchor', ...args]);
  const cells = written.stdout.split('\n').map((line) => line.split(/ {2,}/));
  expect(cells[0]).toEqual(['nats a completion', 'pairs', 'chosen', 'rejected', 'margin', 'chosen > rejected']);
  const document = JSON.parse(readFileSync(json, 'utf8'));
  expect(document).toMatchObject({ evaluation: 'logps', rows: 25, scored: 24, skipped: { 'identical pair': 1 } });
  const { logps, change } = document.models[3];
  expect(cells[4]!.slice(0, 3)).toEqual(['hard/final', '24', logps.chosen.mean.toFixed(3)]);
  const last = cells.findLast(([name]) => name === 'hard/final')!;
  expect(last[1]).toBe(`${change.chosen.estimate < 0 ? '' : '+'}${change.chosen.estimate.toFixed(3)}`);
  expect(written.stderr).toContain('skipped 1 of 25 rows, identical pair');
});
