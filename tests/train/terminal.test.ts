// The command when its terminal, or who read what it writes, is gone.
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readEvents } from '#reanchor/runs/index.js';
import { startCommand } from '../support/command.js';
import { resumableRecipe } from '../support/resuming.js';
import { tinyModel } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-terminal-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a recipe; returns the arguments that train it. */
function training(name: string, ...set: string[]) {
  const { epochs: _, ...recipe } = resumableRecipe(tinyModel, 'logEvery=1', ...set);
  const [file, out] = [join(folder, `${name}.yaml`), join(folder, name)];
  writeFileSync(file, JSON.stringify(recipe));
  return { out, args: ['train', file, '--out', out] };
}
const lastOf = (out: string) => readEvents(join(out, 'events.jsonl')).events.at(-1);

test('a terminal that is closed ends a run after its step, with a checkpoint, however often that is told', async () => {
  const { out, args } = training('closed', 'steps=100000', 'evaluate.every=100000');
  let isClosed = false;
  const { child, ended } = startCommand(args, {
    onErrors: (text) => {
      if (isClosed || !/^step \d+/m.test(text)) return;
      isClosed = true;
      child.stdout.destroy();
      child.stderr.destroy();
      for (let i = 0; i < 3; i++) child.kill('SIGHUP');
    },
  });
  expect(await ended).toMatchObject({ code: 130, signal: null });
  expect(readdirSync(join(out, 'checkpoints'))).toHaveLength(1);
  expect(lastOf(out)).toMatchObject({ type: 'end' });
  expect(existsSync(join(out, 'run.lock'))).toBe(false);
});

test.each([['stdout'], ['stderr'], ['stdout', 'stderr']] as const)(
  'a run goes on to its end when nobody reads its %s %s',
  async (...streams) => {
    const { out, args } = training(streams.join('-'));
    const { child, ended } = startCommand(args);
    for (const stream of streams) child[stream].destroy();
    expect(await ended).toMatchObject({ code: 0, signal: null });
    expect(existsSync(join(out, 'final/model.safetensors'))).toBe(true);
    expect(lastOf(out)).toMatchObject({ type: 'end', steps: 8 });
  },
);
