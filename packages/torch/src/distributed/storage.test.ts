import { expect, test } from 'vitest';
import { backward, memory, noGrad, resizeStorage, TorchError, tensor, tidy, untracked, zeros } from '../index.js';

test('memory comes and goes behind a tensor and its views', () => {
  tidy(() => {
    const count = 1_000_000;
    const whole = zeros([count]);
    const view = whole.narrow(0, count / 2, 4).view([2, 2]);
    const before = memory().tensorBytes;
    resizeStorage(whole, 0);
    expect(before - memory().tensorBytes).toBe(4 * count);
    expect(whole.shape).toEqual([count]);
    resizeStorage(whole, 4 * count);
    expect(memory().tensorBytes).toBe(before);
    whole.fill_(3);
    expect(view.toList()).toEqual([3, 3, 3, 3]);
    view.zero_();
    expect(whole.sum().item()).toBe(3 * (count - 4));
  });
});

test('a tensor without memory cannot be read or written, and the process lives', () => {
  tidy(() => {
    const whole = zeros([8]);
    const view = whole.narrow(0, 2, 4);
    const apart = untracked(view);
    resizeStorage(whole, 0);
    const words = /the memory of this tensor was given back by resizeStorage\(tensor, 0\)/;
    for (const use of [
      () => view.add(1),
      () => view.toList(),
      () => apart.fill_(1),
      () => apart.mm(apart),
      () => whole.clone(),
    ]) {
      expect(use).toThrow(TorchError);
    }
    expect(() => view.add(1)).toThrow(words);
    resizeStorage(whole, 32);
    expect(apart.fill_(2).toList()).toEqual([2, 2, 2, 2]);
  });
  expect(() => resizeStorage(zeros([1]), -1)).toThrow('bytes is an integer from 0 on, got -1');
});

test('what autograd keeps of a buffer is valid again once it is filled anew; without untracked() it is refused', () => {
  const gradientOf = (viewOf: (whole: ReturnType<typeof tensor>) => ReturnType<typeof tensor>) =>
    tidy(() => {
      const whole = tensor([1, 2, 3]);
      const weight = viewOf(whole);
      const input = tensor([4, 5, 6], { requiresGrad: true });
      const loss = input.mul(weight).sum();
      resizeStorage(whole, 0);
      resizeStorage(whole, 12);
      noGrad(() => whole.copy_(tensor([1, 2, 3])));
      backward([loss]);
      return input.grad!.toList();
    });
  expect(gradientOf((whole) => untracked(whole.view([3])))).toEqual([1, 2, 3]);
  expect(() => gradientOf((whole) => whole.view([3]))).toThrow(/modified by an inplace operation/);
});
