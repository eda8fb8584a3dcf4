import { afterEach, expect, it, vi } from 'vitest';
import { stopOnSignals } from './signals.js';

const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const counts = () => names.map((name) => process.listenerCount(name));
const before = counts();
afterEach(() => expect(counts()).toEqual(before));

it.each([
  ['SIGINT', 'stopped by Ctrl-C'],
  ['SIGTERM', 'stopped by SIGTERM'],
  ['SIGHUP', 'stopped by SIGHUP'],
] as const)('%s stops once, and says so', (name, message) => {
  const onStop = vi.fn();
  using stop = stopOnSignals(onStop);
  expect(stop.signal.aborted).toBe(false);
  process.emit(name);
  expect(stop.signal.reason.message).toBe(message);
  process.emit('SIGHUP');
  expect(onStop).toHaveBeenCalledTimes(1);
});

it('a second Ctrl-C or SIGTERM is not listened to, a second SIGHUP is', () => {
  using _stop = stopOnSignals();
  process.emit('SIGHUP');
  const [int, term, hangup] = counts().map((count, i) => count - before[i]!);
  expect({ int, term, hangup }).toEqual({ int: 0, term: 0, hangup: 1 });
});
