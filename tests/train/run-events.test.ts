// What train() gives to a program: the events of a run as a loop over them, and its result.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import type { RecipeInput } from '#reanchor/recipe/index.js';
import { type RunEvent, readEvents } from '#reanchor/runs/index.js';
import { outcome } from '../support/resuming.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-run-events-'));
afterAll(() => rmSync(folder, { recursive: true }));
const recipe: RecipeInput = {
  model: tinyModel,
  method: 'dpo',
  reference: { update: 'soft', alpha: 0.5 },
  data: { train: tinyPairs, validation: 16, maxLength: 64 },
  batch: { size: 4 },
  optimizer: { lr: 1e-3 },
  evaluate: { every: 3 },
  steps: 6,
};
const at = (name: string) => join(folder, name);
const eventsOf = (out: string) => readEvents(join(out, 'events.jsonl')).events;

const whole = at('whole');
const told: RunEvent[] = [];
beforeAll(async () => {
  const run = train({ recipe, out: whole });
  for await (const event of run) told.push(event);
  expect(await run).toMatchObject({ isFinished: true, steps: 6, final: join(whole, 'final') });
});

test('the loop has every event of events.jsonl, in their order', () => {
  expect(told).toEqual(eventsOf(whole));
  expect(told.filter(({ type }) => type === 'step').length).toBe(6);
});

test('no step is made before the loop asks for the event after the last one, nor before a promise of onEvent', async () => {
  const made: number[] = [];
  const turns = async () => {
    for (let i = 0; i < 50; i++) await setImmediate();
  };
  const onEvent = async (event: RunEvent) => {
    if (event.type !== 'step') return;
    made.push(event.step);
    await turns();
    expect(made.at(-1)).toBe(event.step);
  };
  for await (const event of train({ recipe, out: at('slow'), onEvent })) {
    if (event.type !== 'step' && event.type !== 'evaluation') continue;
    await turns();
    expect(made.at(-1) ?? 0).toBe(event.step);
  }
  expect(made).toEqual([1, 2, 3, 4, 5, 6]);
  expect(outcome(at('slow'))).toEqual(outcome(whole));
});

test.each([
  ['step', 2],
  ['evaluation', 3],
  ['step', 6],
])('leaving the loop at the %s of step %i stops the run there, with a checkpoint to go on from', async (type, step) => {
  const out = at(`left-${type}-${step}`);
  const run = train({ recipe, out });
  for await (const event of run) if (event.type === type && 'step' in event && event.step === step) break;
  const name = `step-00000${step}`;
  expect(existsSync(join(out, 'checkpoints', name, 'manifest.json'))).toBe(true);
  expect(await run).toMatchObject({ isFinished: false, steps: step, final: join(out, 'checkpoints', name) });
  expect(await train({ recipe, out, resume: true })).toMatchObject({ isFinished: true, steps: 6 });
  expect(outcome(out)).toEqual(outcome(whole));
});

test('left before the first step, the loop ends quietly, and who awaits the run hears why', async () => {
  const out = at('at-once');
  const run = train({ recipe, out });
  for await (const _ of run) break;
  await expect(run).rejects.toThrow('the run was stopped before its first step: the loop over its events was left');
  expect(readdirSync(out).sort()).toEqual(['events.jsonl', 'run.json']);
  await train({ recipe, out, resume: true });
  expect(outcome(out)).toEqual(outcome(whole));
});

test('an error in the loop stops the run and stays what it was', async () => {
  const out = at('thrown');
  const loop = async () => {
    for await (const event of train({ recipe, out })) if (event.type === 'step') throw new RangeError('mine');
  };
  await expect(loop()).rejects.toThrow(new RangeError('mine'));
  expect(readdirSync(join(out, 'checkpoints'))).toEqual(['step-000001']);
});

test('an error of the run is thrown by the loop, after the events before it', async () => {
  const out = at('failed');
  const onEvent = async (event: RunEvent) => {
    if (event.type === 'step' && event.step === 2) throw new RangeError('of who listens');
  };
  const types: string[] = [];
  const loop = async () => {
    for await (const event of train({ recipe, out, onEvent })) types.push(event.type);
  };
  await expect(loop()).rejects.toThrow('of who listens');
  expect(types).toEqual(eventsOf(out).map(({ type }) => type));
  expect(types.at(-1)).toBe('failed');
});

test('a recipe with mistakes makes no folder: the run is rejected, or its loop throws', async () => {
  // @ts-expect-error the key is batch.size
  const wrong: RecipeInput = { ...recipe, batch: { sise: 4 } };
  const problem = 'batch.sise: unknown key; did you mean batch.size?';
  await expect(train({ recipe: wrong, out: at('wrong') })).rejects.toThrow(problem);
  const loop = async () => {
    for await (const _ of train({ recipe: wrong, out: at('wrong') }));
  };
  await expect(loop()).rejects.toThrow(problem);
  expect(existsSync(at('wrong'))).toBe(false);
});

test('a loop that begins late, or a second one, is refused', async () => {
  const late = train({ recipe, out: at('late') });
  await late;
  expect(() => late[Symbol.asyncIterator]()).toThrow(/has missed the first ones: begin it right after the call/);
  const twice = train({ recipe, out: at('twice') });
  for await (const _ of twice) expect(() => twice[Symbol.asyncIterator]()).toThrow(/are read once/);
});

test('a finished run that is resumed has no events, and is what it was', async () => {
  const run = train({ recipe, out: whole, resume: true });
  for await (const event of run) expect(event).toBeUndefined();
  expect(await run).toMatchObject({ isFinished: true, steps: 6 });
});
