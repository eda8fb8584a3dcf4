import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { UserError } from '../errors.js';
import { recipeSchema } from '../recipe/recipe.js';
import { Checkpointer } from './checkpointer.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'checkpointer-'));
});

const minute = 60_000;
/** Steps that take a minute each; a checkpoint takes `writeMinutes`, or fails with what `fault` returns. */
function steps(
  every: unknown,
  {
    writeMinutes = 0,
    fault = () => undefined,
  }: { writeMinutes?: number; fault?: (step: number) => Error | undefined } = {},
) {
  let [now, step] = [0, 0];
  const warnings: string[] = [];
  const written: number[] = [];
  const { checkpoint: options } = recipeSchema.parse({
    ...{ model: 'm', method: 'dpo', data: { train: 'a' } },
    checkpoint: { every, keep: 1000 },
  });
  const write = async (path: string) => {
    now += writeMinutes * minute;
    const error = fault(step);
    if (error) throw error;
    mkdirSync(path);
    written.push(step);
  };
  const warn = (message: string) => warnings.push(message);
  const checkpointer = new Checkpointer({ folder, options, evaluations: [], write, warn, clock: { now: () => now } });
  const makeSteps = async (count: number) => {
    for (let i = 0; i < count; i++) {
      now += minute;
      step += 1;
      await checkpointer.onPause(step);
    }
    return written;
  };
  return { makeSteps, warnings, checkpointer };
}

it.each([
  [undefined, [15, 30, 45, 60]],
  ['15min', [15, 30, 45, 60]],
  ['0.5h', [30, 60]],
  ['90s', Array.from({ length: 30 }, (_, i) => 2 * (i + 1))],
  ['1000 s', [17, 34, 51]],
  [20, [20, 40, 60]],
  ['never', []],
])('with checkpoint.every %s, steps of a minute are followed by checkpoints at %j', async (every, at) => {
  expect(await steps(every).makeSteps(60)).toEqual(at);
});

it('checkpoints by time take a twentieth of the time at most, however long one takes', async () => {
  expect(await steps('15min', { writeMinutes: 3 }).makeSteps(200)).toEqual([15, 75, 135, 195]);
  expect(await steps(10, { writeMinutes: 3 }).makeSteps(30)).toEqual([10, 20, 30]);
});

const full = () => new UserError('no room', { cause: Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }) });

it('one by time that finds no room is left out with a warning, and tried again after the same time', async () => {
  const { makeSteps, warnings } = steps('15min', { fault: (step) => (step < 40 ? full() : undefined) });
  expect(await makeSteps(60)).toEqual([45, 60]);
  expect(warnings).toEqual(
    [15, 30].map((step) => `there is no checkpoint after step ${step}: no room. The run goes on without`),
  );
});

it('one by steps that finds no room ends the run, as does any other fault, and one that is asked for', async () => {
  await expect(steps(10, { fault: full }).makeSteps(10)).rejects.toThrow('no room');
  await expect(steps('15min', { fault: () => new Error('other') }).makeSteps(15)).rejects.toThrow('other');
  await expect(steps('15min', { fault: full }).checkpointer.save(1)).rejects.toThrow('no room');
});

it.each(['15', '0min', '0.0h', '15 minutes', '-1h', 'always', 0, ''])('checkpoint.every %j is no time', (every) => {
  expect(() => steps(every)).toThrow();
});

it('one that is there stays, and begins no new time', async () => {
  const { makeSteps, checkpointer } = steps('15min');
  await makeSteps(10);
  await checkpointer.save(10);
  rmSync(join(folder, 'step-000010'), { recursive: true });
  expect(await makeSteps(14)).toEqual([10]);
  expect(await makeSteps(1)).toEqual([10, 25]);
  expect(existsSync(join(folder, 'step-000010'))).toBe(false);
  expect(readdirSync(folder)).toEqual(['step-000025']);
});
