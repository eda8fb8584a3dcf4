/**
 * Making the addon, once for each libtorch, addon source, platform and compiler flags. Nothing here loads native
 * code.
 */
import { createHash, type Hash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupError } from './errors.js';
import { cacheFolder, diskFull, type Located, prepareCache, THREE_WAYS } from './locate.js';
import { type Nccl, ncclHeaders } from './nccl.js';
import { findPrebuilt, libraryPlaceholder, type Prebuilt, placeLibrary } from './prebuilt.js';
import { findExecutable, run } from './programs.js';
import { readIfFile } from './read-file.js';
import { type Hearing, type Log, withSetupLock } from './setup-lock.js';
import { whileTold } from './setup-progress.js';
import { temporaryName } from './temporary-name.js';
import { tryAddon } from './try-load.js';

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

const keyOf = (version: string, hash: Hash) => `torch-${version}-${hash.digest('hex').slice(0, 16)}`;

/** What an addon is compiled of and for: the version of libtorch, the sources, the platform and the flags. */
export function addonKey({ version }: Pick<Located, 'version'>): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([version, process.platform, process.arch, FLAGS, LINK_FLAGS]));
  for (const name of sourceFiles()) hash.update(name).update(readFileSync(join(SOURCES, name)));
  return keyOf(version, hash);
}

/** Where the addon for this libtorch is or will be: by its key, the folder of libtorch and the headers of NCCL. */
export function addonFile(located: Located): string {
  const nccl = ncclHeaders(located);
  const hash = createHash('sha256').update(addonKey(located));
  hash.update(JSON.stringify([located.folder, 'include' in nccl ? nccl.include : []]));
  return join(cacheFolder(), 'addon', keyOf(located.version, hash), 'reanchor_torch.node');
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

/** Errors: SetupError that says what to install; `why` is why the addon is compiled at all. */
function findCompiler(why = 'it is to be published'): string {
  const { CXX } = process.env;
  const compiler = CXX ? findExecutable(CXX) : findExecutable('c++', 'g++', 'clang++');
  if (compiler !== undefined) return compiler;
  throw new SetupError(
    `no C++ compiler was found (${CXX ? `CXX=${CXX}` : 'c++, g++ and clang++ on PATH'}). ` +
      `The addon is compiled once, since ${why}, with g++ >= 11 or clang >= 14: install one (Debian, Ubuntu: apt install g++), ` +
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

/** The file beside the addon that says how it came there. */
const originFile = (file: string) => `${file}.origin`;

/** How an addon came to be where it is, as in `compiled by /usr/bin/c++; ...`; undefined where none says so. */
export const addonOrigin = (file: string): string | undefined => readIfFile(originFile(file))?.toString();

/** Whether an addon was made now, and how; `ready` is one that was there. */
export type Made = 'ready' | 'compiled' | 'prebuilt';

/**
 * Takes the addon from the package of this platform, or compiles it, unless one of the two has been done. Returns its
 * file and what was done now.
 */
export async function buildAddon(located: Located, hearing: Hearing = {}): Promise<{ file: string; made: Made }> {
  const file = addonFile(located);
  if (addonProblem(file) === undefined) return { file, made: 'ready' };
  prepareCache();
  return withSetupLock('build', { log: hearing.log }, async () => {
    if (addonProblem(file) === undefined) return { file, made: 'ready' };
    removeTemporary(dirname(dirname(file)));
    const nccl = ncclHeaders(located);
    const prebuilt = 'include' in nccl ? { why: 'NCCL is there, with which none is published' } : usable(located);
    if ('why' in prebuilt) {
      await compile(located, file, prebuilt.why, hearing);
      return { file, made: 'compiled' };
    }
    const problem = await take(prebuilt, located, file);
    if (problem === undefined) return { file, made: 'prebuilt' };
    await compile(located, file, `that of ${prebuilt.from} cannot be loaded here (${problem})`, hearing);
    return { file, made: 'compiled' };
  });
}

const usable = (located: Located) => findPrebuilt(addonKey(located));

/** Puts a published addon into place, if it can be loaded. Returns why not. */
async function take({ file: published, from }: Prebuilt, located: Located, file: string): Promise<string | undefined> {
  return inPlace(file, async (result) => {
    try {
      writeFileSync(result, placeLibrary(readFileSync(published), join(located.folder, 'lib')));
      await tryAddon(result, located);
    } catch (error) {
      return diskFull(error, '') ? Promise.reject(error) : (error as Error).message;
    }
    writeFileSync(originFile(result), `taken from ${from}`);
    return undefined;
  });
}

async function compile(located: Located, file: string, why: string, { log = () => {}, progress }: Hearing) {
  const compiler = findCompiler(why);
  log(`compiling the addon for libtorch ${located.version} with ${compiler} (about 25 seconds), since ${why}`);
  await inPlace(file, async (result) => {
    const work = () => compileTo(result, compiler, located, { library: join(located.folder, 'lib'), log });
    await whileTold('compiling the addon', work, { progress });
    writeFileSync(originFile(result), `compiled by ${compiler}; the reason at that time: ${why}`);
    return undefined;
  });
}

/**
 * Compiles the addon as it is published, with a place for the folder of libtorch, below a folder of a package. Returns
 * its file.
 */
export async function compileForPublication(located: Located, folder: string): Promise<string> {
  const file = join(folder, addonKey(located), 'reanchor_torch.node');
  mkdirSync(dirname(file), { recursive: true });
  await compileTo(file, findCompiler(), located, { library: libraryPlaceholder });
  return file;
}

/** Has `make` write a file, and puts it into place with its checksum. Where `make` returns a problem, returns that. */
async function inPlace(file: string, make: (result: string) => Promise<string | undefined>) {
  const folder = dirname(file);
  const temporary = temporaryName(folder);
  const result = join(temporary, basename(file));
  try {
    mkdirSync(temporary, { recursive: true });
    const problem = await make(result);
    if (problem !== undefined) return problem;
    writeFileSync(checksumFile(result), sha256(readFileSync(result)));
    publish(temporary, folder);
    return undefined;
  } catch (error) {
    throw diskFull(error, 'the addon was being made') ?? error;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Compiles the addon; `library` is the folder in which it will look for libtorch. */
async function compileTo(
  result: string,
  compiler: string,
  located: Located,
  { library, log = () => {} }: { library: string; log?: Log },
): Promise<void> {
  const headers = nodeHeaders();
  const nccl = ncclHeaders(located);
  const attempt = (nccl: Nccl | undefined) =>
    run(compiler, compilerArguments(located, headers, nccl, { result, library }), dirname(result));
  let made = await attempt(nccl);
  if (made.status !== 0 && 'include' in nccl) {
    log(`the addon cannot be compiled with NCCL, and is compiled without: ${lastErrors(made.output)[0] ?? ''}`);
    made = await attempt(undefined);
  }
  if (made.status !== 0) throw compileFailure(compiler, made.status, made.output);
}

/** What the compiler is given: with NCCL where its headers are known, the addon names symbols of libtorch_cuda. */
function compilerArguments(
  located: Located,
  nodeHeaders: string,
  nccl: Nccl | undefined,
  { result, library }: { result: string; library: string },
): string[] {
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
    `-Wl,-rpath,${library}`,
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
