// Commands that several processes share, beside the same commands of one: what they write and print, to the bit.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startCommand } from '../support/command.js';
import { runHere } from '../support/command-here.js';
import { CommandRanks } from '../support/command-ranks.js';
import { expectSame, outputs, type SharedCommand, sharedCommands } from '../support/commands.js';
import { tinyModel } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'parallel-commands-'));
let ranks: CommandRanks;
let commands: SharedCommand[];
beforeAll(async () => {
  [ranks, commands] = await Promise.all([CommandRanks.start(2), sharedCommands(folder)]);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await ranks[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const commandOf = (name: string) => commands.find((command) => command.name === name)!;

// All of them are in commands.slow.test.ts.
test.each(['score', 'generate', 'generate of one prompt', 'eval kl of prompts', 'eval winrate by rewards'])(
  '%s: two processes write and print what one does',
  (name) => expectSame(commandOf(name), ranks, 2),
);

test('generate goes on from what one process has left, and writes the same', async () => {
  const command = commandOf('generate');
  const [one, two] = [outputs(command, 'partial 1'), outputs(command, 'partial 2')];
  const { generateFile } = await import('#reanchor/generate/index.js');
  const stop = new AbortController();
  const [prompts, out] = [command.args[command.args.indexOf('--prompts') + 1]!, one.flags[1]!];
  const options = { model: tinyModel, prompts, out, maxNewTokens: 9, samples: 2, batchSize: 3, seed: 4 };
  const begun = generateFile({
    ...{ ...options, temperature: 1, stopStrings: [], signal: stop.signal },
    onProgress: ({ done }) => done >= 3 && stop.abort(),
  });
  await expect(begun).rejects.toThrow(/abort/);
  const kept = readFileSync(`${out}.partial`, 'utf8');
  expect(kept.trim().split('\n').length).toBeGreaterThan(3);
  cpSync(`${out}.partial`, `${two.flags[1]}.partial`);
  const alone = await runHere([...command.args, ...one.flags]);
  const [first] = await ranks.run(2, [...command.args, ...two.flags]);
  expect(alone.stderr).toMatch(/going on after \d+ of 14/);
  expect(first!.stderr).toMatch(/going on after \d+ of 14/);
  expect(two.contents()).toEqual(one.contents());
  // What was kept is taken as it is.
  const lines = kept.trim().split('\n').slice(1);
  for (const line of lines) expect(two.contents()[0]!.split('\n')).toContain(line);
  expect(existsSync(`${two.flags[1]}.partial`)).toBe(false);
});

test('what is wrong on one process ends all, and is said with its rank', async () => {
  const command = commandOf('score');
  const { flags } = outputs(command, 'failed');
  const [first, second] = await ranks.run(2, (rank) => [
    ...command.args,
    ...flags,
    ...(rank === 1 ? ['--max-length', '32'] : []),
  ]);
  expect(second!.stderr).toMatch(/^error: --max-length: rank 1 reads something else than rank 0: give all/);
  expect(first!.stderr).toMatch(/^error: rank 0 of 2 .*Rank 1 said: --max-length: rank 1 reads something else/);
  expect([first!.code, second!.code]).toEqual([1, 1]);

  expect(existsSync(flags[1]!)).toBe(false);
});

test('what is wrong for all is said once, by rank 0', async () => {
  const [first, second] = await ranks.run(2, [
    ...commandOf('score').args,
    ...['--model', join(folder, 'missing'), '--out', join(folder, 'never')],
  ]);
  expect(first).toMatchObject({ code: 1, stderr: expect.stringMatching(/^error: .*missing/) });
  expect(second).toEqual({ code: 1, stdout: '', stderr: '' });
});

test('--processes starts them', async () => {
  const command = commandOf('generate');
  const [one, two] = [outputs(command, 'started 1'), outputs(command, 'started 2')];
  await runHere([...command.args, ...one.flags]);
  const { ended } = startCommand([...command.args, ...two.flags, '--processes', '2']);
  expect(await ended).toMatchObject({
    code: 0,
    stdout: '',
    stderr: expect.stringContaining('wrote 14 completions to'),
  });
  expect(two.contents()).toEqual(one.contents());
});

test('work of one process is refused, and an environment that is half-set', async () => {
  const prompt = ['generate', '--model', tinyModel, '--prompt', 'Hi', '--processes', '2'];
  expect(await runHere(prompt)).toMatchObject({
    code: 2,
    stderr: 'error: --processes: --prompt streams one text, which one process does\n',
  });
  const judge = [
    'eval',
    'winrate',
    '--answers',
    'a',
    'b',
    '--judge-url',
    'http://127.0.0.1:9/v1',
    '--judge-model',
    'm',
  ];
  expect(await runHere([...judge, '--processes', '2'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--judge-reference'),
  });
  vi.stubEnv('WORLD_SIZE', '2');
  for (const { name, args } of commands) {
    const { code, stderr } = await runHere([...args, ...outputs(commandOf(name), 'half').flags]);
    expect(stderr, name).toMatch(/^error: WORLD_SIZE is set and RANK is not: /);
    expect(code).toBe(2);
  }
});
