// What a run does when its numbers are no longer numbers. Those of one row alone: its prompt holds a token whose
// embedding is so large that squares of it overflow.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { UserError } from '#reanchor/errors.js';
import { loadModel } from '#reanchor/models/load.js';
import { type RunEvent, readEvents } from '#reanchor/runs/index.js';
import { poisoned } from '../support/poisoned.js';
import { outcome, resumableRecipe } from '../support/resuming.js';
import { tinyModel } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-divergence-'));
afterAll(() => rmSync(folder, { recursive: true }));
const [model, rows] = [join(folder, 'poisoned'), join(folder, 'pairs.jsonl')];
let count = 0;
const place = () => join(folder, `run-${count++}`);
/** Rows in the order of the file, 4 a step: line 15 is in step 4. */
const recipe = (...set: string[]) =>
  resumableRecipe(
    model,
    `data={ train: ${rows}, maxLength: 96, shuffle: false }`,
    'evaluate.every=null',
    'logEvery=1',
    ...set,
  );
const eventsOf = (out: string) => readEvents(join(out, 'events.jsonl')).events;
const warningsOf = (events: RunEvent[]) => events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
const stepsOf = (events: RunEvent[]) => events.flatMap((event) => (event.type === 'step' ? [event] : []));

beforeAll(async () => {
  await poisoned(folder);
});

const finding = new RegExp(
  `the loss in step 4 is NaN.*Rows with such a loss: ${rows}:15\\. The rows of the step: ${rows}:13, 14, 15, 16`,
);

describe('a row with which the loss is NaN', () => {
  test('stops the run, by default, and is named', async () => {
    const out = place();
    const stopped = train({ recipe: recipe('checkpoint.every=2'), out, command: [] });
    await expect(stopped).rejects.toThrow(finding);
    await expect(stopped).rejects.toThrow(/diverged and is stopped/);
    await expect(stopped).rejects.toBeInstanceOf(UserError);
    expect(stepsOf(eventsOf(out)).at(-1)!.step).toBe(3);
    expect(eventsOf(out).at(-1)).toMatchObject({ type: 'failed', step: 3, message: expect.stringMatching(finding) });
  });

  test('is skipped where the reference is about to reach its cap, too', async () => {
    const out = place();
    const reference = 'reference={ update: hard, tau: 3, maxDivergence: 1e-9 }';
    const { steps } = await train({
      recipe: recipe('onDivergence=skip', 'batch.rowsPerMicroBatch=1', 'loss.over=microBatch', reference),
      out,
      command: [],
    });
    expect(steps).toBe(8);
    expect(warningsOf(eventsOf(out))).toEqual([
      expect.stringMatching(finding),
      expect.stringMatching(/^in step 5 the reference is .* more than reference.maxDivergence/),
    ]);
  });

  test('is skipped: the step counts, the policy stays as it was', async () => {
    const out = place();
    const { steps } = await train({
      recipe: recipe('onDivergence=skip', 'reference={ update: hard, tau: 2 }'),
      out,
      command: [],
    });
    expect(steps).toBe(8);
    const events = eventsOf(out);
    expect(warningsOf(events)).toEqual([expect.stringMatching(finding)]);
    expect(stepsOf(events).map(({ metrics }) => metrics.skipped_steps)).toEqual([0, 0, 0, 1, 1, 1, 1, 1]);
    expect(stepsOf(events).map(({ metrics }) => metrics.loss !== undefined)).toEqual([
      true,
      true,
      true,
      false,
      true,
      true,
      true,
      true,
    ]);
    const updates = events.flatMap((event) => (event.type === 'reference' ? [event.step] : []));
    expect(updates).toEqual([2, 4, 6, 8]);
    using trained = await loadModel(join(out, 'final'), { dtype: 'float32' });
    expect(trained.parameters.get('embed_out.weight')!.isfinite().all().item()).toBe(1);
  });

  test('is left out after going back to the last checkpoint, to the bits of skipping it', async () => {
    const [out, skipped] = [place(), place()];
    await train({ recipe: recipe('onDivergence=skip', 'checkpoint.every=3'), out: skipped, command: [] });
    await train({ recipe: recipe('onDivergence=rollback', 'checkpoint.every=3'), out, command: [] });
    expect(outcome(out).weights).toBe(outcome(skipped).weights);
    const events = eventsOf(out);
    expect(stepsOf(events).map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(warningsOf(events)).toEqual([
      expect.stringMatching(
        /^the loss in step 4 is NaN.*back at step 3 \(onDivergence: rollback, time 1\) and will leave out step 4/,
      ),
    ]);
    expect(events.filter(({ type }) => type === 'resumed')).toEqual([expect.objectContaining({ step: 3, steps: 8 })]);
    expect(readdirSync(out)).not.toContain('run.lock');
  });

  test('before the first checkpoint there is nothing to go back to', async () => {
    const run = train({ recipe: recipe('onDivergence=rollback', 'checkpoint.every=5'), out: place(), command: [] });
    await expect(run).rejects.toThrow(/NaN.*cut off before its first checkpoint.*lower checkpoint\.every/s);
  });
});

describe('a run that has diverged for good', () => {
  const diverging = ['model', tinyModel] as const;
  const wild = (...set: string[]) =>
    recipe(
      `${diverging[0]}=${diverging[1]}`,
      'optimizer.lr=1e18',
      'schedule={ type: linear, warmupSteps: 2 }',
      'steps=12',
      ...set,
    );

  test('is stopped after five skipped steps in a row', async () => {
    const out = place();
    const run = train({ recipe: wild('onDivergence=skip'), out, command: [] });
    await expect(run).rejects.toThrow(/diverged and is stopped, after 5 skipped steps in a row.*pairs\.jsonl:\d+/s);
    expect(warningsOf(eventsOf(out)).length).toBe(5);
  });

  test('is stopped after it has gone back three times', async () => {
    const out = place();
    const run = train({ recipe: wild('onDivergence=rollback', 'checkpoint={ every: 1, keep: 9 }'), out, command: [] });
    await expect(run).rejects.toThrow(/is stopped, since it has gone back 3 times already.*pairs\.jsonl:\d+/s);
  });
});
