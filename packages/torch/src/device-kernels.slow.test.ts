// All kernels compiled as they are for GPUs of several generations: by nvcc, and by NVRTC, where one of them is there.
// No GPU is needed, and none is used.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findNvrtc, type KernelText, kernelText } from './device-kernels.js';
import { locateForLoad } from './locate.js';
import { native } from './native.js';
import { findExecutable, run } from './programs.js';

const types = ['float', 'bf16'];
const texts: readonly KernelText[] = types.flatMap((type) => [
  ...types.map((REFERENCE) => ({ name: 'update', words: { WEIGHT: type, REFERENCE } })),
  ...['heads', 'swiglu'].map((name) => ({ name, words: { NUMBER: type } })),
]);
const all = ['sm_80', 'sm_90', 'sm_100'].flatMap((architecture) => texts.map((text) => ({ text, architecture })));

const nvcc = findExecutable('nvcc');

test.skipIf(nvcc === undefined).each(all)('by nvcc: $text for $architecture', async ({ text, architecture }) => {
  const { source, options } = kernelText(text, architecture);
  const folder = mkdtempSync(join(tmpdir(), 'nvcc-'));
  const file = join(folder, 'kernel.cu');
  writeFileSync(file, source);
  const made = await run(nvcc!, ['--cubin', '-Werror', 'all-warnings', ...options, '-o', `${file}bin`, file], folder);
  expect(made.output).toBe('');
  expect(made.status).toBe(0);
});

const nvrtc = findNvrtc(locateForLoad());

test.skipIf('why' in nvrtc)('by NVRTC, for every architecture', () => {
  const { nvrtc: library, builtins } = nvrtc as Exclude<typeof nvrtc, { why: string }>;
  expect(native().openKernels(library, builtins, '')).toMatch(/^\d+\.\d+$/);
  for (const { text, architecture } of all) {
    const { source, options } = kernelText(text, architecture);
    const code = native().compileKernel(source, `${text.name}.cu`, options.join(' '));
    expect(Buffer.from(code.subarray(0, 4)).toString('latin1')).toBe('\x7fELF');
  }
});
