import { mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ManualClock } from '../../../tests/support/manual-clock.js';
import { takeLock } from './lock-file.js';
import { withLock } from './lock-wait.js';
import { ownIdentity } from './process-identity.js';
import { scratch } from './testing/fakes.js';

let folder: string;
let path: string;
let clock: ManualClock;

beforeEach(() => {
  folder = scratch();
  path = join(folder, 'x.lock');
  clock = new ManualClock();
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Begins to wait for the lock; says whether the work was done. */
function waiting(options: { signal?: AbortSignal } = {}) {
  const state = { isDone: false, heard: [] as [string, number][] };
  const onWait = (holder: string, ms: number) => state.heard.push([holder, ms]);
  const done = withLock(path, { ...options, onWait, clock }, async () => {
    state.isDone = true;
  });
  return { state, done };
}

test.each(['', '1', String(process.pid), 'x'])(
  'a lock that is none, %j, is waited for for two seconds',
  async (text) => {
    writeFileSync(path, text);
    const { state, done } = waiting();
    await clock.elapse(1900);
    expect(state.isDone).toBe(false);
    await clock.elapse(500);
    await done;
    expect(state.heard[0]).toEqual(['an unknown process', 0]);
    expect(readdirSync(folder)).toEqual([]);
  },
);

test('a folder where the lock should be is in the way for two seconds', async () => {
  mkdirSync(path);
  const { done } = waiting();
  await clock.elapse(2400);
  await done;
  expect(readdirSync(folder)).toEqual([]);
});

test('a lock whose process cannot be seen is waited for as long as somebody touches it, and a minute more', async () => {
  writeFileSync(path, JSON.stringify({ ...ownIdentity(), host: 'elsewhere' }));
  const { state, done } = waiting();
  for (let minute = 1; minute <= 5; minute++) {
    await clock.elapse(50_000);
    // Also by a clock that was set back.
    utimesSync(path, new Date(0), new Date(1e9 * minute));
  }
  expect(state.isDone).toBe(false);
  expect(state.heard.at(-1)![0]).toBe(`process ${process.pid} on elsewhere`);
  expect(state.heard.at(-1)![1]).toBeGreaterThan(200_000);
  await clock.elapse(61_000);
  await done;
  expect(readdirSync(folder)).toEqual([]);
});

test('the lock of a process that runs but does nothing ends too', async () => {
  const held = takeLock(path) as Disposable;
  const { done } = waiting();
  await clock.elapse(61_000);
  await done;
  held[Symbol.dispose]();
});

test('a lock that is given back is taken at the next look', async () => {
  const held = takeLock(path) as Disposable;
  const { state, done } = waiting();
  await clock.elapse(1000);
  expect(state.isDone).toBe(false);
  held[Symbol.dispose]();
  await clock.elapse(200);
  await done;
});

test('waiting stops with its signal', async () => {
  writeFileSync(path, JSON.stringify({ ...ownIdentity(), host: 'elsewhere' }));
  const stop = new AbortController();
  const { done } = waiting({ signal: stop.signal });
  const refused = expect(done).rejects.toThrow('enough');
  await clock.elapse(1000);
  stop.abort(new Error('enough'));
  await refused;
});

test('the lock is given back when the work fails', async () => {
  await expect(withLock(path, {}, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(readdirSync(folder)).toEqual([]);
});
