/** Operators that have kernels of their own, beside what they stand for, in float64 on the CPU. */
import { type Device, type DType, grad, manualSeed, randn, type Tensor, tidy } from '@reanchor/torch';
import { expect } from 'vitest';

/** The dtypes of kernels, each with the largest relative error of a number that is computed in float32 and rounded. */
export const kernelDTypes = { float32: 1e-6, bfloat16: 2 ** -8 } as const;

type KernelDType = keyof typeof kernelDTypes;

/** Normal numbers that `dtype` has, in float64. */
export const numbersOf = (dtype: DType, shape: readonly number[], scale = 1): Tensor =>
  randn([...shape])
    .mul(scale)
    .to(dtype)
    .to('float64');

/** What an operator makes of tensors, and the gradients of these, given those of its outputs. */
export interface KernelPasses {
  dtype: KernelDType;
  inputs: readonly Tensor[];
  /** By kernels, on a device, and by operators. */
  fused(...inputs: Tensor[]): readonly Tensor[];
  composed(...inputs: Tensor[]): readonly Tensor[];
}

/** Expects values and gradients of kernels on a device to be those of operators but for one rounding. */
export function expectSamePasses(device: Device, { dtype, inputs, fused, composed }: KernelPasses): void {
  tidy(() => {
    manualSeed(5);
    const leaves = inputs.map((x) => x.clone().requiresGrad_());
    const expected = composed(...leaves);
    const slopes = expected.map(({ shape }) => numbersOf(dtype, shape));
    const there = inputs.map((x) => x.to({ dtype, device }).requiresGrad_());
    const found = fused(...there);
    const slopesThere = slopes.map((x) => x.to({ dtype, device }));
    for (const output of found) expect([output.dtype, output.device]).toEqual([dtype, device]);
    expectRounded(dtype, found, expected);
    expectRounded(
      dtype,
      grad(found, there, { gradOutputs: slopesThere }) as Tensor[],
      grad(expected, leaves, { gradOutputs: slopes }) as Tensor[],
    );
  });
}

function expectRounded(dtype: KernelDType, found: readonly Tensor[], exact: readonly Tensor[]): void {
  expect(found.map(({ shape }) => shape)).toEqual(exact.map(({ shape }) => shape));
  for (const [i, x] of found.entries()) {
    const wanted = exact[i]!.toList();
    const values = x.to({ device: 'cpu' }).to('float64').toList();
    const isWrong = (value: number, k: number) =>
      !(Math.abs(value - wanted[k]!) <= kernelDTypes[dtype] * Math.abs(wanted[k]!) + 1e-6);
    const wrong = values.findIndex(isWrong);
    expect(wrong, `tensor ${i} at ${wrong}: ${values[wrong]} in place of ${wanted[wrong]}`).toBe(-1);
  }
}
