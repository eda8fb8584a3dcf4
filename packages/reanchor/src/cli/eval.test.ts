import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { asPrinted } from '../../../../tests/support/as-printed.js';
import { commandLine } from './main.js';
import { Terminal } from './terminal.js';

const folder = mkdtempSync(join(tmpdir(), 'eval-'));
afterAll(() => rmSync(folder, { recursive: true }));
const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

/** Runs the command in this process; gives what it wrote. */
async function run(...args: string[]) {
  const written = { stdout: '', stderr: '' };
  const terminal = new Terminal({
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    env: {},
  });
  await commandLine(terminal).parseAsync(['node', 'reanchor', 'eval', ...args]);
  return written;
}

test('the group has these verbs, and a new one is a decision', () => {
  const group = commandLine(new Terminal()).commands.find((command) => command.name() === 'eval')!;
  expect(group.commands.map((command) => command.name())).toEqual([
    'alpaca',
    'arena',
    'winrate',
    'ratings',
    'kl',
    'logps',
    'diversity',
    'front',
  ]);
});

test('alpaca prints a table and writes all numbers', async () => {
  const row = { model: 'm', len_1: [5, 6, 7], len_2: [7, 6, 1], preference: [2, 1.5, 1] };
  const inputs = write('inputs.jsonl', JSON.stringify(row));
  const difficulty = write('difficulty.csv', 'index,instruction_difficulty\n0,0.5\n1,-1\n2,1\n');
  const gamed = { S1: 0, S2: 0, lengths: { verbose: { len_1: [5, 6, 7], len_2: [9, 8, 7] } } };
  const baselines = write('gamed.json', JSON.stringify(gamed));
  const expected = write('expected.csv', 'model,win_rate,length_controlled_winrate,C\nm,50,49,21.5\n');
  const json = join(folder, 'out.json');
  const files = ['--lc-inputs', inputs, '--difficulty', difficulty, '--baselines', baselines];
  const { stdout, stderr } = await run('alpaca', ...files, '--expected', expected, '--json', json);
  const [head, line] = stdout.split('\n').map((one) => one.split(/ {2,}/));
  expect(head!.slice(0, 6)).toEqual(['model', 'rows', 'win rate', 's.e.', 'length-controlled', 'C']);
  expect(line!.slice(0, 4)).toEqual(['m', '3', '50.00', '28.87']);
  expect(line![5]).toBe('21.5');
  expect(line![7]).toBe('+0.0000');
  expect(stderr).toBe(`wrote ${json}\n`);
  const document = JSON.parse(readFileSync(json, 'utf8'));
  expect(document.models[0]).toMatchObject({ model: 'm', win_rate: 50, c: 21.5, difference: { win_rate: 0 } });
  expect(document.models[0].difference.lc_win_rate).toBeCloseTo(document.models[0].lc_win_rate - 49, 12);
  await expect(run('alpaca', ...files, '--c', '0')).rejects.toThrow(/--c: "0" is not allowed; a number above 0 is/);
});

test.each([
  [['alpaca'], /^give either --lc-inputs or --annotations: /],
  [['alpaca', '--lc-inputs', 'x', '--reference-outputs', 'y'], /^--outputs and --reference-outputs go with --annota/],
  [['winrate', '--answers', 'x', '--judge-model', 'm', '--judge-url', 'http://127.0.0.1:9/v1'], /^--answers needs two/],
  [['diversity', '--answers', 'x.jsonl', 'y/x.jsonl'], /name them, as in --answers a=x\.jsonl b=\.\.\.$/],
  [['front', 'x', 'y/x'], /name them, as in a=x b=\.\.\.$/],
])('%j is told with flags', async (words, message) => {
  await expect(
    asPrinted(run(...words, ...(words[0] === 'winrate' ? ['--cache', join(folder, 'c.jsonl')] : []))),
  ).rejects.toThrow(message);
});

test('alpaca says why a number is missing, and goes on', async () => {
  const row = { len_1: [5, 6, 7], preference: [2, 1.5, 1] };
  const models = [
    { ...row, model: 'constant', len_2: [7, 8, 9] },
    { ...row, model: 'unjudged', len_2: [7, 6, 1], preference: [null, null, null] },
    { ...row, model: 'm', len_2: [7, 6, 1] },
  ];
  const inputs = write('three.jsonl', models.map((model) => JSON.stringify(model)).join('\n'));
  const difficulty = write('d.csv', 'index,instruction_difficulty\n2,1\n0,0.5\n1,-1\n');
  const gamed = { S1: 0, S2: 0, lengths: { verbose: { len_1: [5, 6, 7], len_2: [9, 8, 7] } } };
  const files = [
    '--lc-inputs',
    inputs,
    '--difficulty',
    difficulty,
    '--baselines',
    write('g.json', JSON.stringify(gamed)),
  ];
  const json = join(folder, 'three.json');
  const { stdout, stderr } = await run('alpaca', ...files, '--json', json);
  const cells = stdout.split('\n').map((line) => line.split(/ {2,}/).slice(0, 5));
  expect(cells.slice(1, 3)).toEqual([
    ['constant', '3', '50.00', '28.87', '-'],
    ['unjudged', '0', '-', '-', '-'],
  ]);
  expect(cells[3]![4]).toMatch(/^\d+\.\d\d$/);
  expect(stderr).toMatch(/^constant: all answers differ .* same length, .*\nunjudged: no row was judged\nwrote /);
  expect(JSON.parse(readFileSync(json, 'utf8')).models[1]).toMatchObject({ n: 0, win_rate: null, lc_win_rate: null });
});

test('arena names the models and categories that no verdict counts of', async () => {
  const row = (uid: string, category: string, model: string, score: string | null) => ({
    ...{ uid, category, model, baseline: 'base', games: [{ score }, { score }] },
  });
  const rows = [row('1', 'math', 'm', null), row('2', 'coding', 'm', 'A=B'), row('2', 'coding', 'n', null)];
  const judgments = write('some.jsonl', rows.map((one) => JSON.stringify(one)).join('\n'));
  const { stdout, stderr } = await run('arena', '--judgments', judgments);
  expect(stdout).toMatch(/^math against base .*\ncoding against base .*\nm +50\.00 /);
  expect(stderr).toBe('math: no verdict on m counts, of 1 questions\ncoding: no verdict on n counts, of 1 questions\n');
});

test('arena prints a leaderboard for each category', async () => {
  const games = [{ score: 'A>B' }, { score: 'A>>B' }];
  const rows = [
    { uid: '1', category: 'hard_prompt', model: 'm', baseline: 'base', games },
    { uid: '2', category: 'hard_prompt', model: 'm', baseline: 'base', games: [null, { score: 'A=B' }] },
  ];
  const judgments = write('judgments.jsonl', rows.map((row) => JSON.stringify(row)).join('\n'));
  const json = join(folder, 'arena.json');
  const { stdout, stderr } = await run('arena', '--judgments', judgments, '--json', json);
  expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['hard_prompt against base', 'score', '90 % interval', 'questions', 'wins', 'ties', 'losses', 'no verdict'],
    ['m', '75.00', '75.00 to 75.00', '1', '1', '0', '1', '1'],
    [''],
  ]);
  expect(stderr).toContain('1 game without a verdict: 1 question is left out');
  const { leaderboards } = JSON.parse(readFileSync(json, 'utf8'));
  expect(leaderboards[0].models[0].score).toBeCloseTo(75, 5);
  await expect(run('arena', '--judgments', judgments, '--style', 'bold')).rejects.toThrow(/length, markdown, both are/);
});
