import { expect, test } from 'vitest';
import { halfPrecision, halfPrecisionText } from './half-precision.js';
import { noGrad, randn, setMatmulPrecision, tidy } from './index.js';
import { relativeError } from './testing/relative-error.js';

const flags = (words: string) => halfPrecision(`processor\t: 0\nflags\t\t: fpu ${words}\nbugs\t\t:\n`);
const avx512 = 'avx512f avx512dq avx512bw avx512vl';

test('what a CPU has is told by its flags', () => {
  expect(flags(`${avx512} avx512_bf16 amx_bf16 amx_tile amx_int8`)).toBe('amx');
  expect(flags(`${avx512} avx512_bf16`)).toBe('avx512-bf16');
  expect(flags(avx512)).toBe('avx512');
  expect(flags('sse avx2')).toBe('none');
  expect(halfPrecision('')).toBe('unknown');
  expect(halfPrecisionText[halfPrecision()]).toMatch(/./);
});

test('products of float32 matrices are as exact as their numbers allow, and the same as before once it is over', () => {
  tidy(() =>
    noGrad(() => {
      const [a, b] = [randn([64, 256]), randn([256, 96])];
      const exact = a.to('float64').mm(b.to('float64'));
      const error = () => relativeError(a.mm(b), exact);
      const before = a.mm(b).data();
      expect(error()).toBeLessThan(1e-6);
      setMatmulPrecision('bf16');
      // bfloat16 has 8 significant bits, of which rounding loses half of the last; only AMX rounds.
      expect(error()).toBeLessThan(halfPrecision() === 'amx' ? 2 ** -8 : 1e-6);
      setMatmulPrecision('fp32');
      expect(a.mm(b).data()).toEqual(before);
    }),
  );
});
