import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import {
  arange,
  cat,
  DTYPES,
  type DType,
  einsum,
  empty,
  foreachAdd_,
  foreachMul,
  foreachMul_,
  foreachNorm,
  fromFile,
  full,
  isCudaAvailable,
  linear,
  ones,
  op,
  randn,
  rmsNorm,
  scaledDotProductAttention,
  type Tensor,
  tensor,
  where,
  zeros,
} from './index.js';

describe('typed arrays', () => {
  test.each([
    ['float32', Float32Array.of(1.5, -2, 0.25), Float32Array],
    ['float64', Float64Array.of(1.5, -2, 1e-300), Float64Array],
    ['int64', BigInt64Array.of(1n, -(2n ** 62n), 3n), BigInt64Array],
    ['int32', Int32Array.of(1, -2, 2 ** 31 - 1), Int32Array],
    ['int16', Int16Array.of(1, -2, 32767), Int16Array],
    ['int8', Int8Array.of(1, -2, 127), Int8Array],
    ['uint8', Uint8Array.of(1, 2, 255), Uint8Array],
  ] as const)('a typed array decides the dtype and comes back bit for bit: %s', (dtype, data, type) => {
    const t = tensor(data);
    expect(t.dtype).toBe(dtype);
    expect(t.shape).toEqual([3]);
    expect(t.data()).toBeInstanceOf(type);
    expect(t.data()).toEqual(data);
  });

  test.each(DTYPES.map((dtype) => [dtype]))('numbers become %s when asked for', (dtype: DType) => {
    const t = tensor([0, 1, 1, 0, 1, 1], { shape: [2, 3], dtype });
    expect([t.dtype, t.shape, t.numel, t.ndim]).toEqual([dtype, [2, 3], 6, 2]);
    expect(t.toList()).toEqual([0, 1, 1, 0, 1, 1]);
  });

  test('16-bit floats come as Float32Array, bool as Uint8Array', () => {
    expect(tensor([1.00390625, 3], { dtype: 'bfloat16' }).data()).toEqual(Float32Array.of(1, 3));
    expect(tensor([1.5, 3], { dtype: 'float16' }).data()).toEqual(Float32Array.of(1.5, 3));
    expect(tensor([1.5, 0], { dtype: 'bool' }).data()).toEqual(Uint8Array.of(1, 0));
  });

  test('the data is copied, both ways', () => {
    const source = Float32Array.of(1, 2);
    const t = tensor(source);
    source[0] = 9;
    const read = t.data();
    expect(read).toEqual(Float32Array.of(1, 2));
    read[1] = 7;
    expect(t.toList()).toEqual([1, 2]);
  });

  test('a transposed tensor is read in row-major order, a part of a buffer from its own offset', () => {
    expect(
      tensor([1, 2, 3, 4], { shape: [2, 2] })
        .t()
        .toList(),
    ).toEqual([1, 3, 2, 4]);
    expect(tensor(Float32Array.of(0, 1, 2, 3).subarray(2)).toList()).toEqual([2, 3]);
  });

  test('empty and scalar tensors', () => {
    expect(tensor([]).shape).toEqual([0]);
    expect(tensor([]).toList()).toEqual([]);
    const scalar = tensor([5], { shape: [] });
    expect([scalar.ndim, scalar.item()]).toEqual([0, 5]);
  });

  test('a shape that does not fit is refused', () => {
    expect(() => tensor([1, 2, 3], { shape: [2, 2] })).toThrow(/needs 4 elements, the array has 3/);
  });
});

describe('the generic call', () => {
  test('optional tensors may be left out, null or given', () => {
    const [x, w, b] = [tensor([1, 2], { shape: [1, 2] }), tensor([3, 4], { shape: [1, 2] }), tensor([10])];
    expect(linear(x, w).toList()).toEqual([11]);
    expect(linear(x, w, null).toList()).toEqual([11]);
    expect(linear(x, w, b).toList()).toEqual([21]);
  });

  test('a list of optional tensors indexes', () => {
    const x = arange(6).reshape([2, 3]);
    expect(x.index([null, tensor([2, 0], { dtype: 'int64' })]).toList()).toEqual([2, 0, 5, 3]);
  });

  test('several results come as a tuple, lists of tensors as an array', () => {
    const x = tensor([3, 1, 2, 9, 8, 7], { shape: [2, 3] });
    const [values, indices] = x.max(1);
    expect([values.toList(), indices.toList(), indices.dtype]).toEqual([[3, 9], [0, 0], 'int64']);
    expect(x.unbind(0).map((row) => row.toList())).toEqual([
      [3, 1, 2],
      [9, 8, 7],
    ]);
    expect(x.split([1, 2], 1).map((part) => part.shape)).toEqual([
      [2, 1],
      [2, 2],
    ]);
    expect(x.split(2, 1).map((part) => part.shape)).toEqual([
      [2, 2],
      [2, 1],
    ]);
  });

  test('overloads are told apart by the type of their arguments', () => {
    const x = tensor([1, -2, 3]);
    expect(x.add(1).toList()).toEqual([2, -1, 4]);
    expect(x.add(x, { alpha: 2 }).toList()).toEqual([3, -6, 9]);
    expect(x.div(2).toList()).toEqual([0.5, -1, 1.5]);
    expect(x.div(tensor([2]), { roundingMode: 'floor' }).toList()).toEqual([0, -1, 1]);
    expect(x.pow(2).toList()).toEqual([1, 4, 9]);
    expect(x.max().item()).toBe(3);
    expect(x.sum().item()).toBe(2);
    expect(x.sum({ dtype: 'float64' }).dtype).toBe('float64');
    expect(x.sum(0, true).shape).toEqual([1]);
    expect(x.sum(null, true).shape).toEqual([1]);
    expect(where(x.gt(0), x, 0).toList()).toEqual([1, 0, 3]);
    expect(where(x.gt(0), 0, x).toList()).toEqual([0, -2, 0]);
    expect(x.view([3, 1]).shape).toEqual([3, 1]);
    expect(x.view('uint8').numel).toBe(12);
    expect(arange(3).toList()).toEqual([0, 1, 2]);
    expect(arange(1, 2, 0.25).toList()).toEqual([1, 1.25, 1.5, 1.75]);
  });

  test('an in-place operator returns the very tensor it changed', () => {
    const x = ones([2]);
    expect(x.add_(1)).toBe(x);
    expect(x.mul_(tensor([2, 3]))).toBe(x);
    expect(x.toList()).toEqual([4, 6]);
    const out = empty([2]);
    expect(op('aten::add', 'out')(x, x, 1, out)).toBe(out);
    expect(out.toList()).toEqual([8, 12]);
  });

  test('a single number stands for a list of one, also where the schema wants two', () => {
    expect(ones([2, 3]).sum(0).shape).toEqual([3]);
    const image = ones([1, 1, 4, 4]);
    const pooled = op('aten::max_pool2d')(image, 2) as Tensor;
    expect(pooled.shape).toEqual([1, 1, 2, 2]);
  });

  test('numbers: integers stay integers, fractions make floats, bigints reach 64 bits', () => {
    const x = tensor([4, 6], { dtype: 'int64' });
    expect(x.mul(2).dtype).toBe('int64');
    expect(x.mul(0.5).dtype).toBe('float32');
    expect(x.add(2n ** 60n).data()).toEqual(BigInt64Array.of(2n ** 60n + 4n, 2n ** 60n + 6n));
    expect(Object.is(tensor([5]).mul(-0).item(), -0)).toBe(true);
    expect(() => x.add(2n ** 64n)).toThrow(/does not fit in 64 bits/);
  });

  test('strings, dtypes, lists of numbers and lists of tensors', () => {
    const a = tensor([1, 2, 3, 4], { shape: [2, 2] });
    expect(einsum('ij,jk->ik', [a, a]).toList()).toEqual([7, 10, 15, 22]);
    expect(tensor([1]).gelu({ approximate: 'tanh' }).item()).toBeCloseTo(0.84119, 4);
    expect(a.to('float64').dtype).toBe('float64');
    expect(a.to({ dtype: 'int32' }).dtype).toBe('int32');
    expect(a.to('cpu').shape).toEqual([2, 2]);
    const list = [ones([2]), ones([3])];
    foreachMul_(list, [2, 4]);
    foreachAdd_(list, list);
    expect(list.map((t) => t.toList())).toEqual([
      [4, 4],
      [8, 8, 8],
    ]);
    expect(foreachMul(list, 0.5)[1]?.toList()).toEqual([4, 4, 4]);
    expect(foreachNorm(list).map((t) => t.item())).toEqual([Math.fround(Math.sqrt(32)), Math.fround(Math.sqrt(192))]);
  });

  test('lists longer than the shared buffer', () => {
    const many = Array.from({ length: 5000 }, (_, i) => tensor([i]));
    const joined = cat(many);
    expect(joined.shape).toEqual([5000]);
    expect(joined.sum().item()).toBe((4999 * 5000) / 2);
    expect(joined.split(new Array(5000).fill(1)).length).toBe(5000);
    expect(() => joined.split(new Array(300).fill(1))).toThrow(/split_with_sizes|split/);
  });

  test('a list that changes between calls is never served from the cache', () => {
    const x = ones([2, 3, 4]);
    for (const dims of [[0], [1], [2], [0, 1], [0]]) {
      expect(x.sum(dims).shape).toEqual([2, 3, 4].filter((_, i) => !dims.includes(i)));
    }
  });

  test('rank and device: meta tensors have a shape and no data', () => {
    const m = zeros([1000, 1000], { device: 'meta', dtype: 'bfloat16' });
    expect([m.device, m.dtype, m.mm(m).shape]).toEqual(['meta', 'bfloat16', [1000, 1000]]);
    expect(() => m.data()).toThrow();
    expect(inspect(m)).toBe('Tensor(bfloat16[1000, 1000] on meta)');
  });

  test('full() is float32 unless told otherwise', () => {
    expect(full([2], 1).dtype).toBe('float32');
    expect(full([2], 1, { dtype: 'int64' }).dtype).toBe('int64');
  });

  test('attention with fewer key heads than query heads, and a norm', () => {
    const [q, k] = [randn([1, 4, 3, 8]), randn([1, 2, 3, 8])];
    expect(scaledDotProductAttention(q, k, k, { isCausal: true, enableGqa: true }).shape).toEqual([1, 4, 3, 8]);
    const x = tensor([3, 4], { shape: [1, 2] });
    expect(rmsNorm(x, [2], null, 0).toList()[0]).toBeCloseTo(3 / Math.sqrt(12.5), 6);
  });

  test('a file is mapped, and its bytes are seen as another dtype without a copy', () => {
    const folder = mkdtempSync(join(tmpdir(), 'reanchor-'));
    try {
      const file = join(folder, 'numbers.bin');
      writeFileSync(file, new Uint8Array(Float32Array.of(0, 1.5, -2, 8).buffer));
      const bytes = fromFile(file, false, 16, { dtype: 'uint8' });
      expect(bytes.slice(0, 4, 16).view('float32').view([3]).toList()).toEqual([1.5, -2, 8]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('any registered operator can be called by name', () => {
    const x = tensor([-1, 0.5, 3]);
    const clamp = op('aten::clamp', 'Tensor');
    expect((clamp(x, tensor([0]), null) as Tensor).toList()).toEqual([0, 0.5, 3]);
    const [values] = op('aten::topk')(x, 2) as Tensor[];
    expect(values?.toList()).toEqual([3, 0.5]);
    expect(op('aten::is_same_size')(x, x)).toBe(true);
    expect((op('aten::chunk')(x, 3) as Tensor[]).length).toBe(3);
  });

  test('a tensor prints its dtype, shape and first values', () => {
    expect(inspect(tensor([1, 2.5], { shape: [2, 1] }))).toBe('Tensor(float32[2, 1], [1, 2.5])');
    expect(String(ones([2]))).toBe('Tensor(float32[2])');
    expect(inspect(arange(20))).toBe('Tensor(int64[20], [0, 1, 2, 3, 4, 5, 6, 7, ...])');
  });

  test.runIf(isCudaAvailable())('a tensor goes to the GPU and back', () => {
    const x = tensor([1, 2]).to('cuda');
    expect(x.device).toBe('cuda:0');
    expect(x.add(1).toList()).toEqual([2, 3]);
  });
});

describe('errors', () => {
  test('libtorch keeps its words, with the operator and the shapes in front', () => {
    const call = () => ones([2, 3]).mm(ones([2, 3]));
    expect(call).toThrow(
      'aten::mm(self: float32[2, 3], mat2: float32[2, 3]): mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)',
    );
    try {
      call();
    } catch (error) {
      expect(error).toMatchObject({ name: 'TorchError', op: 'aten::mm', outOfMemory: false });
    }
  });

  test('an argument of the wrong type is named by the schema', () => {
    const x = ones([2]);
    const loose = x as unknown as Record<string, (...args: unknown[]) => unknown>;
    expect(() => loose.narrow?.(0, 'a', 1)).toThrow(
      "aten::narrow(self: float32[2]): 'start' must be an integer, got a string",
    );
    expect(() => loose.narrow?.(0, 0.5, 1)).toThrow(/'start' must be an integer, got 0.5/);
    expect(() => loose.narrow?.(0)).toThrow(
      /argument 'start' \(int\) is missing|argument 'start' \(SymInt\) is missing/,
    );
    expect(() => loose.sum?.([0], 1)).toThrow("'keepdim' must be a boolean, got a number");
    expect(() => op('aten::mm')(x, 'b')).toThrow("'mat2' must be a tensor, got a string");
    expect(() => op('aten::mm')(x, x, x)).toThrow(/takes 2 arguments, got 3/);
    expect(() => op('aten::no_such_op')(x)).toThrow(/no_such_op/);
    expect(() => x.to('float31' as DType)).toThrow("unknown dtype 'float31'; known are float32,");
    expect(() => zeros([1], { device: 'gpu' as 'cpu' })).toThrow("unknown device 'gpu'; known are cpu, cuda");
    expect(() => tensor(new Uint16Array(2) as never)).toThrow(/tensor data must be/);
  });

  test('a list of tensors is described by its first few', () => {
    expect(() => cat([ones([1]), ones([2, 2])])).toThrow(
      /^aten::cat\(tensors: 2 x \[float32\[1\], float32\[2, 2\]\]\): /,
    );
  });

  test('an allocation that fails is marked as such', () => {
    expect(() => empty([2 ** 45])).toThrow(expect.objectContaining({ outOfMemory: true }));
  });

  test('a warning of libtorch is printed once, with a prefix', () => {
    const code = `const { ones, op } = await import(${JSON.stringify(new URL('index.ts', import.meta.url).href)});
      for (let i = 0; i < 3; i++) op('aten::add', 'out')(ones([2]), ones([2]), 1, ones([5]));`;
    const cwd = fileURLToPath(new URL('../../..', import.meta.url));
    const args = ['--import', 'tsx', '--input-type=module', '-e', code];
    const { stderr, status } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });
    expect(status).toBe(0);
    expect(stderr.match(/^libtorch: An output with one or more elements was resized/gm)?.length).toBe(1);
  });

  test('item() of many elements is refused', () => {
    expect(() => ones([2]).item()).toThrow(/2 elements/);
  });
});
