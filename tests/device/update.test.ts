// The one-pass update on the simulated device, where the text of its kernel runs as it would on a GPU, and what makes
// kernels of texts.
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nativeConfig, ones, type Tensor, tidy, update_, zeros } from '@reanchor/torch';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { machineCode } from '#torch/device-kernels.js';
import { native } from '#torch/native.js';
import { simulateCuda } from '../support/simulated-cuda/load.js';
import { bitsOf, composed, copiedTo, fused, updateCases, updateTensors } from '../support/update-cases.js';

const hindrance = await simulateCuda();

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

const sizeOf = (difference: readonly number[]) => difference.reduce((sum, x) => sum + x * x, 0);
const flat = (list: readonly Tensor[]) => list.flatMap((x) => x.to('float64').view([-1]).toList());

describe.skipIf(hindrance !== undefined)('the update in one pass', () => {
  test.each(updateCases)('equals the composed one to the bit, and its sums those of float64: %j', (one) => {
    tidy(() => {
      const here = updateTensors(one);
      const there = copiedTo(here, 'cuda:0');
      const earlier = flat(here.references);
      const [seen, expected] = [fused(one, there), composed(one, here)];
      const { gradients: _, ...found } = bitsOf(there);
      const { gradients: __, ...bits } = bitsOf(here);
      // Below AVX2 libtorch's own kernels have no fused multiply-adds.
      if (nativeConfig().cpu !== 'DEFAULT') expect(found).toEqual(bits);
      if (!expected) return expect(seen).toBeUndefined();
      if (nativeConfig().cpu !== 'DEFAULT') expect(seen!.checksums).toEqual(expected.checksums);
      const targets = flat(here.weights.map((w, i) => w.to(here.references[i]!.dtype)));
      const apart = (references: readonly number[]) => sizeOf(references.map((r, i) => r - targets[i]!));
      const after = flat(here.references);
      const sums = [apart(earlier), apart(after), sizeOf(after)];
      expect([seen!.before, seen!.after, seen!.norm]).toBeCloseToTensor(sums, 1e-6);
    });
  });

  test('numbers that are not finite are as they are in the composed one', () => {
    tidy(() => {
      const one = { weight: 'float32', reference: 'float32', share: 0.3 } as const;
      const here = updateTensors(one);
      const bad = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 3e38, 1e-30, 0, 0];
      for (const list of [here.gradients, here.weights]) {
        const at = list[6]!.view([-1]);
        for (const [i, value] of bad.entries()) at.narrow(0, 7 * i + (list === here.weights ? 3 : 0), 1).fill_(value);
      }
      const there = copiedTo(here, 'cuda:0');
      const seen = fused(one, there);
      composed(one, here);
      const { gradients: _, ...found } = bitsOf(there);
      const { gradients: __, ...bits } = bitsOf(here);
      if (nativeConfig().cpu !== 'DEFAULT') expect(found).toEqual(bits);
      expect(seen!.after).toBeNaN();
    });
  });

  test('nothing to do, and tensors without elements', () => {
    tidy(() => {
      const none = () => [zeros([0], { device: 'cuda:0' })];
      expect(update_({ weights: [] })).toBeUndefined();
      expect(update_({ weights: none(), followers: { references: none(), share: 0.5 } })).toEqual({
        ...{ before: 0, after: 0, norm: 0 },
        checksums: ['0'],
      });
    });
  });

  test('tensors that do not fit are refused by name', () => {
    tidy(() => {
      const weights = [ones([4, 4], { device: 'cuda:0' })];
      const follow = (references: Tensor[]) => update_({ weights, followers: { references, share: 0 } });
      expect(() => follow([ones([4, 4])])).toThrow(/references has to be Float\[4, 4\] on cuda:0.*on cpu/);
      expect(() => follow([ones([4, 3], { device: 'cuda:0' })])).toThrow(/references has to be/);
      expect(() => follow([ones([4, 4], { device: 'cuda:0' }).t()])).toThrow(/contiguous/);
      expect(() => follow([ones([17], { device: 'cuda:0' }).narrow(0, 1, 16).view([4, 4])])).toThrow(/four elements/);
      expect(() => follow([...weights, ...weights])).toThrow(/references are 2 for 1 weights/);
      expect(() => follow([ones([4, 4], { device: 'cuda:0', dtype: 'float64' })])).toThrow(/float32 and bfloat16/);
    });
  });
});

describe.skipIf(hindrance !== undefined)('kernels', () => {
  test('a text that does not compile is an error with the log of NVRTC', () => {
    expect(() => native().compileKernel('KERNEL(update, Update) {}', 'update.cu', '--std=c++17')).toThrow(
      /NVRTC does not compile update\.cu: NVRTC_ERROR_COMPILATION\n.*Update/s,
    );
  });

  test('machine code is made once for a text, its words and an architecture, and again where the file is broken', () => {
    const compile = vi.spyOn(native(), 'compileKernel');
    const cache = mkdtempSync(join(tmpdir(), 'kernels-'));
    vi.stubEnv('REANCHOR_CACHE', cache);
    const make = (weight: string, architecture = 'sm_90') =>
      machineCode({ name: 'update', words: { WEIGHT: weight, REFERENCE: 'float' } }, architecture);
    const code = make('float');
    expect(make('float')).toEqual(code);
    expect(compile).toHaveBeenCalledTimes(1);
    make('bf16');
    make('float', 'sm_80');
    expect(compile).toHaveBeenCalledTimes(3);
    const names = readdirSync(join(cache, 'kernels'));
    expect(names).toHaveLength(3);
    for (const name of names) {
      const file = join(cache, 'kernels', name);
      const whole = readFileSync(file);
      if (!whole.subarray(32).equals(code)) continue;
      for (const broken of [whole.subarray(0, 100), Buffer.from(whole).fill(1, 200, 201), Buffer.alloc(0)]) {
        writeFileSync(file, broken);
        make('float');
        make('float', 'sm_80');
        expect(readFileSync(file).subarray(32)).toHaveLength(code.length);
      }
    }
    // The compiler of the simulated device makes the same of both architectures.
    expect(compile).toHaveBeenCalledTimes(9);
    // Nothing half-written is left, and a cache that cannot be written to is done without.
    expect(readdirSync(join(cache, 'kernels'))).toHaveLength(3);
    const file = join(cache, 'file');
    writeFileSync(file, '');
    vi.stubEnv('REANCHOR_CACHE', join(file, 'below'));
    expect(make('float')).toHaveLength(code.length);
  });

  test('what is no machine code, and a kernel that is not in it, are errors of the driver', () => {
    const code = native().compileKernel('struct A { int x; };\nKERNEL(one, A) {}', 'one.cu', '--std=c++17');
    expect(() => native().loadKernel(code, 'two', 257)).toThrow(/finding two: CUDA_ERROR_NOT_FOUND/);
    expect(() => native().loadKernel(new Uint8Array(64), 'one', 257)).toThrow(/loading one: CUDA_ERROR_INVALID_IMAGE/);
  });
});
