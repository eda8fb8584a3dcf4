import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { useKernelLibraries } from '#torch/device-kernels.js';
import { cacheFolder, locateForLoad } from '#torch/locate.js';
import { findExecutable, run } from '#torch/programs.js';

const [device, ...headers] = ['device.cc', 'attention.h', 'copies.h', 'libraries.h', 'host-kernels.h'].map((name) =>
  fileURLToPath(new URL(name, import.meta.url)),
) as [string, ...string[]];

/**
 * Puts the simulated CUDA device into this process, which must not have loaded libtorch yet, with libraries that
 * compile kernels for it and run them. Returns why there can be none, where libtorch has CUDA itself. It is compiled
 * once.
 */
export async function simulateCuda(): Promise<string | undefined> {
  const located = locateForLoad();
  const lib = join(located.folder, 'lib');
  if (existsSync(join(lib, 'libtorch_cuda.so'))) return 'libtorch has CUDA itself';
  const hash = createHash('sha256').update(located.folder).update(located.version).update(device);
  for (const source of [device, ...headers]) hash.update(readFileSync(source));
  const key = hash.digest('hex').slice(0, 16);
  const folder = join(cacheFolder(), 'simulated-cuda', key);
  const file = join(folder, 'device.node');
  if (!existsSync(file)) await compile(located.folder, lib, folder, key);
  process.dlopen({ exports: {} }, file, constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_DEEPBIND);
  useKernelLibraries({ nvrtc: file, builtins: '', driver: file });
  return undefined;
}

async function compile(libtorch: string, lib: string, folder: string, key: string): Promise<void> {
  const temporary = `${folder}.tmp-${process.pid}`;
  mkdirSync(temporary, { recursive: true });
  const compiler = findExecutable('c++', 'g++', 'clang++')!;
  const include = join(libtorch, 'include');
  const { status, output } = await run(
    compiler,
    [
      ...['-std=c++20', '-O1', '-fPIC', '-fvisibility=hidden', '-shared'],
      ...[`-I${include}`, `-I${join(include, 'torch/csrc/api/include')}`, device],
      // Kernels in the cache go by NVRTC's version: those of the simulated device have one of their own.
      ...[`-DHOST_KERNELS="${headers.at(-1)}"`, `-DKERNELS_VERSION=0x${key.slice(0, 7)}`],
      ...['-o', join(temporary, 'device.node'), `-L${lib}`, '-Wl,--no-as-needed'],
      ...['-ltorch', '-ltorch_cpu', '-lc10', `-Wl,-rpath,${lib}`],
    ],
    temporary,
  );
  if (status !== 0) throw new Error(`the simulated device could not be compiled\n${output}`);
  try {
    renameSync(temporary, folder);
  } catch (error) {
    rmSync(temporary, { recursive: true });
    if (!existsSync(folder)) throw error;
  }
}
