/** Commands that several processes can share, on tiny models and rows enough for several micro-batches. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { initModel } from '#reanchor/models/init.js';
import { saveModel } from '#reanchor/models/save.js';
import { runHere } from './command-here.js';
import type { CommandRanks } from './command-ranks.js';
import { tinyModel, tinyPairs } from './training.js';

export interface SharedCommand {
  name: string;
  args: readonly string[];
  /** The flags of the files that it writes. */
  writes: readonly string[];
  /** Where its files are. */
  folder: string;
}

const jsonl = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/** Writes models and rows into a folder; the commands that read them. */
export async function sharedCommands(folder: string): Promise<SharedCommand[]> {
  const other = join(folder, 'other');
  cpSync(tinyModel, other, { recursive: true });
  using model = initModel(JSON.parse(readFileSync(join(tinyModel, 'config.json'), 'utf8')), {
    seed: 3,
    dtype: 'float32',
  });
  await saveModel(model, other);
  const place = (name: string, rows: readonly object[]) => {
    const file = join(folder, name);
    writeFileSync(file, jsonl(rows));
    return file;
  };
  const prompts = place(
    'prompts.jsonl',
    Array.from({ length: 7 }, (_, i) => ({ prompt: 'Once upon a time there was a cat '.repeat(1 + (i % 3)) + i })),
  );
  const one = place('one.jsonl', [{ prompt: 'A dog' }]);
  const rows = readFileSync(tinyPairs, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { chosen: string; rejected: string }); // biome-ignore format: short
  const written = rows.flatMap((row, i) =>
    [0, 1].map((j) => ({ ...row, prompt: `${i} ${j} ${row.chosen.slice(0, 80)}` })),
  );
  const answers = (name: string, key: 'chosen' | 'rejected') =>
    place(name, written.map((row) => ({ prompt: row.prompt, completion: row[key], finish: 'stop' }))); // biome-ignore format: short
  const [good, bad] = [answers('good.jsonl', 'chosen'), answers('bad.jsonl', 'rejected')];
  const writing = ['--max-new-tokens', '9', '--samples', '2', '--batch-size', '3', '--seed', '4'];
  const commands: Omit<SharedCommand, 'folder'>[] = [
    {
      name: 'score',
      args: ['score', '--model', other, '--reference', tinyModel, '--data', tinyPairs, tinyPairs],
      writes: ['--out'],
    },
    { name: 'generate', args: ['generate', '--model', tinyModel, '--prompts', prompts, ...writing], writes: ['--out'] },
    {
      name: 'generate of one prompt',
      args: ['generate', '--model', tinyModel, '--prompts', one, '--max-new-tokens', '5', '--stop', 'e'],
      writes: ['--out'],
    },
    {
      name: 'eval kl of prompts',
      args: ['eval', 'kl', '--model', other, '--reference', tinyModel, '--prompts', prompts, ...writing, '--exact'],
      writes: ['--json'],
    },
    {
      name: 'eval kl of answers',
      args: ['eval', 'kl', '--model', other, '--reference', tinyModel, '--answers', good],
      writes: ['--json'],
    },
    {
      name: 'eval logps',
      args: ['eval', 'logps', tinyModel, `other=${other}`, '--data', tinyPairs, tinyPairs, '--resamples', '50'],
      writes: ['--json'],
    },
    {
      name: 'eval winrate by rewards',
      args: [
        'eval',
        'winrate',
        '--answers',
        `good=${good}`,
        `bad=${bad}`,
        '--judge-model',
        other,
        '--judge-reference',
        tinyModel,
        '--resamples',
        '50',
      ],
      writes: ['--out', '--json'],
    },
  ];
  return commands.map((command) => ({ ...command, folder }));
}

/** The flags of the files that a command writes, named for a run of it, and what is in them. */
export function outputs({ writes, folder }: SharedCommand, run: string) {
  const files = writes.map((flag) => join(folder, `${run}${flag}`));
  return {
    flags: writes.flatMap((flag, i) => [flag, files[i]!]),
    contents: () => files.map((file) => readFileSync(file, 'utf8')),
  };
}

/** Runs a command in one process and in `world`: rank 0 writes and prints the same, and the others print nothing. */
export async function expectSame(command: SharedCommand, ranks: CommandRanks, world: number): Promise<void> {
  const [one, several] = [`${command.name} 1`, `${command.name} ${world}`];
  const [ofOne, ofSeveral] = [outputs(command, one), outputs(command, several)];
  const alone = await runHere([...command.args, ...ofOne.flags]);
  expect(alone).toMatchObject({ code: 0 });
  const [first, ...others] = await ranks.run(world, [...command.args, ...ofSeveral.flags]);
  expect(others).toEqual(others.map(() => ({ code: 0, stdout: '', stderr: '' })));
  expect(first).toMatchObject({ code: 0, stdout: alone.stdout });
  const printed = (text: string, run: string) => withoutPace(text.replaceAll(join(command.folder, run), 'FILE'));
  expect(printed(first!.stderr, several)).toBe(printed(alone.stderr, one));
  expect(ofSeveral.contents()).toEqual(ofOne.contents());
}

/** What is printed but for how far the work was at what time. */
const withoutPace = (text: string) =>
  text.replaceAll(/^(generating|writing|measuring|scoring|judged|\S+: scored).*\n/gm, '');
