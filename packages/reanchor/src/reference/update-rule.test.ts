import { expect, test } from 'vitest';
import { type UpdateRule, updateShare } from './update-rule.js';

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
