import { memory, tensor, tidy } from '@reanchor/torch';
import { expect, test } from 'vitest';
import { AdamW } from './adamw.js';
import { clipGradNorm_ } from './clip.js';

const parameter = (values: number[], shape: number[], gradient: number[]) => {
  const made = tensor(values, { shape, dtype: 'float64', requiresGrad: true });
  made.grad = tensor(gradient, { shape, dtype: 'float64' });
  return made;
};

test('two AdamW steps worked by hand; matrices decay, vectors do not', () => {
  const before = memory().liveTensors;
  tidy(() => {
    const matrix = parameter([1, -2], [1, 2], [0.5, -0.25]);
    const vector = parameter([3], [1], [0.1]);
    using optimizer = new AdamW([matrix, vector], { betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0.1 });
    const [matrixExpected, vectorExpected] = [[1, -2], [3]];
    const moments = { m: [0, 0, 0], v: [0, 0, 0] };
    const gradients = [0.5, -0.25, 0.1];
    for (const [t, lr] of [
      [1, 0.01],
      [2, 0.02],
    ] as const) {
      optimizer.step(lr);
      for (const [i, g] of gradients.entries()) {
        moments.m[i] = 0.9 * moments.m[i]! + 0.1 * g;
        moments.v[i] = 0.99 * moments.v[i]! + 0.01 * g * g;
        const step = moments.m[i]! / (1 - 0.9 ** t) / (Math.sqrt(moments.v[i]! / (1 - 0.99 ** t)) + 1e-8);
        if (i < 2) matrixExpected![i] = matrixExpected![i]! * (1 - lr * 0.1) - lr * step;
        else vectorExpected![0] = vectorExpected![0]! - lr * step;
      }
      expect(matrix).toBeCloseToTensor(matrixExpected!, 1e-12);
      expect(vector).toBeCloseToTensor(vectorExpected!, 1e-12);
    }
  });
  expect(memory().liveTensors).toBe(before);
});

test('clipping scales gradients of norm 5 to the limit and leaves those below it', () => {
  tidy(() => {
    const gradients = [tensor([3], { dtype: 'float64' }), tensor([4], { dtype: 'float64' })];
    expect(clipGradNorm_(gradients, 10)).toBeCloseTo(5, 12);
    expect(gradients[0]!.item()).toBe(3);
    expect(clipGradNorm_(gradients, 1)).toBeCloseTo(5, 12);
    expect(gradients.map((gradient) => gradient.item())).toBeCloseToTensor([0.6, 0.8], 1e-6);
  });
});
