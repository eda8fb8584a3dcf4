/** What the CPU has for products of 16-bit numbers. */
import { readIfFile } from './read-file.js';

/** What a CPU has for products of 16-bit numbers; `unknown` where the system does not tell. */
export type HalfPrecision = 'amx' | 'avx512-bf16' | 'avx512' | 'none' | 'unknown';

/** The instructions of this machine, as Linux tells them; `avx512` has none for 16-bit numbers. */
export function halfPrecision(cpuinfo = readIfFile('/proc/cpuinfo')?.toString() ?? ''): HalfPrecision {
  const [, words = ''] = /^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo) ?? [];
  const flags = new Set(words.split(' ').filter(Boolean));
  if (flags.size === 0) return 'unknown';
  if (flags.has('amx_bf16') && flags.has('amx_tile')) return 'amx';
  if (flags.has('avx512_bf16')) return 'avx512-bf16';
  return ['avx512bw', 'avx512dq', 'avx512vl'].every((flag) => flags.has(flag)) ? 'avx512' : 'none';
}

/** What it means for training, in words. */
export const halfPrecisionText: Readonly<Record<HalfPrecision, string>> = {
  amx: 'AMX: products of bfloat16 numbers take a fraction of the time (precision: bf16, or matmul: bf16 beside fp32)',
  'avx512-bf16':
    'AVX512-BF16, no AMX: precision: bf16 is faster; matmul: bf16 leaves products in float32, all of them by oneDNN',
  avx512:
    'no instructions for bfloat16: precision: bf16 saves memory, not time; matmul: bf16 has all products by oneDNN',
  none: 'no instructions for bfloat16: precision: bf16 saves memory, not time, and matmul: bf16 changes nothing',
  unknown: 'not known of this system',
};
