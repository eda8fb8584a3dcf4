import { expect, test } from 'vitest';
import { NonFiniteError } from '../train/finite.js';
import { RunLoop, type RunLoopOptions } from './loop.js';
import { NonFiniteSteps } from './non-finite-steps.js';
import type { StepListener } from './step-listener.js';

interface LoopCase {
  /** What step 2 does instead of making a step. */
  second?: () => void;
  /** Of a second listener. */
  onPause?: (step: number) => void;
  onDivergence?: 'stop' | 'skip';
  /** The steps after which the run ends early. */
  endsAfter?: number;
}

/** A loop of three steps that computes nothing, with what its listeners hear, in words. */
function loopOf({ second = () => {}, onPause = () => {}, onDivergence = 'stop', endsAfter }: LoopCase) {
  const heard: string[] = [];
  const abort = new AbortController();
  let steps = 0;
  const endStep = () => ({ step: ++steps, update: undefined, distance: undefined });
  const trainer: RunLoopOptions['trainer'] = {
    get steps() {
      return steps;
    },
    step() {
      if (steps === 1) second();
      return { ...endStep(), scores: [{ loss: 1 }], gradNorm: 1, learningRate: 1, drift: undefined };
    },
    endStep,
  };
  const plan = {
    *steps(from = 1) {
      for (let step = from; step <= 3; step++) yield { step, epoch: 0, microBatches: [[0]] };
    },
    layOut: () => [],
    objective: { metrics: () => ({ loss: 1 }) } as unknown as RunLoopOptions['plan']['objective'],
  };
  const first: StepListener = {
    onBegin: async (step) => void heard.push(`begin ${step}`),
    beforeStep: () => void heard.push('before'),
    onStep: ({ step, metrics }) => void heard.push(`step ${step} ${Object.keys(metrics).join()}`),
    onPause: async (step) => void heard.push(`pause ${step}`),
    onEnd: async (step) => void heard.push(`end ${step}`),
  };
  const other: StepListener = {
    onStep: ({ step }) => void heard.push(`other ${step}`),
    onPause: async (step) => onPause(step),
  };
  const loop = new RunLoop({
    ...{ trainer, plan, reference: undefined, initialPolicy: undefined },
    nonFinite: new NonFiniteSteps(onDivergence, [{ index: 0, line: 1, file: 'a.jsonl' }]),
    listeners: [first, other],
    checkpoints: { save: async (step) => `checkpoint ${step}` },
    stop: { signal: abort.signal, agree() {} },
    emit: (event) => heard.push(event.type),
    heard: async () => {},
    endsEarly: () => steps === endsAfter,
    checkFiles: () => void heard.push('files'),
  });
  return { loop, heard, abort };
}

const made = (step: number) => ['before', `step ${step} grad_norm,learning_rate,loss`, `other ${step}`, 'files'];

test('listeners hear every step in their order, and may wait between two', async () => {
  const { loop, heard } = loopOf({});
  expect(await loop.run()).toBeUndefined();
  expect(heard).toEqual(['begin 0', ...[1, 2, 3].flatMap((step) => [...made(step), `pause ${step}`]), 'end 3']);
});

test('where the run ends early no other step is made, and it is done', async () => {
  const { loop, heard } = loopOf({ endsAfter: 2 });
  expect(await loop.run()).toBeUndefined();
  expect(heard).toEqual(['begin 0', ...[1, 2].flatMap((step) => [...made(step), `pause ${step}`]), 'end 2']);
});

test('of a step during which the run is aborted they hear, but of no pause; the run is saved', async () => {
  const { loop, heard, abort } = loopOf({ second: () => abort.abort() });
  expect(await loop.run()).toBe('checkpoint 2');
  expect(heard).toEqual(['begin 0', ...made(1), 'pause 1', ...made(2), 'end 2']);
});

test('an abort before the first step ends the run, and one that fails is not saved; either way they hear the end', async () => {
  const early = loopOf({});
  early.abort.abort(new Error('early'));
  await expect(early.loop.run()).rejects.toThrow('early');
  expect(early.heard).toEqual(['end 0']);
  const failing = loopOf({
    onPause: () => {
      throw new Error('no room');
    },
  });
  await expect(failing.loop.run()).rejects.toThrow('no room');
  expect(failing.heard).toEqual(['begin 0', ...made(1), 'pause 1', 'end 1']);
});

test('a step that is skipped is a step', async () => {
  const second = () => {
    throw new NonFiniteError(2, 'the loss in step 2 is NaN', false, []);
  };
  const { loop, heard } = loopOf({ second, onDivergence: 'skip' });
  expect(await loop.run()).toBeUndefined();
  expect(heard.slice(6, 12)).toEqual(['before', 'warning', 'step 2 skipped_steps', 'other 2', 'files', 'pause 2']);
  await expect(loopOf({ second }).loop.run()).rejects.toThrow('the run has diverged and is stopped');
});
