import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder, locateForLoad } from '#torch/locate.js';
import { findExecutable, run } from '#torch/programs.js';

const sources = ['device.cc', 'attention.h'].map((name) => fileURLToPath(new URL(name, import.meta.url)));

/**
 * Puts the simulated CUDA device into this process, which must not have loaded libtorch yet. Returns why there can be
 * none, where libtorch has CUDA itself. It is compiled once.
 */
export async function simulateCuda(): Promise<string | undefined> {
  const located = locateForLoad();
  const lib = join(located.folder, 'lib');
  if (existsSync(join(lib, 'libtorch_cuda.so'))) return 'libtorch has CUDA itself';
  const hash = createHash('sha256').update(located.folder).update(located.version);
  for (const source of sources) hash.update(readFileSync(source));
  const folder = join(cacheFolder(), 'simulated-cuda', hash.digest('hex').slice(0, 16));
  const file = join(folder, 'device.node');
  if (!existsSync(file)) await compile(located.folder, lib, folder);
  process.dlopen({ exports: {} }, file, constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_DEEPBIND);
  return undefined;
}

async function compile(libtorch: string, lib: string, folder: string): Promise<void> {
  const temporary = `${folder}.tmp-${process.pid}`;
  mkdirSync(temporary, { recursive: true });
  const compiler = findExecutable('c++', 'g++', 'clang++')!;
  const include = join(libtorch, 'include');
  const { status, output } = await run(
    compiler,
    [
      ...['-std=c++20', '-O1', '-fPIC', '-fvisibility=hidden', '-shared'],
      ...[`-I${include}`, `-I${join(include, 'torch/csrc/api/include')}`, sources[0]!],
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
