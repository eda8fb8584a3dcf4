/**
 * Compiling the addon, once for each libtorch, addon source, platform and compiler flags. Nothing here loads native
 * code.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupError } from './errors.js';
import { cacheFolder, diskFull, type Located, prepareCache, THREE_WAYS } from './locate.js';
import { type Nccl, ncclHeaders } from './nccl.js';
import { findExecutable, run } from './programs.js';
import { readIfFile } from './read-file.js';
import { type Log, withSetupLock } from './setup-lock.js';
import { temporaryName } from './temporary-name.js';

const SOURCES = fileURLToPath(new URL('../native/', import.meta.url));

const FLAGS = ['-std=c++20', '-O2', '-fPIC', '-fvisibility=hidden', '-DNAPI_VERSION=9'];

// libtorch registers its CUDA operators when it is loaded, though the addon names none of its symbols. A compiler that
// links its C++ library statically must not offer it to libtorch, which has its own. Where libtorch lies is written as
// RPATH: the loader looks into a RUNPATH only after LD_LIBRARY_PATH, which may lead to another libtorch, or to the
// current folder.
const LINK_FLAGS =
  process.platform === 'darwin'
    ? ['-undefined', 'dynamic_lookup']
    : ['-Wl,--no-as-needed', '-Wl,--exclude-libs,ALL', '-Wl,--disable-new-dtags'];

const sourceFiles = (): string[] =>
  readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(cc|h)$/.test(name))
    .sort();

/** Where the compiled addon for this libtorch is or will be. */
export function addonFile(located: Located): string {
  const hash = createHash('sha256');
  const nccl = ncclHeaders(located);
  if ('include' in nccl) hash.update(JSON.stringify(nccl.include));
  hash.update(JSON.stringify([located.folder, located.version, process.platform, process.arch, FLAGS, LINK_FLAGS]));
  for (const name of sourceFiles()) hash.update(name).update(readFileSync(join(SOURCES, name)));
  const key = `torch-${located.version}-${hash.digest('hex').slice(0, 16)}`;
  return join(cacheFolder(), 'addon', key, 'reanchor_torch.node');
}

/** Folder of node_api.h: beside the running node, or where distributions and node-gyp put it. */
function nodeHeaders(): string {
  const prefix = dirname(dirname(process.execPath));
  const { version } = process;
  const candidates = [
    join(prefix, 'include', 'node'),
    '/usr/include/node',
    '/usr/include/nodejs/src',
    join(homedir(), '.cache', 'node-gyp', version.slice(1), 'include', 'node'),
    join(homedir(), 'Library', 'Caches', 'node-gyp', version.slice(1), 'include', 'node'),
  ].filter(isAbsolute);
  const found = candidates.find((folder) => existsSync(join(folder, 'node_api.h')));
  if (found !== undefined) return found;
  throw new SetupError(
    `node_api.h was not found in ${candidates.join(', ')}. Install Node's headers (they are part of the official ` +
      "archives; Debian's package is libnode-dev), or fetch them with: npx node-gyp install",
  );
}

function findCompiler(): string {
  const { CXX } = process.env;
  const compiler = CXX ? findExecutable(CXX) : findExecutable('c++', 'g++', 'clang++');
  if (compiler !== undefined) return compiler;
  throw new SetupError(
    `no C++ compiler was found (${CXX ? `CXX=${CXX}` : 'c++, g++ and clang++ on PATH'}). ` +
      'The addon is compiled once, with g++ >= 11 or clang >= 14: install one (Debian, Ubuntu: apt install g++), ' +
      `or set CXX, to a name on PATH or an absolute path without arguments, and run setup again.\n${THREE_WAYS}`,
  );
}

/** The file beside the addon that holds the SHA-256 of what was compiled. */
const checksumFile = (file: string) => `${file}.sha256`;

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/**
 * What is wrong with the compiled addon, with what to run; undefined where nothing is. Loading a file that a bad disk
 * or a cut copy has changed would end the process without a word.
 */
export function addonProblem(file: string): string | undefined {
  if (!existsSync(file)) return 'the addon has not been compiled. Run: npx reanchor setup';
  const bytes = readIfFile(file);
  if (bytes !== undefined && String(readIfFile(checksumFile(file))) === sha256(bytes)) return undefined;
  return `the addon ${file} is not what was compiled: something has changed it since. Run: npx reanchor setup`;
}

/** Compiles the addon unless that has been done. Returns its file and whether it was compiled now. */
export async function buildAddon(located: Located, log: Log = () => {}): Promise<{ file: string; compiled: boolean }> {
  const file = addonFile(located);
  if (addonProblem(file) === undefined) return { file, compiled: false };
  prepareCache();
  return withSetupLock('build', { log }, async () => {
    if (addonProblem(file) === undefined) return { file, compiled: false };
    removeTemporary(dirname(dirname(file)));
    await compile(located, file, log);
    return { file, compiled: true };
  });
}

async function compile(located: Located, file: string, log: Log): Promise<void> {
  const compiler = findCompiler();
  const headers = nodeHeaders();
  const folder = dirname(file);
  const temporary = temporaryName(folder);
  const result = join(temporary, basename(file));
  log(`compiling the addon for libtorch ${located.version} with ${compiler} (about 25 seconds)`);
  try {
    mkdirSync(temporary, { recursive: true });
    const nccl = ncclHeaders(located);
    let made = await run(compiler, compilerArguments(located, headers, nccl, result), temporary);
    if (made.status !== 0 && 'include' in nccl) {
      log(`the addon cannot be compiled with NCCL, and is compiled without: ${lastErrors(made.output)[0] ?? ''}`);
      made = await run(compiler, compilerArguments(located, headers, undefined, result), temporary);
    }
    if (made.status !== 0) throw compileFailure(compiler, made.status, made.output);
    writeFileSync(checksumFile(result), sha256(readFileSync(result)));
    publish(temporary, folder);
  } catch (error) {
    throw diskFull(error, 'the addon was being compiled') ?? error;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** What the compiler is given: with NCCL where its headers are known, the addon names symbols of libtorch_cuda. */
function compilerArguments(located: Located, nodeHeaders: string, nccl: Nccl | undefined, result: string): string[] {
  const include = join(located.folder, 'include');
  const lib = join(located.folder, 'lib');
  const cuda = nccl !== undefined && 'include' in nccl ? nccl.include : undefined;
  const headers = [SOURCES, include, join(include, 'torch', 'csrc', 'api', 'include'), nodeHeaders, ...(cuda ?? [])];
  return [
    ...FLAGS,
    ...(cuda ? ['-DREANCHOR_NCCL', '-DUSE_C10D_NCCL'] : []),
    '-shared',
    ...headers.map((folder) => `-I${folder}`),
    join(SOURCES, 'addon.cc'),
    '-o',
    result,
    `-L${lib}`,
    ...LINK_FLAGS,
    '-ltorch',
    '-ltorch_cpu',
    '-lc10',
    ...(cuda ? ['-ltorch_cuda', '-lc10_cuda'] : []),
    `-Wl,-rpath,${lib}`,
  ];
}

/**
 * Removes from a folder what setups that were killed have left half-done. Its lock has to be held. A folder that a
 * program of a killed setup still writes to may stay: it is in nobody's way, and the next setup removes it.
 */
export function removeTemporary(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder).filter((name) => /\.tmp-/.test(name) && !name.includes('.lock.'))) {
    try {
      rmSync(join(folder, name), { recursive: true, force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
    }
  }
}

/**
 * Renames a finished folder into place, instead of a broken one that is there. Another process may be faster, which has
 * taken the lock for left over: then its result stands.
 */
export function publish(temporary: string, folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  try {
    renameSync(temporary, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
  }
}

/** The lines of a compiler's output that say what is wrong, or its last ones. */
function lastErrors(output: string): string[] {
  const lines = output.trim().split('\n');
  const errors = lines.filter((line) => /error|cannot find|No space left/i.test(line)).slice(0, 8);
  return errors.length > 0 ? errors : lines.slice(-8);
}

function compileFailure(compiler: string, status: number | null, output: string): Error {
  const shown = lastErrors(output).join('\n');
  const killed =
    status === null || /Killed/.test(output) ? 'It was killed, perhaps for lack of memory: it needs about 1 GB. ' : '';
  return new SetupError(
    `${compiler} could not compile the addon. ${killed}It must be g++ >= 11 or clang >= 14; CXX selects another.\n` +
      `${shown}\n${THREE_WAYS}`,
  );
}
