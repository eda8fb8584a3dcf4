import type { ListPatch, RunList, RunPatch, RunState, SeriesPoints } from 'reanchor/serve';
import { expect, test } from 'vitest';
import { append, merge, mergeList } from './merge.js';
import { MessageReader } from './messages.js';

const first = { step: 1, value: 1 };
const loss = (mean: (number | null)[]) => ({ loss: { mean, notFinite: 0, first, last: mean.at(-1) ?? null } });
const points = (width: number, steps: number[], metrics: SeriesPoints['metrics']): SeriesPoints => ({
  width,
  steps,
  metrics,
});

test('new points go behind the old ones, and the last old one is replaced when it has grown', () => {
  const old = points(4, [3, 7, 9], loss([1, 2, 3]));
  const joined = append(old, points(4, [11, 13], loss([3.5, 4])));
  expect(joined).toEqual(points(4, [3, 7, 11, 13], loss([1, 2, 3.5, 4])));
});

test('a metric that appears later, and ranges that appear later', () => {
  const old = points(2, [1, 3], loss([1, 2]));
  const fresh = points(2, [5], {
    loss: { mean: [3], min: [2], max: [4], notFinite: 1, first, last: 4 },
    kl: { mean: [0.5], notFinite: 0, first: { step: 5, value: 0.5 }, last: 0.5 },
  });
  expect(append(old, fresh).metrics).toEqual({
    loss: { mean: [1, 2, 3], min: [1, 2, 2], max: [1, 2, 4], notFinite: 1, first, last: 4 },
    kl: { mean: [null, null, 0.5], notFinite: 0, first: { step: 5, value: 0.5 }, last: 0.5 },
  });
  expect(append(append(old, fresh), points(2, [7], loss([9]))).metrics.kl!.mean).toEqual([null, null, 0.5, null]);
});

test('a patch without points changes what it says and nothing else', () => {
  const steps = points(1, [1, 2], loss([1, 2]));
  const state = { id: 'a', steps, evaluations: steps, updates: [{ step: 1, count: 1 }], log: 'old' };
  const none = points(1, [], {});
  const patch = {
    steps: none,
    evaluations: none,
    updates: [
      { step: 1, count: 2 },
      { step: 2, count: 1 },
    ],
    updateCount: 3,
    summary: 'new',
    checkpoints: [{ name: 'step-000002', time: '' }],
  };
  expect(merge(state as unknown as RunState, patch as unknown as RunPatch)).toEqual({
    ...state,
    updates: patch.updates,
    updateCount: 3,
    summary: 'new',
    checkpoints: patch.checkpoints,
  });
});

test('rows of the list that have changed take the place of the old ones', () => {
  const row = (id: string, step: number) => ({ id, step });
  const list = { folder: 'runs', runs: [row('a', 1), row('b', 1), row('c', 1)], notes: ['old'], results: [] };
  const patch = { runs: [row('d', 1), row('b', 2)], gone: ['a'], notes: [], results: [] };
  expect(mergeList(list as unknown as RunList, patch as unknown as ListPatch)).toEqual({
    folder: 'runs',
    runs: [row('b', 2), row('c', 1), row('d', 1)],
    notes: [],
    results: [],
  });
});

test('messages of a stream are found wherever it is cut', () => {
  const text = 'event: list\ndata: {"a":"x: y"}\n\nevent: patch\ndata: 2\n\n';
  const expected = [
    { event: 'list', data: '{"a":"x: y"}' },
    { event: 'patch', data: '2' },
  ];
  for (let cut = 0; cut <= text.length; cut++) {
    const reader = new MessageReader();
    expect([...reader.read(text.slice(0, cut)), ...reader.read(text.slice(cut))]).toEqual(expected);
  }
});
