// The command, stopped by signals of the system in a process of its own, and gone on with.
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { startCommand } from '../support/command.js';
import { outcome, resumableRecipe } from '../support/resuming.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-signals-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs the command; `onErrors` hears what it has written to stderr so far. */
async function reanchor(
  args: string[],
  onErrors: (text: string, kill: (signal: NodeJS.Signals) => void) => void = () => {},
) {
  const { child, ended } = startCommand(args, {
    onErrors: (text) => onErrors(text, (signal) => child.kill(signal)),
  });
  return ended;
}

test('SIGTERM ends after the step with a checkpoint and code 130, a second signal at once; --resume finishes the run', async () => {
  const set = ['steps=400', 'evaluate.every=400', 'logEvery=10', 'reference={ update: hard, tau: 7, storage: cached }'];
  const recipe = resumableRecipe(tinyModel, ...set);
  const file = join(folder, 'recipe.yaml');
  const { epochs: _, ...written } = recipe;
  writeFileSync(file, JSON.stringify(written));
  const out = join(folder, 'run');
  const start = (...more: string[]) => ['train', file, '--out', out, ...more];
  const whole = train({ recipe, out: join(folder, 'whole'), command: [] });

  let isSent = false;
  const once = (when: RegExp, ...signals: NodeJS.Signals[]) => {
    isSent = false;
    return (text: string, kill: (signal: NodeJS.Signals) => void) => {
      if (isSent || !when.test(text)) return;
      isSent = true;
      for (const signal of signals) kill(signal);
    };
  };
  const first = await reanchor(start(), once(/^step \d+/m, 'SIGTERM'));
  expect(first).toMatchObject({ code: 130, signal: null });
  expect(first.stderr).toMatch(
    /stopping after this step, with a checkpoint.*stopped after \d+ of 400 steps; to go on:\n.*--resume/s,
  );
  const [name] = readdirSync(join(out, 'checkpoints'));
  expect(first.stdout).toContain(`model  ${join(out, 'checkpoints', name!)}`);

  const second = await reanchor(start('--resume'), once(/going on after step \d+ of 400/, 'SIGINT', 'SIGTERM'));
  expect([second.code, second.signal]).not.toEqual([0, null]);

  const third = await reanchor(start('--resume', '--set', 'steps=401'));
  expect(third).toMatchObject({ code: 1 });
  expect(third.stderr).toContain('steps: 400 -> 401');
  expect((await reanchor(start('--resume'))).code).toBe(0);
  await whole;
  expect(outcome(out)).toEqual(outcome(join(folder, 'whole')));
  const again = await reanchor(start('--resume'));
  expect(again.code).toBe(0);
  expect(again.stderr).toContain('is finished already');
  expect(existsSync(join(out, 'run.lock'))).toBe(false);
  expect(recipe.data.train).toBe(tinyPairs);
});
