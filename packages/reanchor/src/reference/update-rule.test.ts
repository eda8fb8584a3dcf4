import { expect, test } from 'vitest';
import { plannedUpdates, type UpdateRule, updateShare } from './update-rule.js';

const shares = (rule: UpdateRule, steps = 6) => Array.from({ length: steps }, (_, i) => updateShare(rule, i + 1));

test('fixed never moves', () => expect(shares({ update: 'fixed' })).toEqual([0, 0, 0, 0, 0, 0]));

test('soft moves by alpha after every step', () =>
  expect(shares({ update: 'soft', alpha: 0.6 })).toEqual([0.6, 0.6, 0.6, 0.6, 0.6, 0.6]));

test('hard takes the policy after every tau-th step, not before the first', () =>
  expect(shares({ update: 'hard', tau: 3 })).toEqual([0, 0, 1, 0, 0, 1]));

test('mixed moves by alpha after every tau-th step', () =>
  expect(shares({ update: 'mixed', alpha: 0.6, tau: 2 })).toEqual([0, 0.6, 0, 0.6, 0, 0.6]));

test('soft with alpha = 1 is hard with tau = 1', () =>
  expect(shares({ update: 'soft', alpha: 1 })).toEqual(shares({ update: 'hard', tau: 1 })));

test('tau is counted from startAfter, and nothing moves after stopAfter', () => {
  expect(shares({ update: 'hard', tau: 2, startAfter: 1 })).toEqual([0, 0, 1, 0, 1, 0]);
  expect(shares({ update: 'soft', alpha: 0.5, startAfter: 2, stopAfter: 4 })).toEqual([0, 0, 0.5, 0.5, 0, 0]);
});

test('a warm-up raises alpha in equal parts to its value', () => {
  const rising = shares({ update: 'soft', alpha: 0.8, alphaWarmup: 4, startAfter: 1 });
  expect(rising.map((share) => share.toFixed(3))).toEqual(['0.000', '0.200', '0.400', '0.600', '0.800', '0.800']);
});

test('the updates of a run are known before it starts: tau 512 gives two on 1,256 steps and none on 477', () => {
  expect(plannedUpdates({ update: 'hard', tau: 512 }, 1256)).toEqual([512, 1024]);
  expect(plannedUpdates({ update: 'hard', tau: 512 }, 477)).toEqual([]);
  expect(plannedUpdates({ update: 'soft', alpha: 0 }, 10)).toEqual([]);
});
