// The gated product on the simulated device, where the texts of its kernels run as they would on a GPU.
import { cudaMemory, noGrad, ones, randn, swiglu, tensor, tidy } from '@reanchor/torch';
import { describe, expect, test } from 'vitest';
import { expectSamePasses } from '../support/kernel-passes.js';
import { simulateCuda } from '../support/simulated-cuda/load.js';
import { swigluCases, swigluPasses } from '../support/swiglu-cases.js';

const hindrance = await simulateCuda();
const device = 'cuda:0';

describe.skipIf(hindrance !== undefined)('the gated product by its kernels', () => {
  test.each(swigluCases)('values and gradients are those of float64 but for one rounding: %j', (one) => {
    tidy(() => expectSamePasses(device, swigluPasses(one)));
  });

  test.each([0, 1])('a gradient of operand %s alone', (asking) => {
    tidy(() => {
      const given = [randn([3, 5], { device }), randn([3, 5], { device })] as const;
      const [gate, up] = given.map((x) => x.clone().requiresGrad_()) as [(typeof given)[0], (typeof given)[0]];
      swiglu(gate, up).sum().backward();
      const both = [gate.grad!.toList(), up.grad!.toList()];
      given[asking]!.requiresGrad_();
      swiglu(...given)
        .sum()
        .backward();
      expect(given[asking]!.grad!.toList()).toEqual(both[asking]);
      expect(given[1 - asking]!.grad).toBeNull();
    });
  });

  test('gates beyond all exponents', () => {
    tidy(() => {
      const gate = tensor(Float32Array.of(-1e30, -200, 0, 200, 1e30, Number.NaN), { device }).requiresGrad_();
      const y = swiglu(gate, ones([6], { device }));
      y.sum().backward();
      expect(y.toList()).toEqual([-0, -0, 0, 200, Math.fround(1e30), Number.NaN]);
      expect(gate.grad!.toList()).toEqual([-0, -0, 0.5, 1, 1, Number.NaN]);
    });
  });

  test('nothing but gate and up is kept for the backward pass', () => {
    tidy(() => {
      const [gate, up] = [randn([64, 16], { device }).requiresGrad_(), randn([64, 16], { device })];
      const before = cudaMemory().allocated;
      swiglu(gate, up);
      expect(cudaMemory().allocated - before).toBe(gate.numel * 4);
    });
  });

  test('what does not fit is refused', () => {
    tidy(() => {
      const gate = ones([4, 4], { device });
      expect(() => swiglu(gate, ones([4, 4]))).toThrow(/gate and up have to be alike.*on cuda:0.*on cpu/);
      expect(() => swiglu(gate, ones([4, 3], { device }))).toThrow(/have to be alike/);
      expect(() => swiglu(gate, gate.to('bfloat16'))).toThrow(/have to be alike/);
      expect(() => swiglu(gate.to('float64'), gate)).toThrow('swiglu takes float32 and bfloat16, got float64');
      expect(noGrad(() => swiglu(gate, gate)).requiresGrad).toBe(false);
    });
  });
});
