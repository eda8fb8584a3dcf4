import { expect, test } from 'vitest';
import {
  getNumThreads,
  manualSeed,
  memory,
  rand,
  randn,
  resetPeak,
  rngState,
  setNumThreads,
  setRngState,
  zeros,
} from './index.js';

test('the same seed gives the same numbers', () => {
  manualSeed(7);
  const first = randn([5]).toList();
  manualSeed(7);
  expect(randn([5]).toList()).toEqual(first);
  expect(randn([5]).toList()).not.toEqual(first);
});

test('a saved state gives the same numbers again, also through bytes', () => {
  manualSeed(3);
  rand([3]);
  const state = rngState();
  expect(state).toBeInstanceOf(Uint8Array);
  const next = [randn([100]).toList(), zeros([4]).uniform_(0, 2).toList()];
  setRngState(Uint8Array.from(Buffer.from(Buffer.from(state).toString('base64'), 'base64')));
  expect([randn([100]).toList(), zeros([4]).uniform_(0, 2).toList()]).toEqual(next);
});

test('states and seeds that are none are refused', () => {
  expect(() => setRngState(new Uint8Array(10))).toThrow(/setRngState.*RNG state/);
  expect(() => setRngState([] as never)).toThrow(/must be the Uint8Array that rngState\(\) returned/);
  expect(() => manualSeed(-1)).toThrow(/a seed is an integer from 0 to 2\^53 - 1, got -1/);
  expect(() => manualSeed(0.5)).toThrow(RangeError);
});

test('threads can be set, and zero is refused', () => {
  setNumThreads(2);
  expect(getNumThreads()).toBe(2);
  setNumThreads(1);
  expect(getNumThreads()).toBe(1);
  expect(() => setNumThreads(0)).toThrow(/at least 1/);
});

test('memory() counts tensors and remembers the peak', () => {
  resetPeak();
  const before = memory();
  const list = [zeros([2]), zeros([2])];
  for (const t of list) t.dispose();
  const after = memory();
  expect(after.liveTensors).toBe(before.liveTensors);
  expect(after.peakLiveTensors).toBe(before.liveTensors + 2);
  expect(after.rss).toBeGreaterThan(1e7);
  expect(after.peakRss).toBeGreaterThanOrEqual(after.rss * 0.5);
});
