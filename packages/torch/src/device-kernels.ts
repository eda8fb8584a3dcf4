/**
 * Kernels of our own on CUDA devices: texts of native/kernels, compiled by NVRTC when they are first asked for. The
 * machine code is kept in the cache folder, by a digest of all that it was made from.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Device, deviceCode } from './device.js';
import type { DType } from './dtype.js';
import { SetupError, wordsOf } from './errors.js';
import { cacheFolder, type Located, locateForLoad } from './locate.js';
import { native } from './native.js';
import { readIfFile } from './read-file.js';
import { temporaryName } from './temporary-name.js';

/** The libraries that make kernels and run them. */
export interface KernelLibraries {
  /** NVRTC, `libnvrtc.so.13`. */
  nvrtc: string;
  /** What NVRTC asks the loader for, `libnvrtc-builtins.so.13.0`; empty where it is one file. */
  builtins: string;
  /** The driver's library; empty where kernels are compiled and not run. */
  driver: string;
}

const ownToolkits = () => [process.env.CUDA_HOME ?? '', '/usr/local/cuda'].filter(isAbsolute);

/**
 * NVRTC of CUDA 12 or newer: in the wheels beside libtorch (`nvidia/<wheel>/lib`), below CUDA_HOME or in
 * /usr/local/cuda; or why there is none.
 */
export function findNvrtc(
  { folder }: Pick<Located, 'folder'>,
  toolkits: readonly string[] = ownToolkits(),
): Omit<KernelLibraries, 'driver'> | { why: string } {
  const wheels = join(dirname(folder), 'nvidia');
  const folders = [
    ...(existsSync(wheels) ? readdirSync(wheels).sort().reverse() : []).map((name) => join(wheels, name, 'lib')),
    ...toolkits.map((toolkit) => join(toolkit, 'lib64')),
  ].filter((path) => existsSync(path));
  for (const path of folders) {
    const names = readdirSync(path);
    const nvrtc = names
      .filter((name) => /^libnvrtc\.so\.1[2-9]$/.test(name))
      .sort()
      .at(-1);
    if (nvrtc === undefined) continue;
    const major = nvrtc.split('.').at(-1);
    const builtins = names.find((name) => name.startsWith(`libnvrtc-builtins.so.${major}.`));
    return { nvrtc: join(path, nvrtc), builtins: builtins === undefined ? '' : join(path, builtins) };
  }
  return {
    why:
      `libnvrtc.so.12 or newer was found neither beside libtorch (${wheels}) nor below CUDA_HOME or /usr/local/cuda. ` +
      'A CUDA build of torch brings it; the wheel is nvidia-cuda-nvrtc',
  };
}

let given: KernelLibraries | undefined;
let version: string | undefined;

/** Takes these libraries in place of those that are found. To be called before the first kernel is made. */
export function useKernelLibraries(libraries: KernelLibraries): void {
  given = libraries;
}

/** Opens the libraries once; the version of NVRTC. Errors: SetupError where there is none; TorchError. */
function openLibraries(): string {
  if (version !== undefined) return version;
  const found = given ?? findNvrtc(locateForLoad());
  if ('why' in found) throw new SetupError(found.why);
  const { nvrtc, builtins, driver } = { driver: 'libcuda.so.1', ...found };
  version = native().openKernels(nvrtc, builtins, driver);
  return version;
}

/** A kernel as it is asked for: its file in native/kernels, and what the words in it stand for. */
export interface KernelText {
  name: string;
  words: Readonly<Record<string, string>>;
}

const folder = fileURLToPath(new URL('../native/kernels/', import.meta.url));

/** The kernels of native/kernels, and the headers that stand before their texts. */
const headers: Readonly<Record<string, readonly string[]>> = {
  heads: ['heads.h'],
  swiglu: ['swiglu.h'],
  update: ['update.h'],
};

/** The text of a kernel, whole, and how it is compiled for an architecture such as `sm_90`. */
export function kernelText({ name, words }: KernelText, architecture: string): { source: string; options: string[] } {
  const files = ['common.cuh', ...headers[name]!, `${name}.cu`];
  const source = files.map((file) => readFileSync(join(folder, file), 'utf8').replace('#pragma once', '')).join('\n');
  return {
    source,
    options: [
      `--gpu-architecture=${architecture}`,
      '--std=c++17',
      // Where a product and a sum are rounded once, the text says so.
      '--fmad=false',
      ...Object.entries(words).map(([word, meaning]) => `-D${word}=${meaning}`),
    ],
  };
}

const types: Partial<Record<DType, string>> = { float32: 'float', bfloat16: 'bf16' };

/** What a dtype is called in the texts of kernels. Errors: TypeError for one that `operator` does not take. */
export function kernelType(operator: string, dtype: DType): string {
  const name = types[dtype];
  if (name === undefined) throw new TypeError(`${operator} takes float32 and bfloat16, got ${dtype}`);
  return name;
}

const kernels = new Map<string, number>();

/**
 * The number by which an operator launches a kernel on a device; it is made once. A text may have others than the one
 * of its name.
 *
 * @throws SetupError without NVRTC; TorchError for a text that does not compile, with NVRTC's log
 */
export function kernel(text: KernelText, device: Device, name = text.name): number {
  const key = JSON.stringify([device, name, text]);
  const known = kernels.get(key);
  if (known !== undefined) return known;
  openLibraries();
  const code = machineCode(text, native().deviceArchitecture(deviceCode(device)!));
  const loaded = native().loadKernel(code, name, deviceCode(device)!);
  kernels.set(key, loaded);
  return loaded;
}

const digestBytes = 32;
const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest();

/**
 * The machine code of a kernel for an architecture: from the cache folder, where it is kept behind its SHA-256, or made
 * now; a file that is broken is made again.
 */
export function machineCode(text: KernelText, architecture: string): Uint8Array {
  const nvrtc = openLibraries();
  const { source, options } = kernelText(text, architecture);
  const key = sha256(JSON.stringify([source, options, nvrtc]))
    .toString('hex')
    .slice(0, 32);
  const file = join(cacheFolder(), 'kernels', `${text.name}-${key}.cubin`);
  const kept = keptCode(file);
  if (kept !== undefined) return kept;
  const code = native().compileKernel(source, `${text.name}.cu`, options.join(' '));
  keepCode(file, code);
  return code;
}

/** The machine code in a file; undefined where there is none that is whole, or it cannot be read. */
function keptCode(file: string): Uint8Array | undefined {
  let kept: Buffer | undefined;
  try {
    kept = readIfFile(file);
  } catch {
    return undefined;
  }
  const code = kept && new Uint8Array(kept.subarray(digestBytes));
  return code && sha256(code).equals(kept!.subarray(0, digestBytes)) ? code : undefined;
}

function keepCode(file: string, code: Uint8Array): void {
  const temporary = temporaryName(file);
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(temporary, Buffer.concat([sha256(code), code]));
    renameSync(temporary, file);
  } catch {
    // A cache that cannot be written to costs a fraction of a second at every start.
    if (existsSync(temporary)) rmSync(temporary);
  }
}

/** Why kernels cannot be made for a device, or undefined. */
export function kernelsProblem(device: Device): string | undefined {
  try {
    openLibraries();
    native().deviceArchitecture(deviceCode(device)!);
    return undefined;
  } catch (error) {
    return wordsOf(error);
  }
}

/** NVRTC in words: where it was found and its version, or why there is none. */
export function describeNvrtc(located: Located): string {
  const found = findNvrtc(located);
  if ('why' in found) return `no NVRTC: ${found.why}`;
  try {
    return `NVRTC ${native().openKernels(found.nvrtc, found.builtins, '')}: ${found.nvrtc}`;
  } catch (error) {
    return `NVRTC does not load: ${wordsOf(error)}`;
  }
}
