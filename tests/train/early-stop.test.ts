// Runs that end before their last step, and those that leave their best weights.
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import type { RecipeInput } from '#reanchor/recipe/index.js';
import { type RunEvent, readEvents, readRun } from '#reanchor/runs/index.js';
import { outcome } from '../support/resuming.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-early-stop-'));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const eventsOf = (out: string) => readEvents(join(out, 'events.jsonl')).events;
const hash = (...path: string[]) =>
  createHash('sha256')
    .update(readFileSync(join(...path)))
    .digest('hex');
const warningsOf = (out: string) => eventsOf(out).flatMap((event) => (event.type === 'warning' ? [event.message] : []));

// More of the held-out pairs are told apart at first, and then fewer again.
const recipe: RecipeInput = {
  model: tinyModel,
  method: 'dpo',
  reference: { update: 'soft', alpha: 0.6 },
  data: { train: tinyPairs, validation: 24, maxLength: 64, limit: 60 },
  batch: { size: 4 },
  optimizer: { lr: 3e-3 },
  schedule: { type: 'constant' },
  evaluate: { every: 2 },
  checkpoint: { every: 2, keep: 1 },
  steps: 24,
};
const stop = { metric: 'rewards/accuracies', patience: 2 };
const stopping: RecipeInput = { ...recipe, stop };

/** A run that ends early, and what its evaluations say of when. */
const early = at('early');
let end: number;
let best: { step: number; value: number };
beforeAll(async () => {
  const result = await train({ recipe: stopping, out: early });
  const all = result.evaluations.map(({ step, metrics }) => ({ step, value: metrics['rewards/accuracies']! }));
  best = all.reduce((a, b) => (b.value > a.value ? b : a));
  end = result.steps;
  expect(result).toMatchObject({
    isFinished: true,
    stopped: expect.stringMatching(`^stopped after step ${end}: rewards/accuracies`),
  });
});

describe('a run with stop', () => {
  test('ends after patience evaluations without a gain, is finished, and says so everywhere', async () => {
    expect(best.step).toBeGreaterThan(0);
    expect(end).toBe(best.step + 4);
    expect(end).toBeLessThan(24);
    const why = `stopped after step ${end}: rewards/accuracies has had no gain in 2 evaluations in a row; its best is ${Number(best.value.toPrecision(6))} after step ${best.step} (stop)`;
    const events = eventsOf(early);
    expect(events.filter(({ type }) => type === 'stopped')).toMatchObject([{ step: end, message: why }]);
    expect(events.at(-1)).toMatchObject({ type: 'end', steps: end });
    expect(events.findLast(({ type }) => type === 'evaluation')).toMatchObject({ step: end });
    const card = readFileSync(join(early, 'final/README.md'), 'utf8');
    expect(card).toContain(`${end} optimizer steps of 4 rows`);
    expect(card).toContain(`The run of 24 steps ${why}.`);
    expect(readRun(early).run.stopped).toEqual({ step: end, message: why });
    const again = await train({ recipe: stopping, out: early, resume: true });
    expect(again).toMatchObject({ isFinished: true, steps: end, stopped: why });
  });

  test('makes the steps of one without, as far as it goes', async () => {
    const out = at('without');
    await train({ recipe, out, onEvent: (event: RunEvent) => event.type === 'start' });
    const steps = (run: string) =>
      eventsOf(run).flatMap((event) => (event.type === 'step' ? [event.metrics.loss] : []));
    expect(steps(out).slice(0, end)).toEqual(steps(early));
    expect(steps(out).length).toBe(24);
    expect(readRun(out).run.stopped).toBeUndefined();
  });

  test.each(['step', 'evaluation', 'checkpoint', 'stopped'])(
    'that is cut off at its last %s ends at the same step',
    async (type) => {
      const out = at(`cut-${type}`);
      const last = eventsOf(early).findLast((event) => event.type === type)!;
      const onEvent = (event: RunEvent) => {
        if (event.type === type && 'step' in event && 'step' in last && event.step === last.step)
          throw new Error('cut off');
      };
      await expect(train({ recipe: stopping, out, onEvent })).rejects.toThrow('cut off');
      expect(await train({ recipe: stopping, out, resume: true })).toMatchObject({ steps: end, isFinished: true });
      expect(outcome(out)).toEqual(outcome(early));
    },
  );

  test('that is interrupted goes on with a longer patience, which may be changed', async () => {
    const out = at('patient');
    for await (const event of train({ recipe: stopping, out })) if (event.type === 'step' && event.step === end) break;
    const patient = { ...stopping, stop: { ...stop, patience: 24 } };
    const result = await train({ recipe: patient, out, resume: true });
    expect(result).toMatchObject({ steps: 24, stopped: undefined });
  });

  test('is refused where nothing would end it, and a metric that is none names the nearest', async () => {
    const refused = (changes: Partial<RecipeInput>) =>
      train({ recipe: { ...stopping, ...changes }, out: at('refused') });
    await expect(refused({ evaluate: {}, checkpoint: {} })).rejects.toThrow(
      /stop: .*it goes by evaluations on the way: set data.validation and evaluate.every/,
    );
    await expect(refused({ stop: { ...stop, patience: 0 } })).rejects.toThrow(
      /stop.patience: 0 is not allowed: .*; allowed: integer >= 1/,
    );
    await expect(refused({ stop: { metric: 'reward/accuracy' } })).rejects.toThrow(
      'stop.metric: evaluations of this run have no metric reward/accuracy: did you mean rewards/accuracies?',
    );
  });
});

describe('checkpoint.final: best', () => {
  const leavesBest = (changes: Partial<RecipeInput> = {}): RecipeInput => ({
    ...stopping,
    checkpoint: { every: 2, keep: 1, best: 'rewards/accuracies', final: 'best' },
    ...changes,
  });
  const name = () => `step-${String(best.step).padStart(6, '0')}`;

  test('leaves the weights of the best checkpoint, and its card says of which step', async () => {
    const out = at('best');
    const result = await train({ recipe: leavesBest(), out });
    expect(result.best).toMatchObject({ step: best.step, value: best.value });
    expect(hash(out, 'final/model.safetensors')).toBe(hash(out, 'checkpoints', name(), 'model.safetensors'));
    expect(hash(out, 'final/model.safetensors')).not.toBe(hash(early, 'final/model.safetensors'));
    const card = readFileSync(join(out, 'final/README.md'), 'utf8');
    expect(card).toContain(
      `The weights are those after step ${best.step}, the best by rewards/accuracies: ${best.value.toFixed(4)}.`,
    );
    expect(card).toContain(`The reference moved ${best.step} times.`);
    expect(warningsOf(out)).toEqual(warningsOf(early));
  });

  test('a run that was killed while it wrote them leaves the same', async () => {
    const out = at('killed');
    cpSync(at('best'), out, { recursive: true });
    rmSync(join(out, 'final'), { recursive: true });
    // As a kill leaves it: a part of the folder under a temporary name, and no event of the end.
    cpSync(join(at('best'), 'final'), join(out, '.final.123.tmp'), { recursive: true });
    const lines = readFileSync(join(out, 'events.jsonl'), 'utf8').trim().split('\n');
    writeFileSync(join(out, 'events.jsonl'), `${lines.slice(0, -2).join('\n')}\n`);
    await train({ recipe: leavesBest(), out, resume: true });
    expect(outcome(out)).toEqual(outcome(at('best')));
    expect(readFileSync(join(out, 'final/README.md'), 'utf8')).toBe(
      readFileSync(join(at('best'), 'final/README.md'), 'utf8'),
    );
  });

  test('leaves the last weights where they are the best that were evaluated', async () => {
    const out = at('last');
    const result = await train({ recipe: leavesBest({ stop: undefined, steps: best.step }), out });
    expect(result.steps).toBe(best.step);
    expect(readFileSync(join(out, 'final/README.md'), 'utf8')).toContain(`those after step ${best.step}, the best by`);
    expect(warningsOf(out)).toEqual([...warningsOf(early)]);
  });

  test('of a bf16 run is rounded as its last weights are, and an adapter is one of its checkpoint', async () => {
    const half = at('half');
    await train({ recipe: leavesBest({ precision: 'bf16' }), out: half });
    const card = readFileSync(join(half, 'final/README.md'), 'utf8');
    const step = /those after step (\d+), the best/.exec(card)![1]!;
    expect(readFileSync(join(half, 'final/config.json'), 'utf8')).toContain('bfloat16');
    expect(Number(step)).toBeGreaterThan(0);

    const adapted = at('adapted');
    const adapter = { type: 'lora', r: 4 } as const;
    const { best: found } = await train({ recipe: leavesBest({ adapter, optimizer: { lr: 2e-2 } }), out: adapted });
    const at1 = `checkpoints/step-${String(found!.step).padStart(6, '0')}`;
    const names = readdirSync(join(adapted, 'final')).filter((file) => file.startsWith('adapter_'));
    expect(names).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
    for (const file of names) expect(hash(adapted, 'final', file)).toBe(hash(adapted, at1, file));
  });

  test('a best checkpoint that is damaged leaves the last weights, with a warning', async () => {
    const out = at('damaged');
    const onEvent = (event: RunEvent) => {
      if (event.type === 'evaluation' && event.step === end)
        writeFileSync(join(out, 'checkpoints', name(), 'model.safetensors'), '');
    };
    await train({ recipe: leavesBest(), out, onEvent });
    expect(warningsOf(out).at(-1)).toMatch(
      new RegExp(
        `^the best checkpoint is damaged .*final/ has the weights of the last step, ${end} \\(checkpoint.final: best\\)`,
      ),
    );
    expect(hash(out, 'final/model.safetensors')).toBe(hash(early, 'final/model.safetensors'));
  });

  test('without checkpoint.best is refused', async () => {
    const run = train({ recipe: leavesBest({ checkpoint: { every: 2, final: 'best' } }), out: at('unnamed') });
    await expect(run).rejects.toThrow(/checkpoint.final: "best": the best is told by checkpoint.best/);
  });
});
