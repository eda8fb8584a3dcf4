import { memory, ones, type Tensor, tidy } from '@reanchor/torch';
import { expect, test } from 'vitest';
import { Segments } from './segments.js';

test.each([true, false])('what a backward pass has passed is given back, recompute: %s', (recompute) => {
  const held: number[] = [];
  const block = (x_ND: Tensor) => x_ND.mul(2);
  const residency = { begin() {}, enter() {}, leave: () => held.push(memory().tensorBytes), collect() {} };
  const segments = new Segments({ recompute, residency });
  using input = ones([100, 50]);
  tidy(() => {
    const output = segments.run([block, block, block, block], input.mul(1), []);
    output.sum().backward();
  });
  held.length = 0;
  segments.backward();
  // The first block's input is the embedding, which is needed until the end.
  expect(held).toHaveLength(4);
  expect(held[0]! - held[2]!).toBe(2 * 20_000);
});
