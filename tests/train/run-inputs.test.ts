// A run and what it reads: a resume, score --run and tokens --run find it as it was, or say by its key what is not.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { commandLine } from '#reanchor/cli/main.js';
import { Terminal } from '#reanchor/cli/terminal.js';
import { train } from '#reanchor/driver/index.js';
import { score } from '#reanchor/eval/score.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { type RunEvent, readRun } from '#reanchor/runs/index.js';
import { otherLlama } from '../support/resuming.js';
import { tinyModel } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-run-inputs-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const place = (name = 'run') => join(folder, `${name}-${count++}`);

const template =
  "{{ strftime_now('%d %b') }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]";
const jsonl = (name: string, row: (i: number) => object) => {
  const file = `${place(name)}.jsonl`;
  writeFileSync(file, Array.from({ length: 12 }, (_, i) => `${JSON.stringify(row(i))}\n`).join(''));
  return file;
};
const pairs = jsonl('pairs', (i) => ({ prompt: `q ${i}`, chosen: `yes ${i}`, rejected: `no ${i}` }));
const recipe = (...set: string[]) =>
  parseRecipe(
    `{ model: ${tinyModel}, method: dpo, batch: { size: 4 }, steps: 3, threads: 1,
       data: { train: ${pairs}, validation: ${pairs}, maxLength: 60 } }`,
    { file: 'test.yaml', set, env: {} },
  );
const trained = async (...set: string[]) => (await train({ recipe: recipe(...set), out: place(), command: [] })).folder;

/** What a command prints. */
async function printed(...args: string[]): Promise<string> {
  let text = '';
  const write = (piece: string) => (text += piece);
  const terminal = new Terminal({ stdout: { write }, stderr: { write }, env: {} });
  await commandLine(terminal).parseAsync(['node', 'reanchor', ...args]);
  return text;
}
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('a resume tells of a chat template that has changed, and not of the rows', () => {
  test.each([
    ['that become others by it', template.replace('%d %b', '%d')],
    ['that are all skipped by it', `${template} `],
  ])('%s', async (_rows, changed) => {
    const file = `${place('template')}.jinja`;
    writeFileSync(file, template);
    const options = { recipe: recipe(`data.chatTemplate=${file}`), out: place(), command: [] };
    const stop = new AbortController();
    const onEvent = ({ type }: RunEvent) => type === 'step' && stop.abort();
    await train({ ...options, onEvent, signal: stop.signal });
    writeFileSync(file, changed);
    const resumed = () => train({ ...options, resume: true });
    await expect(resumed()).rejects.toThrow(/cannot go on: the chat template has other content than when the run/);
    writeFileSync(file, template);
    expect((await resumed()).isFinished).toBe(true);
  });
});

describe('what the recipe of a run names', () => {
  test('is where the run began, or is named by its key and run.json, and not asked for on the Hub', async () => {
    const here = join(folder, 'here');
    mkdirSync(join(here, 'rows'), { recursive: true });
    writeFileSync(join(here, 'rows/pairs.jsonl'), readFileSync(pairs));
    const cwd = vi.spyOn(process, 'cwd');
    const run = place();
    process.chdir(here);
    try {
      await train({
        recipe: recipe('data.validation=rows/pairs.jsonl', 'data.train=rows/pairs.jsonl'),
        out: run,
        command: [],
      });
      await score({ run, out: place('scores') });
    } finally {
      process.chdir(folder);
    }
    cwd.mockRestore();
    const missing = (key: string) => `${key} of ${run}/run.json names rows/pairs.jsonl, which is not there; paths are`;
    await expect(score({ run, out: place('scores') })).rejects.toThrow(missing('data.validation'));
    await expect(printed('tokens', '--run', run)).rejects.toThrow(missing('data.train'));
    await score({ run, data: [pairs], out: place('scores') });
  });

  test('has to be what it was: rows, and the model that rewards are measured against', async () => {
    const rows = jsonl('changing', (i) => ({ prompt: `q ${i}`, chosen: `yes ${i}`, rejected: `no ${i}` }));
    const same = { prompt: 'q', chosen: 'same', rejected: 'same' };
    writeFileSync(rows, `${readFileSync(rows, 'utf8')}${JSON.stringify(same)}\n`);
    const keeps = await trained(`data.validation=${rows}`, 'data.keepIdentical=true');
    const run = await trained(`data.validation=${rows}`);
    expect(Object.keys(readRun(run).run.sources!)).toEqual(['model', 'data.train', 'data.validation']);
    const out = place('scores');
    expect((await score({ run: keeps, out })).scored).toBe(13);
    const { scored } = await score({ run, out });
    writeFileSync(rows, readFileSync(rows, 'utf8').replaceAll('yes', 'yea'));
    await expect(score({ run, out })).rejects.toThrow(/data\.validation of .*run\.json names are other rows than when/);
    expect((await score({ run, out, data: [rows] })).scored).toBe(scored);
    expect((await score({ run, out, maxLength: 50 })).scored).toBe(scored);

    const other = await otherLlama(folder);
    const info = JSON.parse(readFileSync(join(run, 'run.json'), 'utf8'));
    info.recipe.model = other;
    writeFileSync(join(run, 'run.json'), JSON.stringify(info));
    await expect(score({ run, out, data: [pairs] })).rejects.toThrow(
      /other is what model of .*run\.json names, and has other content than when the run began: .* with reference$/,
    );
    expect((await score({ run, out, data: [pairs], reference: other })).scored).toBe(12);
  });
});

describe('tokens --run', () => {
  test('shows rows with template and date of the run, wherever the file of the template has gone', async () => {
    const file = `${place('template')}.jinja`;
    writeFileSync(file, template);
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-11-28T12:00:00') });
    const run = await trained(`data.chatTemplate=${file}`);
    const before = await printed('tokens', '--run', run, '--rows', '2');
    expect(before).toContain(`every row through the chat template ${file.slice(0, 40)}`);
    expect(before.replace(/[|\u00b7]/g, '')).toContain('28Nov[user]q0[assistant]');
    rmSync(file);
    vi.setSystemTime(new Date('2026-12-03T12:00:00'));
    expect(await printed('tokens', '--run', run, '--rows', '2')).toBe(before);
  });

  test('takes no recipe beside it, nor other values', async () => {
    await expect(printed('tokens')).rejects.toThrow('name either a recipe, or a run with --run');
    await expect(printed('tokens', 'a.yaml', '--run', 'b')).rejects.toThrow('name either a recipe, or a run');
    await expect(printed('tokens', '--run', 'b', '--set', 'seed=1')).rejects.toThrow('--set has no effect with --run');
  });
});

describe('the line that a run prints last works as it stands', () => {
  const texts = jsonl('texts', (i) => ({
    messages: [
      { role: 'user', content: `q ${i}` },
      { role: 'assistant', content: 'a' },
    ],
  }));
  const labelled = jsonl('labelled', (i) => ({ prompt: `q ${i}`, completion: `a ${i}`, label: i % 2 === 0 }));
  const data = (rows: string, format: string) => ({
    train: rows,
    validation: rows,
    maxLength: 60,
    format,
    chatTemplate: 'hh',
  });

  test.each([
    ['sft', data(texts, 'messages')],
    ['kto', data(labelled, 'unpaired')],
    ['dpo', data(pairs, 'explicit')],
  ])('%s', async (method, section) => {
    const file = `${place('recipe')}.yaml`;
    const document = { model: tinyModel, method, batch: { size: 4 }, steps: 2, threads: 1, data: section };
    writeFileSync(file, JSON.stringify(document));
    const run = place();
    const line = /^next +npx reanchor (.*)$/m.exec(await printed('train', file, '--out', run))![1]!;
    const out = place('scores');
    const words = line.split(' ').map((word) => ({ 'scores.jsonl': out, PAIRS: pairs })[word] ?? word);
    expect(line.includes('PAIRS')).toBe(method === 'kto');
    expect(await printed(...words)).toMatch(method === 'sft' ? `as in ${run}` : /^scored +12$/m);
    if (method !== 'dpo')
      await expect(score({ run, out })).rejects.toThrow(/are no pairs: name files of preference pairs with data$/);
  });
});
