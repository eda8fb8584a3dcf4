// Copies between a GPU and main memory, on a simulated one that makes them as late as it may: a test that passes has
// waited for all that it reads.
import {
  cat,
  copyToDevice,
  copyToHost,
  emptyPinned,
  keep,
  type Pending,
  type ProcessGroup,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from '@reanchor/torch';
import { describe, expect, test } from 'vitest';
import { Unit } from '#reanchor/weights/unit.js';
import { UnitPlan } from '#reanchor/weights/unit-plan.js';
import { simulateCuda } from '../support/simulated-cuda/load.js';

const hindrance = await simulateCuda();
const there = (values: number[]) => tensor(values).to({ device: 'cuda:0' });
const pinned = (values: number[]) => emptyPinned([values.length], 'float32').copy_(tensor(values));

/** Two ranks in one process: a collective is made when it is waited for, and both have called it by then. */
function twoRanks(): ProcessGroup[] {
  const given: Tensor[][] = [];
  const group = (rank: number) => {
    let calls = 0;
    const call = (tensor: Tensor, result: (tensors: Tensor[]) => Tensor): Pending => {
      given[calls] ??= [];
      const tensors = given[calls++]!;
      tensors[rank] = keep(tensor.clone());
      return { tensor, wait: () => result(tensors) };
    };
    return {
      ...{ rank, world: 2 },
      allGatherInto: (whole: Tensor, slice: Tensor) => call(slice, (tensors) => whole.copy_(cat(tensors))),
      reduceScatter: (whole: Tensor) =>
        call(whole, ([a, b]) =>
          keep(
            a!
              .add(b!)
              .narrow(0, (rank * whole.numel) / 2, whole.numel / 2)
              .clone(),
          ),
        ),
    } as unknown as ProcessGroup;
  };
  return [group(0), group(1)];
}

describe.skipIf(hindrance !== undefined)('copies beside the work of a device', () => {
  test('to main memory: the values are there after wait, and not before it', () =>
    tidy(() => {
      const [first, second] = [copyToHost(there([1, 2])), copyToHost(there([3]))];
      expect(first.tensor.device).toBe('cpu');
      expect(first.tensor.toList()).toEqual([Number.NaN, Number.NaN]);
      expect(second.wait().toList()).toEqual([3]);
      expect(first.wait().toList()).toEqual([1, 2]);
      expect(first.wait()).toBe(first.tensor);
    }));

  test('to a device: what it is given after wait has the values, and the source may go before', () =>
    tidy(() => {
      const targets = [1, 2, 3, 4].map(() => zeros([2], { device: 'cuda:0' }));
      const copies = targets.map((target, i) => {
        const source = pinned([i, i + 1]);
        const copy = copyToDevice(target, source);
        source.dispose();
        return copy;
      });
      expect(targets[3]!.toList()).toEqual([0, 0]);
      expect(copies.map((copy) => copy.wait().toList())).toEqual([
        [0, 1],
        [1, 2],
        [2, 3],
        [3, 4],
      ]);
    }));

  test('pinned memory that is written to while a device may read it', () =>
    tidy(() => {
      const source = pinned([1, 2]);
      copyToDevice(zeros([2], { device: 'cuda:0' }), source).wait();
      source.zero_();
      const next = () => copyToDevice(zeros([2], { device: 'cuda:0' }), pinned([0, 0]));
      expect(() => [next(), next()]).toThrow('pinned memory was written to while a copy could still read it');
    }));

  test('tensors between which there is no such copy', () =>
    tidy(() => {
      const device = there([1, 2]);
      const refusals: [Tensor, Tensor, RegExp][] = [
        [device, tensor([1, 2]), /must be pinned: emptyPinned makes one/],
        [device, device, /one tensor is on a CUDA device, the other in main memory/],
        [device, pinned([1, 2, 3]), /one dtype and one size: float32\[2\] on cuda:0, float32\[3\]/],
        [device, emptyPinned([2], 'bfloat16'), /one dtype and one size/],
        [there([1, 2, 3, 4]).view([2, 2]).t(), pinned([1, 2, 3, 4]), /must be contiguous/],
      ];
      for (const [target, source, words] of refusals) expect(() => copyToDevice(target, source)).toThrow(words);
    }));

  test('slices in main memory of two processes: the whole is gathered, and gradients are summed and come down', () => {
    const plan = new UnitPlan();
    plan.add('w', [5]);
    const [a, b] = twoRanks().map((world) => {
      const dtypes = { dtype: 'bfloat16', kept: 'float32', reduce: 'float32' } as const;
      return new Unit({ world, ...dtypes, device: 'cuda:0', keptOn: 'cpu', isResident: false, plan });
    }) as [Unit, Unit];
    for (const unit of [a, b]) {
      unit.put('w', there([1, 2, 3, 4, 5]));
      unit.free();
    }
    for (const step of ['gather', 'use'] as const) for (const unit of [a, b]) unit[step]();
    for (const unit of [a, b]) expect(unit.views.get('w')!.toList()).toEqual([1, 2, 3, 4, 5]);
    for (const micro of [1, 2]) {
      for (const [rank, unit] of [a, b].entries()) {
        unit.views.get('w')!.grad = keep(
          there([1, 2, 3, 4, 5])
            .mul(micro + rank)
            .to('bfloat16'),
        );
        unit.take();
      }
      for (const step of ['send', 'bring', 'settle'] as const) for (const unit of [a, b]) unit[step]();
    }
    // 1 + 2 times the numbers, and 2 + 3 times.
    expect(a.gradient!.toList()).toEqual([8, 16, 24]);
    expect(b.gradient!.toList()).toEqual([32, 40, 0]);
    expect([a, b].map(({ gradient }) => gradient!.device)).toEqual(['cpu', 'cpu']);
    for (const unit of [a, b]) unit[Symbol.dispose]();
  });
});
