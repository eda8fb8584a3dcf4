import { expect, test } from 'vitest';
import { ReferenceClock } from './reference-clock.js';

const plateau = { update: 'plateau', metric: 'margin', patience: 2, minGain: 0.1 } as const;

/** The steps at which a clock is due, when it hears these values of a metric, one a step. */
function dueAfter(clock: ReferenceClock, values: readonly number[], metric: 'margin' | 'drift' = 'margin') {
  return values.flatMap((value, i) => {
    clock.observe(metric, value);
    return clock.share(i + 1) > 0 ? [i + 1] : [];
  });
}

test('a plateau moves when the mean of the last two values gains less than asked over the two before', () => {
  expect(dueAfter(new ReferenceClock(plateau), [0, 0.2, 0.5, 0.9, 1.3, 1.3, 1.31, 1.32])).toEqual([8]);
});

test('after an update the metric is observed anew', () => {
  expect(dueAfter(new ReferenceClock(plateau), new Array(9).fill(1))).toEqual([4, 8]);
});

test('a plateau keeps to startAfter and stopAfter, and waits for its own metric', () => {
  const clock = new ReferenceClock({ ...plateau, startAfter: 6, stopAfter: 7 });
  expect(dueAfter(clock, new Array(12).fill(1))).toEqual([7]);
  expect(dueAfter(new ReferenceClock({ ...plateau, metric: 'accuracy' }), new Array(9).fill(1))).toEqual([]);
});

test('above the cap on its divergence a reference stays where it is for good', () => {
  const clock = new ReferenceClock({ update: 'soft', alpha: 0.5 }, { maxDrift: 0.3 });
  expect(dueAfter(clock, [0, 0.1, 0.3, 0.31, 0.2, 0], 'drift')).toEqual([1, 2, 3]);
  expect(clock.isHalted).toBe(true);
});
