// Checkpoints by time, which every recipe has unless it says otherwise; the clock is the test's.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { type RunEvent, readEvents } from '#reanchor/runs/index.js';
import { ManualClock } from '../support/manual-clock.js';
import { outcome, references, resumableRecipe } from '../support/resuming.js';
import { tinyModel } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-timed-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A clock on which every logged step has taken some minutes, and what moves it on. */
function clocked(minutes: number) {
  const clock = new ManualClock();
  const onEvent = ({ type }: RunEvent) => {
    if (type === 'step') clock.advance(minutes * 60_000);
  };
  return { clock, onEvent };
}
const checkpointsOf = (out: string) =>
  existsSync(join(out, 'checkpoints')) ? readdirSync(join(out, 'checkpoints')) : [];

test('a run that says nothing of checkpoints has one every 15 minutes, and a short one none', async () => {
  const recipe = resumableRecipe(tinyModel, 'logEvery=1');
  expect(recipe.checkpoint).toEqual({ every: '15min', keep: 2 });
  const [long, short, never] = ['long', 'short', 'never'].map((name) => join(folder, name)) as [string, string, string];
  await train({ recipe, out: long, command: [], ...clocked(4) });
  expect(checkpointsOf(long)).toEqual(['step-000004', 'step-000008']);
  await train({ recipe, out: short, command: [], ...clocked(1) });
  expect(checkpointsOf(short)).toEqual([]);
  const without = resumableRecipe(tinyModel, 'logEvery=1', 'checkpoint.every=never');
  await train({ recipe: without, out: never, command: [], ...clocked(400) });
  expect(checkpointsOf(never)).toEqual([]);
  expect(outcome(long)).toEqual(outcome(short));
  expect(outcome(never)).toEqual(outcome(short));
});

test.each(Object.entries(references))(
  'a run goes on from one to the same bits: reference %s',
  async (name, reference) => {
    const recipe = resumableRecipe(tinyModel, 'logEvery=1', `reference=${reference}`);
    const [whole, cut] = [join(folder, `whole-${name}`), join(folder, `cut-${name}`)];
    await train({ recipe, out: whole, command: [] });
    const { clock, onEvent } = clocked(5);
    const cutOff = (event: RunEvent) => {
      onEvent(event);
      if (event.type === 'step' && event.step === 5) throw new Error('cut off');
    };
    await expect(train({ recipe, out: cut, command: [], clock, onEvent: cutOff })).rejects.toThrow('cut off');
    expect(checkpointsOf(cut)).toEqual(['step-000003']);
    await train({ recipe, out: cut, command: [], resume: true, ...clocked(0) });
    expect(readEvents(join(cut, 'events.jsonl')).events).toContainEqual(
      expect.objectContaining({ type: 'resumed', step: 3 }),
    );
    expect(outcome(cut)).toEqual(outcome(whole));
  },
);
