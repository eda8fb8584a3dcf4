import { describe, expect, test } from 'vitest';
import { backward, grad, memory, noGrad, ones, op, randn, type Tensor, tensor, tidy } from './index.js';

describe('backward', () => {
  test('adds up gradients in leaves', () => {
    const x = tensor([1, 2, 3], { requiresGrad: true });
    expect(x.grad).toBeNull();
    x.mul(x).sum().backward();
    x.sum().backward();
    expect(x.grad?.toList()).toEqual([3, 5, 7]);
    x.grad = null;
    expect(x.grad).toBeNull();
  });

  test('takes a gradient for outputs with many elements', () => {
    const x = ones([2]).requiresGrad_();
    x.mul(3).backward(tensor([1, 10]));
    expect(x.grad?.toList()).toEqual([3, 30]);
    expect(() => x.mul(3).backward()).toThrow(/grad can be implicitly created only for scalar outputs/);
  });

  test('of several tensors at once', () => {
    const x = ones([1]).requiresGrad_();
    backward([x.mul(2), x.mul(5)]);
    expect(x.grad?.item()).toBe(7);
    backward([x.mul(1)], [tensor([4])]);
    expect(x.grad?.item()).toBe(11);
  });

  test('under noGrad nothing is recorded', () => {
    const x = ones([1]).requiresGrad_();
    const y = noGrad(() => x.mul(2));
    expect(y.requiresGrad).toBe(false);
    expect(() => y.backward()).toThrow(/does not require grad/);
  });

  test('requiresGrad can be set on leaves, and only there switched off', () => {
    const x = ones([1]);
    x.requiresGrad = true;
    expect([x.requiresGrad, x.isLeaf()]).toEqual([true, true]);
    const y = x.mul(2);
    expect([y.requiresGrad, y.isLeaf()]).toEqual([true, false]);
    expect(() => {
      y.requiresGrad = false;
    }).toThrow(/leaf tensors only/);
    expect(y.detach().requiresGrad).toBe(false);
    x.requiresGrad = false;
    expect(x.requiresGrad).toBe(false);
    expect(() => tensor([1], { dtype: 'int64', requiresGrad: true })).toThrow(/floating point/);
  });

  test('a gradient of another shape or dtype is refused', () => {
    const x = ones([2]).requiresGrad_();
    x.grad = ones([2]);
    expect(() => {
      x.grad = ones([3]);
    }).toThrow(/shape, dtype and device: float32\[2\], got float32\[3\]/);
    expect(() => {
      x.grad = ones([2], { dtype: 'float64' });
    }).toThrow(/got float64\[2\]/);
  });

  test('the tensor that .grad returns belongs to the current scope', () => {
    const x = ones([1]).requiresGrad_();
    x.mul(2).backward();
    const before = memory().liveTensors;
    tidy(() => expect(x.grad?.item()).toBe(2));
    expect(memory().liveTensors).toBe(before);
    expect(x.grad?.item()).toBe(2);
  });

  test('an in-place change of a saved tensor is noticed', () => {
    const x = ones([1]).requiresGrad_();
    const y = x.exp();
    noGrad(() => y.add_(1));
    expect(() => y.sum().backward()).toThrow(/modified by an inplace operation/);
  });
});

describe('grad', () => {
  test('returns gradients and leaves .grad alone', () => {
    const [x, y] = [ones([2]).requiresGrad_(), ones([2]).requiresGrad_()];
    const [gx, gy] = grad([x.mul(3).sum()], [x, y]);
    expect(gx?.toList()).toEqual([3, 3]);
    expect(gy).toBeNull();
    expect(x.grad).toBeNull();
  });

  test('of a gradient, with createGraph', () => {
    const x = tensor([2], { requiresGrad: true });
    const [first] = grad([x.pow(3)], [x], { createGraph: true });
    const [second] = grad([first as Tensor], [x]);
    expect([first?.item(), second?.item()]).toEqual([12, 12]);
  });

  test('a second pass needs retainGraph', () => {
    const x = tensor([2], { requiresGrad: true });
    const y = x.mul(x);
    expect(grad([y], [x], { retainGraph: true })[0]?.item()).toBe(4);
    expect(grad([y], [x], { gradOutputs: [tensor([3])] })[0]?.item()).toBe(12);
    expect(() => grad([y], [x])).toThrow(/backward through the graph a second time/);
  });

  test('checkpointing without callbacks: recompute a segment, then _backward through it', () => {
    const w = randn([4, 4]).requiresGrad_();
    const x = randn([2, 4]);
    const segment = (input: Tensor) => input.mm(w).tanh();
    segment(segment(x)).sum().backward();
    const expected = w.grad as Tensor;
    w.grad = null;

    const middle = noGrad(() => segment(x)).requiresGrad_();
    segment(middle).sum().backward();
    op('aten::_backward')(segment(x), [], middle.grad as Tensor, null, false);
    expect(w.grad).not.toBeNull();
    expect((w.grad as unknown as Tensor).toList()).toBeCloseToTensor(expected, 1e-6);
  });
});
