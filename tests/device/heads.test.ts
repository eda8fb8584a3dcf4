// Heads out of their projections on the simulated device, where the text of the kernel runs as it would on a GPU.
import {
  backward,
  cudaMemory,
  type DType,
  type KeyRows,
  ones,
  randn,
  resetPeakCudaMemory,
  rotateHeads,
  type Tensor,
  tidy,
  zeros,
} from '@reanchor/torch';
import { describe, expect, test } from 'vitest';
import { headsCases, headsPasses } from '../support/heads-cases.js';
import { expectSamePasses } from '../support/kernel-passes.js';
import { simulateCuda } from '../support/simulated-cuda/load.js';

const hindrance = await simulateCuda();
const device = 'cuda:0';
const onDevice = (...shape: number[]) => randn(shape, { device });

describe.skipIf(hindrance !== undefined)('heads by their kernel', () => {
  test.each(headsCases)('values and gradients are those of float64 but for one rounding: %j', (one) => {
    tidy(() => expectSamePasses(device, headsPasses(one)));
  });

  test.each([0, 1])('a gradient of operand %s alone, and of one output alone', (asking) => {
    tidy(() => {
      const [cos, sin] = [onDevice(4, 1, 8), onDevice(4, 1, 8)];
      const given = [onDevice(4, 2, 8), onDevice(4, 1, 8)] as const;
      const [q, k] = given.map((x) => x.clone().requiresGrad_()) as [Tensor, Tensor];
      const sum = ([q, k]: readonly Tensor[]) => q!.square().sum().add(k!.square().sum());
      sum(rotateHeads([q, k], { cos, sin })).backward();
      const both = [q.grad!.toList(), k.grad!.toList()];
      given[asking]!.requiresGrad_();
      sum(rotateHeads(given, { cos, sin })).backward();
      expect(given[asking]!.grad!.toList()).toEqual(both[asking]);
      expect(given[1 - asking]!.grad).toBeNull();
      const joined = onDevice(4, 2, 24).requiresGrad_();
      rotateHeads([joined], { cos, sin })[2]!.sum().backward();
      expect(joined.grad!.sum([0, 1]).toList()).toEqual([...new Array(16).fill(0), ...new Array(8).fill(8)]);
    });
  });

  test('a backward pass makes the gradient of the projection and nothing else', () => {
    tidy(() => {
      const [cos, sin] = [onDevice(64, 1, 8), onDevice(64, 1, 8)];
      const joined = onDevice(64, 4, 48).requiresGrad_();
      const heads = rotateHeads([joined], { cos, sin });
      const slopes = heads.map(({ shape }) => onDevice(...shape));
      const before = cudaMemory().allocated;
      resetPeakCudaMemory();
      backward(heads, slopes);
      expect(cudaMemory().peakAllocated - before).toBe(joined.numel * 4);
      expect(joined.grad!.shape).toEqual(joined.shape);
    });
  });

  test('what does not fit is refused', () => {
    tidy(() => {
      const [x, table] = [ones([4, 2, 8], { device }), ones([4, 1, 8], { device })];
      const angles = { cos: table, sin: table };
      const rotated = (second: Tensor) => () => rotateHeads([x, second], angles);
      expect(rotated(ones([3, 2, 8], { device }))).toThrow(/projections have to be alike/);
      expect(rotated(x.to('bfloat16'))).toThrow(/projections have to be alike/);
      expect(() => rotateHeads([x], angles)).toThrow(/three heads side by side have 8 channels/);
      expect(() => rotateHeads([x, x, x, x], angles)).toThrow(/one to three projections, got 4/);
      const turned = (cos: Tensor) => () => rotateHeads([x, x], { cos, sin: table });
      expect(turned(ones([4, 1, 10], { device }))).toThrow(/an even R up to 8; got.*10/);
      expect(turned(ones([4, 1, 8]))).toThrow(/cos and sin have to be.*on cpu/);
      expect(() => rotateHeads([x.to('float64'), x], angles)).toThrow('rotateHeads takes float32 and bfloat16');
      const ids = (length: number, dtype: DType = 'int32') => zeros([length], { dtype, device });
      const gathering = (keys: KeyRows) => () => rotateHeads([x, x, x], { ...angles, keys });
      expect(gathering({ rows_G: ids(6), ends_N1: ids(4), places_G: ids(6) })).toThrow(
        /of 4 tokens, 6 rows have 4 ends/,
      );
      expect(gathering({ rows_G: ids(6, 'int64'), ends_N1: ids(5), places_G: ids(6) })).toThrow(/have to be int32/);
    });
  });
});
