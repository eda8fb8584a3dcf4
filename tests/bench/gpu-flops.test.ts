import { expect, test } from 'vitest';
import { nominalFlops, strictStepFlops } from '../../bench/gpu-flops.js';

const shape = { matrixParameters: 1000, vocabulary: 50, layers: 2, block: { width: 8, heads: 2, headChannels: 4 } };

test('a step without a prompt is 6 N + 12 L H Q T a token of the policy, and a third of it for the reference', () => {
  const [tokens, t] = [20, 10];
  const head = 8 * 50;
  const trained = tokens * (6 * (1000 + head) + 12 * 2 * 2 * 4 * t);
  expect(strictStepFlops(shape, [[0, 10, 10]])).toBe((trained * 4) / 3);
});

test('a prompt has no head, counts once and sees the longer row', () => {
  const with3 = strictStepFlops(shape, [[3, 2, 4]]);
  const seen = 3 * 7 + 2 * 5 + 4 * 7;
  expect(with3).toBe(8 * (1000 * 9 + 8 * 50 * 6 + 2 * 2 * 2 * 4 * seen));
  expect(
    strictStepFlops(shape, [
      [3, 2, 4],
      [3, 2, 4],
    ]),
  ).toBe(2 * with3);
  expect(strictStepFlops(shape, [])).toBe(0);
});

test.each([
  ['NVIDIA H200', 989e12],
  ['NVIDIA H100 80GB HBM3', 989e12],
  ['NVIDIA H100 PCIe', 756e12],
  ['NVIDIA A100-SXM4-80GB', 312e12],
  ['NVIDIA A10', 125e12],
  ['NVIDIA L4', 121e12],
  ['NVIDIA L40S', 362e12],
  ['Some other card', undefined],
])('the data sheet of %s', (card, flops) => {
  expect(nominalFlops(card)).toBe(flops);
});
