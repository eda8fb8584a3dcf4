// Shapes: N rows, I inputs, O outputs.
import { describe, expect, test } from 'vitest';
import {
  type DType,
  grad,
  linear,
  manualSeed,
  memory,
  type Nf4Absmax,
  nf4Absmax,
  nf4Dequantize,
  nf4Linear,
  nf4Quantize,
  nf4QuantizeAbsmax,
  nf4Table,
  ones,
  rand,
  randn,
  resetPeak,
  setNumThreads,
  type Tensor,
  TorchError,
  tensor,
  tidy,
  zeros,
} from './index.js';

const table = [
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
  -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
];
const bytes = (...values: number[]) => tensor(Uint8Array.from(values));
const codesOf = (packed: Tensor) => packed.toList().flatMap((byte) => [byte >> 4, byte & 15]);
const times = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** Any codes, and absmax as weights have it. */
function anyPacked(shape: readonly number[], blockSize: number) {
  const numel = times(shape);
  const packed = rand([Math.ceil(numel / 2), 1])
    .mul(256)
    .to('uint8');
  return { packed, absmax: rand([Math.ceil(numel / blockSize)]).add(0.5), shape, blockSize };
}

test('the table of the 16 codes', () => {
  expect(tidy(() => nf4Table().toList())).toEqual(table);
});

describe('dequantising', () => {
  test.each(['float32', 'bfloat16', 'float16', 'float64'] as const)('%s: table times absmax, rounded', (dtype) => {
    manualSeed(1);
    for (const [shape, blockSize] of [
      [[1, 1], 64],
      [[3, 5], 64],
      [[10, 26], 64],
      [[7, 96], 64],
      [[4, 64], 64],
      [[5, 7, 9], 2],
      [[33, 31], 32],
      [[9, 13], 6],
    ] as const) {
      tidy(() => {
        const { packed, absmax } = anyPacked(shape, blockSize);
        const scales = absmax.toList();
        const values = codesOf(packed)
          .slice(0, times(shape))
          .map((code, i) => Math.fround(table[code]! * scales[Math.floor(i / blockSize)]!));
        const dense = nf4Dequantize(packed, absmax, { shape, blockSize, dtype });
        expect([dense.shape, dense.dtype]).toEqual([shape, dtype]);
        expect(dense.toList()).toEqual(tensor(values).to(dtype).toList());
      });
    }
  });

  test('the first value is in the high half of a byte', () => {
    const dense = tidy(() =>
      nf4Dequantize(bytes(0x0f, 0x70), tensor([2, 3]), { shape: [3], blockSize: 2, dtype: 'float32' }).toList(),
    );
    expect(dense).toEqual([-2, 2, 0]);
  });

  test('bfloat16 is rounded to the nearest, halves to even; NaN stays NaN', () => {
    const scales = [1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -23, 3.4e38, Number.NaN];
    const values = tidy(() =>
      nf4Dequantize(bytes(...scales.map(() => 0xff)), tensor(scales), {
        shape: [scales.length, 2],
        blockSize: 2,
        dtype: 'bfloat16',
      }).toList(),
    );
    const expected = [1, 1 + 2 ** -6, 1 + 2 ** -7, Number.POSITIVE_INFINITY, Number.NaN];
    expect(values).toEqual(expected.flatMap((value) => [value, value]));
  });

  test('absmax that is quantised too is map times nested absmax plus offset', () => {
    tidy(() => {
      manualSeed(2);
      const { packed, shape, blockSize } = anyPacked([40, 50], 2);
      const doubled = {
        codes: rand([1000]).mul(256).to('uint8'),
        map: randn([256]),
        nestedAbsmax: rand([4]),
        offset: Math.fround(0.3),
        blockSize: 256,
      };
      const [map, nested] = [doubled.map.toList(), doubled.nestedAbsmax.toList()];
      const absmax = doubled.codes.toList().map((code, i) => {
        return Math.fround(Math.fround(map[code]! * nested[Math.floor(i / 256)]!) + doubled.offset);
      });
      expect(nf4Absmax(doubled).toList()).toEqual(absmax);
      for (const dtype of ['float32', 'bfloat16'] as const) {
        const layout = { shape, blockSize, dtype };
        const single = nf4Dequantize(packed, tensor(absmax), layout);
        expect(nf4Dequantize(packed, doubled, layout).toList()).toEqual(single.toList());
      }
    });
  });

  test('two threads give the bits of one', () => {
    tidy(() => {
      manualSeed(3);
      const { packed, absmax, ...layout } = anyPacked([401, 999], 64); // three times what is worth a thread
      const [one, two] = [1, 2].map((threads) => {
        setNumThreads(threads);
        return (['float32', 'bfloat16'] as const).map((dtype) => nf4Dequantize(packed, absmax, { ...layout, dtype }));
      }) as [Tensor[], Tensor[]];
      setNumThreads(1);
      expect(one.map((values, i) => values.equal(two[i]!))).toEqual([true, true]);
    });
  });

  test('sizes and dtypes that do not fit are refused', () => {
    tidy(() => {
      const { packed, absmax } = anyPacked([4, 64], 64);
      const layout = { shape: [4, 64], blockSize: 64, dtype: 'float32' as DType };
      const call =
        (p: Tensor, a: Nf4Absmax, changed = {}) =>
        () =>
          nf4Dequantize(p, a, { ...layout, ...changed });
      expect(call(packed, absmax, { shape: [4, 65] })).toThrow(/for shape \[4, 65\] uint8 of 130 elements; got Byte/);
      expect(call(packed.to('int32'), absmax)).toThrow(/got Int \[128, 1\]/);
      expect(call(packed, absmax, { blockSize: 32 })).toThrow(/has 8 blocks of 32 values, absmax 4 elements/);
      expect(call(packed, absmax, { blockSize: 63 })).toThrow(/must be even and above 0; got 63/);
      expect(call(packed, absmax, { blockSize: 0 })).toThrow(/must be even and above 0; got 0/);
      expect(call(packed, absmax.to('float64'))).toThrow(/absmax is float32, or codes with .*; got 1 of Double/);
      expect(call(packed, absmax, { dtype: 'int32' })).toThrow(/rounded to a floating dtype; got Int/);
      expect(call(packed, absmax.to({ device: 'meta' }))).toThrow(/must be on one device; got cpu and meta/);
      const doubled = nf4QuantizeAbsmax(absmax);
      expect(call(packed, { ...doubled, map: zeros([16]) })).toThrow(
        /a float32 map of 256 values and.*Float map \[16\]/,
      );
      expect(call(packed, { ...doubled, blockSize: 2 })).toThrow(/4 codes in blocks of 2, 2 float32 nested absmax/);
      expect(call(packed, { ...doubled, blockSize: 0 })).toThrow(/nested block size must be above 0; got 0/);
      expect(call(packed, absmax, { shape: [4, 65] })).toThrow(TorchError);
    });
  });

  test('meta tensors give the shape', () => {
    const [packed, absmax] = [zeros([128, 1], { dtype: 'uint8', device: 'meta' }), zeros([4], { device: 'meta' })];
    const layout = { shape: [4, 64], blockSize: 64 };
    expect(nf4Dequantize(packed, absmax, { ...layout, dtype: 'bfloat16' }).dtype).toBe('bfloat16');
    const x = zeros([3, 64], { device: 'meta' });
    expect(nf4Linear(x, packed, absmax, { ...layout, roundTo: 'bfloat16' }).shape).toEqual([3, 4]);
  });
});

describe('the linear layer', () => {
  const packedOf = (O: number, I: number, isDoubled: boolean) => {
    const weight = randn([O, I], { dtype: 'float64' }).mul(0.02);
    const { packed, absmax } = nf4Quantize(weight);
    return { packed, absmax: isDoubled ? nf4QuantizeAbsmax(absmax) : absmax, layout: { shape: [O, I], blockSize: 64 } };
  };

  test.each([
    ['float64', 'float32'],
    ['float32', 'float32'],
    ['float32', 'bfloat16'],
    ['bfloat16', 'bfloat16'],
    ['float32', 'float16'],
    ['bfloat16', 'float32'],
  ] as const)(
    'in %s with values rounded to %s: output and gradients are those of the dense weight',
    (dtype, roundTo) => {
      for (const isDoubled of [false, true]) {
        for (const [shape, O] of [
          [[5, 24], 7],
          [[2, 3, 65], 33],
          [[64], 3],
        ] as const) {
          tidy(() => {
            manualSeed(4);
            const I = shape.at(-1)!;
            const { packed, absmax, layout } = packedOf(O, I, isDoubled);
            const x = randn(shape, { dtype: 'float64' }).to(dtype).requiresGrad_();
            const bias = randn([O], { dtype: 'float64' }).to(dtype).requiresGrad_();
            const dense = nf4Dequantize(packed, absmax, { ...layout, dtype: roundTo }).to(dtype);
            for (const b of [bias, undefined]) {
              const actual = nf4Linear(x, packed, absmax, { ...layout, roundTo, bias: b });
              const expected = linear(x, dense, b);
              expect(actual.dtype).toBe(dtype);
              expect(actual.toList()).toEqual(expected.toList());
              const slope = randn(actual.shape, { dtype: 'float64' }).to(dtype);
              const inputs = b ? [x, b] : [x];
              const found = grad([actual], inputs, { gradOutputs: [slope] }) as Tensor[];
              const wanted = grad([expected], inputs, { gradOutputs: [slope] }) as Tensor[];
              const tolerance = { float64: 1e-14, float32: 1e-6, bfloat16: 2 ** -7 }[dtype];
              for (const [i, input] of inputs.entries()) {
                expect([found[i]!.shape, found[i]!.dtype]).toEqual([input.shape, dtype]);
                expect(found[i]!).toBeCloseToTensor(wanted[i]!, tolerance);
              }
            }
          });
        }
      }
    },
  );

  test('gradients equal finite differences', () => {
    tidy(() => {
      manualSeed(5);
      const { packed, absmax, layout } = packedOf(3, 5, false);
      const [x, bias] = [randn([2, 5], { dtype: 'float64' }), randn([3], { dtype: 'float64' })];
      const slope = randn([2, 3], { dtype: 'float64' });
      const loss = () =>
        nf4Linear(x, packed, absmax, { ...layout, roundTo: 'bfloat16', bias })
          .mul(slope)
          .sum();
      const numeric = [x, bias].map((input) =>
        input.toList().map((_, i) => {
          const at = input.view([-1]).narrow(0, i, 1);
          const [above, below] = [at.add_(1e-6) && loss().item(), at.sub_(2e-6) && loss().item()];
          at.add_(1e-6);
          return (above - below) / 2e-6;
        }),
      );
      for (const input of [x, bias]) input.requiresGrad = true;
      loss().backward();
      expect(x.grad!).toBeCloseToTensor(numeric[0]!, 1e-8);
      expect(bias.grad!).toBeCloseToTensor(numeric[1]!, 1e-8);
    });
  });

  test('only the gradients asked for are made, and the weight asks for none', () => {
    tidy(() => {
      const { packed, absmax, layout } = packedOf(3, 5, false);
      for (const [ofX, ofBias] of [
        [true, false],
        [false, true],
        [false, false],
      ] as const) {
        const x = ones([2, 5]).requiresGrad_(ofX);
        const bias = ones([3]).requiresGrad_(ofBias);
        const y = nf4Linear(x, packed, absmax, { ...layout, roundTo: 'float32', bias });
        expect(y.requiresGrad).toBe(ofX || ofBias);
        if (!y.requiresGrad) continue;
        y.sum().backward();
        expect([x.grad !== null, bias.grad !== null]).toEqual([ofX, ofBias]);
      }
    });
  });

  test.each([false, true])('between the passes the packed weight alone is held (absmax quantised: %s)', (isDoubled) => {
    tidy(() => {
      const [N, I, O] = [8, 1024, 512];
      const { packed, absmax, layout } = packedOf(O, I, isDoubled);
      const x = randn([N, I]).requiresGrad_();
      const { liveTensors, tensorBytes } = memory();
      const dense = 4 * O * I;
      for (let pass = 0; pass < 3; pass++) {
        tidy(() => {
          resetPeak();
          const y = nf4Linear(x, packed, absmax, { ...layout, roundTo: 'bfloat16' });
          const after = memory();
          expect(after.tensorBytes - tensorBytes).toBe(4 * N * (O + (pass > 0 ? I : 0)));
          expect(after.peakTensorBytes - tensorBytes).toBeGreaterThan(dense);
          expect(after.peakTensorBytes - tensorBytes).toBeLessThan(1.2 * dense);
          y.sum().backward();
          expect(memory().peakTensorBytes - tensorBytes).toBeLessThan(1.2 * dense);
        });
        expect(memory().liveTensors).toBe(liveTensors);
        expect(memory().tensorBytes - tensorBytes).toBe(4 * N * I); // x.grad
      }
    });
  });

  test('shapes, dtypes and a second derivative that do not fit are refused', () => {
    tidy(() => {
      const { packed, absmax, layout } = packedOf(3, 5, false);
      const call = (x: Tensor, changed = {}) =>
        nf4Linear(x, packed, absmax, { ...layout, roundTo: 'float32', ...changed });
      expect(() => call(ones([2, 4]))).toThrow(
        /x \[..., I\] and the weight \[O, I\] have shapes \[2, 4\] and \[3, 5\]/,
      );
      expect(() => call(ones([2, 5]), { shape: [15] })).toThrow(/have shapes \[2, 5\] and \[15\]/);
      expect(() => call(ones([2, 5]).to('int32'))).toThrow(/x must have a floating dtype; got Int/);
      expect(() => call(ones([2, 5]), { bias: ones([4]) })).toThrow(TorchError);
      const x = ones([2, 5]).requiresGrad_();
      expect(() => grad([call(x).sum()], [x], { createGraph: true })).toThrow(/differentiated once only/);
    });
  });
});

describe('quantising', () => {
  const midpoints = table.slice(1).map((value, i) => Math.fround((value + table[i]!) / 2));

  test('values of the table have their codes, a tie goes to the lower code, above it to the upper', () => {
    tidy(() => {
      const above = midpoints.map((value) => Math.fround(value + 2 ** -24));
      const weight = tensor([...table, ...midpoints, 0, ...above, 1], { shape: [3, 16] });
      const { packed, absmax } = nf4Quantize(weight, { blockSize: 16 });
      expect([packed.shape, packed.dtype, absmax.toList()]).toEqual([[24, 1], 'uint8', [1, 0.8614784479141235, 1]]);
      const codes = codesOf(packed);
      expect(codes.slice(0, 16)).toEqual(table.map((_, i) => i));
      expect(codes.slice(32)).toEqual(table.map((_, i) => Math.min(i + 1, 15)));
      const ties = nf4Quantize(tensor([...midpoints, 1]), { blockSize: 16 });
      expect(codesOf(ties.packed)).toEqual(table.map((_, i) => i));
    });
  });

  test('values are multiplied by the reciprocal of absmax, not divided by absmax', () => {
    tidy(() => {
      const [absmax, x] = [3 / 1024, 0.00011657270806608722];
      expect(Math.fround(x / absmax)).toBe(midpoints[7]);
      expect(Math.fround(x * Math.fround(1 / absmax))).toBeGreaterThan(midpoints[7]!);
      expect(codesOf(nf4Quantize(tensor([x, -absmax])).packed)).toEqual([8, 0]);
    });
  });

  test('a block of zeros has absmax 0 and the code of 0, and so has what an odd weight lacks', () => {
    tidy(() => {
      const weight = tensor([1, -1, 0, 0, 0, 0, -2], { shape: [7, 1] });
      const { packed, absmax } = nf4Quantize(weight, { blockSize: 2 });
      expect(packed.toList()).toEqual([0xf0, 0x77, 0x77, 0x07]);
      expect(absmax.toList()).toEqual([1, 0, 0, 2]);
      expect(nf4Dequantize(packed, absmax, { shape: [7, 1], blockSize: 2, dtype: 'float32' }).toList()).toEqual(
        weight.toList(),
      );
    });
  });

  test.each(['float32', 'bfloat16', 'float16', 'float64'] as const)(
    '%s of normal values: an error of 0.09, with and without quantised absmax; NF4 values keep their codes',
    (dtype) => {
      tidy(() => {
        manualSeed(6);
        const shape = [96, 129];
        const weight = randn(shape, { dtype: 'float64' }).mul(0.02).to(dtype);
        const { packed, absmax } = nf4Quantize(weight);
        const doubled = nf4QuantizeAbsmax(absmax);
        for (const held of [absmax, doubled]) {
          const dense = nf4Dequantize(packed, held, { shape, blockSize: 64, dtype: 'float32' });
          const error = dense.sub(weight).square().sum().sqrt().item() / weight.square().sum().sqrt().item();
          expect(error).toBeGreaterThan(0.08);
          expect(error).toBeLessThan(0.1);
        }
        const dense = nf4Dequantize(packed, absmax, { shape, blockSize: 64, dtype: 'float32' });
        const again = nf4Quantize(dense);
        expect(again.packed.toList()).toEqual(packed.toList());
        expect(again.absmax.toList()).toEqual(absmax.toList());
      });
    },
  );

  test('a large weight, quantised in pieces, has the codes of its parts; a transposed one those of its values', () => {
    tidy(() => {
      manualSeed(7);
      const [rows, columns] = [1100, 1001];
      const weight = randn([rows, columns]);
      const { packed, absmax } = nf4Quantize(weight);
      const half = 64 * 1001; // a whole number of blocks, and of rows
      const first = nf4Quantize(weight.view([-1]).narrow(0, 0, half));
      const others = nf4Quantize(weight.view([-1]).narrow(0, half, rows * columns - half));
      expect(packed.toList()).toEqual([...first.packed.toList(), ...others.packed.toList()]);
      expect(absmax.toList()).toEqual([...first.absmax.toList(), ...others.absmax.toList()]);
      const turned = weight.narrow(0, 0, 30).t();
      expect(nf4Quantize(turned).packed.toList()).toEqual(nf4Quantize(turned.contiguous()).packed.toList());
      resetPeak();
      const { tensorBytes } = memory();
      nf4Quantize(weight);
      expect(memory().peakTensorBytes - tensorBytes).toBeLessThan(8 * weight.numel * 4);
    });
  });

  test('a weight that asks for gradients is quantised without', () => {
    tidy(() => {
      const { packed, absmax } = nf4Quantize(ones([2, 3]).requiresGrad_());
      expect([packed.requiresGrad, absmax.requiresGrad]).toEqual([false, false]);
    });
  });

  test('absmax: offset, nested absmax and the nearest of the 256 values', () => {
    tidy(() => {
      manualSeed(8);
      const absmax = rand([300]).add(0.5);
      const { codes, map, nestedAbsmax, offset, blockSize } = nf4QuantizeAbsmax(absmax);
      expect([codes.dtype, codes.shape, nestedAbsmax.shape, blockSize]).toEqual(['uint8', [300], [2], 256]);
      expect(offset).toBe(absmax.mean().item());
      const values = map.toList();
      expect(values).toEqual([...values].sort((a, b) => a - b));
      expect([new Set(values).size, values.at(-1), values[127], values[128]! > 0]).toEqual([256, 1, 0, true]);
      const left = absmax.sub(offset);
      const scales = nestedAbsmax.toList();
      expect(scales[0]).toBe(left.narrow(0, 0, 256).abs().max().item());
      for (const [i, code] of codes.toList().entries()) {
        const x = left.toList()[i]! / scales[Math.floor(i / 256)]!;
        const distances = values.map((value) => Math.abs(value - x));
        expect(distances[code]! - Math.min(...distances)).toBeLessThan(1e-6);
      }
    });
  });

  test('odd block sizes, empty and infinite weights are refused', () => {
    expect(() => nf4Quantize(ones([4]), { blockSize: 63 })).toThrow(/an even number from 2 on, 64 as a rule; got 63/);
    expect(() => nf4Quantize(ones([4]), { blockSize: 0 })).toThrow(RangeError);
    expect(() => nf4Quantize(zeros([0, 4]))).toThrow(/of shape \[0, 4\] has no values/);
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => nf4Quantize(tensor([0, value]))).toThrow(/NaN or infinite/);
    }
  });
});
