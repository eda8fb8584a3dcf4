// Every command that processes share, on 2 to 4 of them; and what is kept when they are stopped or killed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCommand } from '../support/command.js';
import { runHere } from '../support/command-here.js';
import { CommandRanks } from '../support/command-ranks.js';
import { expectSame, sharedCommands } from '../support/commands.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'parallel-commands-'));
let ranks: CommandRanks;
beforeAll(async () => {
  ranks = await CommandRanks.start(4);
});
afterAll(async () => {
  await ranks[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

test('2, 3 and 4 processes write and print what one does', async () => {
  for (const command of await sharedCommands(folder)) {
    for (const world of [2, 3, 4]) await expectSame(command, ranks, world);
  }
});

test('what --processes have started and fails is told once, and its exit code is that of the command', async () => {
  const missing = join(folder, 'missing');
  const { ended } = startCommand([
    'score',
    '--model',
    missing,
    '--data',
    tinyPairs,
    '--out',
    'never',
    '--processes',
    '2',
  ]);
  const { code, stderr } = await ended;
  const told = stderr.trim().split('\n');
  expect(told[0]).toMatch(/^error: .*missing/);
  expect(told.at(-1)).toBe('rank 0 failed first: exit code 1; its own words are above');
  expect(told.filter((line) => line.includes('error'))).toHaveLength(1);
  expect(code).toBe(1);
});

const prompts = join(folder, 'many.jsonl');
const generateTo = (out: string) => [
  ...['generate', '--model', tinyModel, '--prompts', prompts, '--out', out],
  ...['--max-new-tokens', '100', '--batch-size', '2', '--seed', '3'],
];
const linesOf = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []);

/** Starts `generate` in two processes, and returns when `count` lines are kept. */
async function begun(out: string, count: number) {
  const started = startCommand([...generateTo(out), '--processes', '2']);
  let isOver = false;
  started.ended.then(() => (isOver = true));
  while (!isOver && linesOf(`${out}.partial`).length < count) await sleep(5);
  return started;
}

/** The completions without what rounding may change where they go on in other batches. */
const completions = (lines: readonly string[]) =>
  lines.map((line) => {
    const { logprob, ...rest } = JSON.parse(line) as { logprob: number };
    return { ...rest, logprob: logprob.toFixed(3) };
  });

test('generate that is stopped, or of which a process is killed, goes on from all that was kept', async () => {
  const rows = Array.from({ length: 200 }, (_, i) => `${JSON.stringify({ prompt: `Number ${i}` })}\n`);
  writeFileSync(prompts, rows.join(''));
  const whole = join(folder, 'whole');
  await runHere(generateTo(whole));
  const out = join(folder, 'stopped');

  const stopped = await begun(out, 6);
  stopped.child.kill('SIGTERM');
  expect(await stopped.ended).toMatchObject({
    code: 130,
    stderr: expect.stringContaining(`stopped by SIGTERM: what is done is in ${out}.partial`),
  });
  const afterStop = linesOf(`${out}.partial`);
  expect(afterStop.length).toBeGreaterThanOrEqual(6);

  const killed = await begun(out, afterStop.length + 4);
  const { stdout } = spawnSync('/bin/ps', ['-o', 'pid=', '--ppid', String(killed.child.pid)], { encoding: 'utf8' });
  const [, second] = stdout
    .trim()
    .split(/\s+/)
    .map(Number)
    .sort((a, b) => a - b);
  process.kill(second!, 'SIGKILL');
  const { code, stderr } = await killed.ended;
  expect(code).toBe(137);
  expect(stderr.trim().split('\n').at(-1)).toMatch(/^rank 1 failed first: it was killed/);
  const afterKill = linesOf(`${out}.partial`);
  expect(afterKill.slice(0, afterStop.length)).toEqual(afterStop);
  expect(existsSync(out)).toBe(false);

  const [first] = await ranks.run(3, generateTo(out));
  expect(first).toMatchObject({ code: 0, stderr: expect.stringContaining('going on after') });
  for (const line of afterKill.slice(1)) expect(linesOf(out)).toContain(line);
  expect(completions(linesOf(out))).toEqual(completions(linesOf(whole)));
});
