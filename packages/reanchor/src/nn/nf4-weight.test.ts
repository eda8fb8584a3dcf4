import { decodeLinear, linear, manualSeed, memory, noGrad, randn, type Tensor, tensor, tidy } from '@reanchor/torch';
import { expect, test } from 'vitest';
import { decoding } from './decoding.js';
import { Nf4Weight } from './nf4-weight.js';

const normal = (...shape: number[]) => tidy(() => randn(shape, { dtype: 'float64' }).mul(0.02).to('bfloat16'));
const text = (state: Tensor) => JSON.parse(Buffer.from(state.toList()).toString()) as unknown;

test.each([
  { isDoubled: false, bits: 4.5 },
  { isDoubled: true, bits: 4.127 },
])(
  'a weight takes $bits bits a value (doubled: $isDoubled), no more while it is used, and nothing afterwards',
  ({ isDoubled, bits }) => {
    manualSeed(1);
    const before = memory();
    const weight = normal(1024, 1024);
    const packed = Nf4Weight.quantize(weight, { isDoubled });
    weight.dispose();
    const map = isDoubled ? 1024 : 0;
    expect((packed.bytes - map) * 8).toBeCloseTo(bits * 2 ** 20, -3);
    expect(memory().tensorBytes - before.tensorBytes).toBe(packed.bytes);
    expect([packed.shape, packed.numel, packed.dtype, packed.device]).toEqual([
      [1024, 1024],
      2 ** 20,
      'bfloat16',
      'cpu',
    ]);
    tidy(() => {
      const x = randn([4, 1024]).requiresGrad_();
      const y = packed.linear(x);
      expect(memory().tensorBytes - before.tensorBytes).toBe(packed.bytes + 2 * 4 * 4096);
      y.sum().backward();
      expect(x.grad!.numel).toBe(4096);
      expect(memory().tensorBytes - before.tensorBytes).toBeLessThan(packed.bytes + 4 * 4 * 4096);
    });
    packed[Symbol.dispose]();
    expect(memory()).toMatchObject({ tensorBytes: before.tensorBytes, liveTensors: before.liveTensors });
  },
);

test.each([false, true])(
  'output is that of the dense weight, whose values are of its own dtype (doubled: %s)',
  (isDoubled) => {
    tidy(() => {
      manualSeed(2);
      const weight = normal(33, 65);
      const packed = Nf4Weight.quantize(weight, { isDoubled });
      const [x, bias] = [randn([5, 65]), randn([33])];
      expect(packed.dense().dtype).toBe('bfloat16');
      const dense = packed.dense('float32');
      expect(dense.toList()).toEqual(packed.dense().toList());
      const error = dense.sub(weight).square().sum().sqrt().item() / weight.square().sum().sqrt().item();
      expect(error).toBeLessThan(0.1);
      expect(packed.linear(x, bias).toList()).toEqual(linear(x, dense, bias).toList());
      expect(packed.linear(x.to('bfloat16')).toList()).toEqual(linear(x.to('bfloat16'), packed.dense()).toList());
      noGrad(() => {
        const generated = decoding(() => packed.linear(x, bias));
        expect(generated.toList()).toEqual(decodeLinear(x, dense, bias).toList());
      });
    });
  },
);

test.each([false, true])(
  'a shared weight is the same memory, and outlives the first owner (doubled: %s)',
  (isDoubled) => {
    manualSeed(3);
    const before = memory();
    const first = tidy(() => Nf4Weight.quantize(normal(8, 100), { isDoubled }).keep());
    const { tensorBytes } = memory();
    const values = tidy(() => first.dense().toList());
    const second = tidy(() => first.share().keep());
    expect(memory().tensorBytes).toBe(tensorBytes);
    first[Symbol.dispose]();
    expect(tidy(() => second.dense().toList())).toEqual(values);
    expect(memory().tensorBytes).toBe(tensorBytes);
    second[Symbol.dispose]();
    expect(memory()).toMatchObject({ tensorBytes: before.tensorBytes, liveTensors: before.liveTensors });
  },
);

test('its tensors are those that bitsandbytes stores', () => {
  tidy(() => {
    const weight = tensor([1, -1, 0.1, 0, 0, 0], { shape: [3, 2] });
    const single = Nf4Weight.quantize(weight, { isDoubled: false }).tensors();
    expect([...single].map(([suffix, { dtype, shape }]) => [suffix, dtype, shape])).toEqual([
      ['', 'uint8', [3, 1]],
      ['.absmax', 'float32', [1]],
      ['.quant_map', 'float32', [16]],
      ['.quant_state.bitsandbytes__nf4', 'uint8', [67]],
    ]);
    expect(single.get('')!.toList()).toEqual([0xf0, 0x87, 0x77]);
    const state = { quant_type: 'nf4', blocksize: 64, dtype: 'float32', shape: [3, 2] };
    expect(text(single.get('.quant_state.bitsandbytes__nf4')!)).toEqual(state);
    const doubled = Nf4Weight.quantize(weight, { isDoubled: true }).tensors();
    expect([...doubled].map(([suffix, { dtype, shape }]) => [suffix, dtype, shape]).slice(1, 5)).toEqual([
      ['.absmax', 'uint8', [1]],
      ['.quant_map', 'float32', [16]],
      ['.nested_absmax', 'float32', [1]],
      ['.nested_quant_map', 'float32', [256]],
    ]);
    expect(text(doubled.get('.quant_state.bitsandbytes__nf4')!)).toEqual({
      ...state,
      nested_blocksize: 256,
      nested_dtype: 'float32',
      nested_offset: 1,
    });
  });
});
