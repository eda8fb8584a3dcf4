// Runs that are interrupted and go on, in this process: to the bits of the run that was not interrupted. Kills are in
// kills.slow.test.ts.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory } from '@reanchor/torch';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import type { Recipe } from '#reanchor/recipe/index.js';
import type { RunEvent } from '#reanchor/runs/index.js';
import { checkpointFiles, readEvents } from '#reanchor/runs/index.js';
import { interruptedRun, otherLlama, outcome, references, resumableRecipe, tinyModelOf } from '../support/resuming.js';
import { tinyModel } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-resume-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const newPlace = () => join(folder, `run-${count++}`);
const run = (recipe: Recipe, out = newPlace()) => train({ recipe, out, command: ['test'] });
const eventsOf = (out: string) => readEvents(join(out, 'events.jsonl')).events;
const ofType = <T extends RunEvent['type']>(events: RunEvent[], type: T) =>
  events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);

/** Stops a turn of the event loop after the evaluation of step 4, so that after 5 steps: two are not logged yet. */
const afterFive = () => {
  let isDone = false;
  return (event: RunEvent) => {
    if (isDone || event.type !== 'evaluation' || event.step !== 4) return false;
    isDone = true;
    return 2;
  };
};

async function expectSame(recipe: Recipe, stops: (event: RunEvent) => boolean | number, resumes: number) {
  const before = memory().liveTensors;
  const whole = await run(recipe);
  const out = newPlace();
  const result = await interruptedRun(recipe, stops, out);
  expect(outcome(out)).toEqual(outcome(whole.folder));
  expect(result.evaluations).toEqual(whole.evaluations);
  const resumed = ofType(eventsOf(out), 'resumed');
  expect(resumed.length).toBe(resumes);
  expect(memory().liveTensors).toBe(before);
  return { whole, out, resumed };
}

describe('an interrupted run goes on to the same bits', () => {
  test.each([
    ['llama', 'dpo', 'soft'],
    ['llama', 'ipo', 'hard'],
    ['gpt-neox', 'kto', 'cached'],
    ['gpt-neox', 'dpo', 'fixed'],
  ] as const)('%s, %s, %s', async (architecture, method, reference) => {
    const model = await tinyModelOf(architecture, folder);
    const recipe = resumableRecipe(model, `method=${method}`, `reference=${references[reference]}`);
    const stopAt = new Set([3, 6]);
    const atFive = afterFive();
    const stops = (event: RunEvent) => (event.type === 'step' && stopAt.delete(event.step)) || atFive(event);
    const { resumed } = await expectSame(recipe, stops, 3);
    expect(resumed.map(({ step }) => step)).toEqual([3, 5, 6]);
  });

  test.each([
    ['a plateau of the margin', ['reference={ update: plateau, metric: margin, patience: 2, minGain: 0.02 }']],
    [
      'a plateau of the accuracy',
      ['reference={ update: plateau, metric: accuracy, patience: 1, minGain: 2 }', 'evaluate.every=1'],
    ],
    ['a cap on the divergence that is reached', ['reference={ update: soft, alpha: 0.9, maxDivergence: 0.0005 }']],
    ['an optimizer that is forgotten', ['reference={ update: hard, tau: 2, resetOptimizer: true }']],
    ['another first reference, in fp64', ['reference={ update: soft, alpha: 0.3, model: OTHER }', 'precision=fp64']],
    [
      'answers compared with the first policy',
      ['evaluate.generate={ prompts: 2, maxNewTokens: 4 }', 'reference={ update: soft, alpha: 0.5 }'],
    ],
    ['texts to be imitated', ['method=sft', 'activationCheckpointing=true', 'schedule.warmupSteps=6']],
    ['float32 weights beside bfloat16', ['precision=bf16', 'reference={ update: soft, alpha: 0.05 }']],
    ['bfloat16 alone', ['precision=bf16-params', 'reference={ update: soft, alpha: 0.05 }']],
    ['moments of 8 bits', ['optimizer={ lr: 1.0e-3, moments: 8bit }', 'reference={ update: soft, alpha: 0.4 }']],
    [
      'moments of 8 bits beside bfloat16 alone',
      ['optimizer={ lr: 1.0e-3, moments: 8bit }', 'precision=bf16-params', 'reference={ update: hard, tau: 3 }'],
    ],
    ['an adapter, its products averaged', ['adapter={ r: 3 }', 'reference={ update: soft, alpha: 0.4 }']],
    [
      'an adapter, its factors averaged, beside a base in bfloat16',
      ['adapter={ r: 3 }', 'precision=bf16', 'reference={ update: soft, alpha: 0.4, average: factors }'],
    ],
    ['an adapter that is copied', ['adapter={ r: 3, rslora: true }', 'reference={ update: hard, tau: 3 }']],
    [
      'an adapter whose log-probabilities are cached',
      ['adapter={ r: 3, dropout: 0.2 }', 'reference={ update: hard, tau: 3, storage: cached }'],
    ],
    [
      'an adapter of directions, and answers compared with the first policy',
      [
        'adapter={ type: dora, r: 2, targets: [q_proj, up_proj] }',
        'reference={ update: soft, alpha: 0.4 }',
        'evaluate.generate={ prompts: 2, maxNewTokens: 4 }',
      ],
    ],
    [
      'an adapter and norms, with activations made anew',
      [
        'adapter={ r: 2, modulesToSave: [norm] }',
        'activationCheckpointing=true',
        'reference={ update: soft, alpha: 0.4 }',
      ],
    ],
    ['epochs and small micro-batches', ['steps=null', 'epochs=2', 'data.limit=20', 'batch.tokensPerMicroBatch=150']],
  ])('with %s', async (_, set) => {
    const other = await otherLlama(folder);
    const recipe = resumableRecipe(tinyModel, ...set.map((item) => item.replace('OTHER', other)));
    await expectSame(recipe, afterFive(), 1);
  });

  test('stopped in the middle of sweeps for cached log-probabilities, the first one of another model', async () => {
    const recipe = resumableRecipe(
      tinyModel,
      `reference={ update: hard, tau: 4, storage: cached, model: ${await tinyModelOf('gpt-neox', folder)} }`,
      'batch.rowsPerMicroBatch=1',
      'evaluate.every=8',
    );
    // The evaluation before the first step is followed by a sweep, as is the update after step 4.
    let stopped = 0;
    const stops = (event: RunEvent) => {
      const isNext = (stopped === 0 && event.type === 'evaluation') || (stopped === 1 && event.type === 'reference');
      if (isNext) stopped += 1;
      return isNext && 9;
    };
    const { resumed, out } = await expectSame(recipe, stops, 2);
    expect(resumed.map(({ step }) => step)).toEqual([0, 4]);
    const state = readFileSync(join(out, 'checkpoints/step-000000/training/state.json'), 'utf8');
    expect(JSON.parse(state).reference).toEqual({ kind: 'cached', version: 0, sweptTo: 0, needsInitial: true });
  });

  test('stopped in the same sweep again and again, getting on each time', async () => {
    const reference = 'reference={ update: hard, tau: 8, storage: cached }';
    const recipe = resumableRecipe(tinyModel, reference, 'batch.rowsPerMicroBatch=1');
    const out = newPlace();
    const known: number[] = [];
    /**
     * Aborts when a signal is asked for the n-th time once the run has begun, as it is after every micro-batch of a
     * sweep.
     */
    const stoppedRun = async (times: number, resume: boolean) => {
      const abort = new AbortController();
      let asked = Number.NEGATIVE_INFINITY;
      const spy = vi.spyOn(AbortSignal.prototype, 'throwIfAborted').mockImplementation(function (this: AbortSignal) {
        asked += 1;
        if (asked === times) abort.abort();
        if (this.aborted) throw this.reason;
      });
      const onEvent = ({ type }: RunEvent) => {
        if (type === 'start' || type === 'resumed') asked = 0;
      };
      try {
        return await train({ recipe, out, command: [], resume, signal: abort.signal, onEvent });
      } finally {
        spy.mockRestore();
      }
    };
    for (const [i, times] of [10, 6, 6].entries()) {
      const { steps } = await stoppedRun(times, i > 0);
      expect(steps).toBe(0);
      known.push(statSync(join(out, 'checkpoints/step-000000', `${checkpointFiles.reference}.safetensors`)).size);
    }
    await train({ recipe, out, command: [], resume: true });
    expect(outcome(out)).toEqual(outcome((await run(recipe)).folder));
    expect(known[1]! - known[0]!).toBeGreaterThan(0);
    expect(known[2]! - known[1]!).toBeGreaterThan(0);
  });

  test('with a profile of the steps that are left', async () => {
    const recipe = resumableRecipe(tinyModel);
    const [out, profile] = [newPlace(), join(folder, 'profile.json')];
    const abort = new AbortController();
    const onEvent = (event: RunEvent) => event.type === 'step' && abort.abort();
    await train({ recipe, out, command: [], signal: abort.signal, onEvent });
    await train({ recipe, out, command: [], resume: true, profile });
    expect(readFileSync(profile, 'utf8')).toContain('step 5');
  });

  test('stopped in the middle of an evaluation, which is then made', async () => {
    const recipe = resumableRecipe(tinyModel, 'evaluate.every=3', 'batch.tokensPerMicroBatch=60');
    let isStopped = false;
    const stops = (event: RunEvent) => {
      if (isStopped || event.type !== 'step') return false;
      isStopped = true;
      return 4;
    };
    const { out } = await expectSame(recipe, stops, 1);
    const state = JSON.parse(readFileSync(join(out, 'checkpoints/step-000003/training/state.json'), 'utf8'));
    expect(state).toMatchObject({ step: 3, isEvaluationDue: true });
  });

  test('after an error, from the last checkpoint; what was written after it is superseded, not lost', async () => {
    const recipe = resumableRecipe(
      tinyModel,
      'checkpoint.every=2',
      'logEvery=1',
      'reference={ update: soft, alpha: 0.5 }',
    );
    const whole = await run(recipe);
    const out = newPlace();
    const onEvent = (event: RunEvent) => {
      if (event.type === 'step' && event.step === 5) throw new Error('power cut');
    };
    await expect(train({ recipe, out, command: [], onEvent })).rejects.toThrow('power cut');
    const before = readFileSync(join(out, 'events.jsonl'), 'utf8');
    await train({ recipe, out, command: [], resume: true });
    expect(outcome(out)).toEqual(outcome(whole.folder));
    const superseded = readEvents(join(out, 'superseded.jsonl')).events;
    expect(ofType(superseded, 'step').map(({ step }) => step)).toEqual([5]);
    const lines = (name: string) => readFileSync(join(out, name), 'utf8').split('\n');
    const all = new Set([...lines('events.jsonl'), ...lines('superseded.jsonl')]);
    expect(before.split('\n').filter((line) => !all.has(line))).toEqual([]);
  });
});
