/** Finding libtorch. Nothing here loads native code. */
import { accessSync, constants, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { isCutShort } from './cut-short.js';
import { SetupError } from './errors.js';
import { ask, findExecutable } from './programs.js';
import { readIfFile } from './read-file.js';
import { temporaryName } from './temporary-name.js';

/** The version that setup() installs, and the oldest one that works. */
export const TORCH_VERSION = '2.13.0';
const OLDEST_VERSION = '2.11';

/** By what a libtorch was found: the variable, the active Python, or the folder that setup installs it into. */
export type Way = 'REANCHOR_LIBTORCH' | 'python' | 'cache';

/** A libtorch that works. */
export interface Located {
  /** Folder that holds include/ and lib/. */
  folder: string;
  /** As in 2.13.0+cpu. */
  version: string;
  way: Way;
}

/** A way that was tried and not taken. */
export interface Rejected {
  way: Way;
  why: string;
}

/** What a search for libtorch came to: the first that works, and the ways before it. */
export interface Search {
  located: Located | undefined;
  rejected: Rejected[];
}

export const THREE_WAYS = `Three ways to libtorch:
  1. npx reanchor setup                 installs torch ${TORCH_VERSION} (libtorch only) into the cache; needs python3 with pip
  2. pip install "torch>=${OLDEST_VERSION}"         in the active Python, then: npx reanchor setup
  3. REANCHOR_LIBTORCH=/path            a folder with include/ and lib/ of libtorch >= ${OLDEST_VERSION}, then: npx reanchor setup`;

/**
 * Where libtorch and the compiled addon are kept: REANCHOR_CACHE, else $XDG_CACHE_HOME/reanchor, else
 * ~/.cache/reanchor. Throws SetupError for one that is not absolute.
 */
export function cacheFolder(): string {
  const { REANCHOR_CACHE, XDG_CACHE_HOME = '' } = process.env;
  if (REANCHOR_CACHE) return absolute('REANCHOR_CACHE', REANCHOR_CACHE);
  // By the specification of XDG_CACHE_HOME a relative one counts as none.
  return join(isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : absolute('HOME', homedir(), '.cache'), 'reanchor');
}

/** What lies there is run: a path from the current folder on would be another one's folder in another one's folder. */
function absolute(variable: string, ...path: [string, ...string[]]): string {
  if (isAbsolute(path[0])) return join(...path);
  throw new SetupError(
    `${variable} is ${JSON.stringify(path[0])}: code is run from there, so that it has to be absolute`,
  );
}

/** Makes the cache folder. Throws SetupError when that, or writing into it, is not possible. */
export function prepareCache(): string {
  const cache = cacheFolder();
  try {
    mkdirSync(cache, { recursive: true });
    accessSync(cache, constants.W_OK);
  } catch (error) {
    const full = diskFull(error, 'the cache folder was being made');
    if (full) throw full;
    throw new SetupError(
      `cannot write to the cache folder ${cache} (${(error as NodeJS.ErrnoException).code}). ` +
        'Set REANCHOR_CACHE to a folder that can be written.',
      { cause: error },
    );
  }
  return cache;
}

/** An error for a disk that filled up; undefined for any other error. */
export function diskFull(error: unknown, doing: string): SetupError | undefined {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== 'ENOSPC' && code !== 'EDQUOT' && !/No space left|Errno 28|Disk quota/i.test(message)) return undefined;
  return new SetupError(
    `the disk of ${cacheFolder()} filled up while ${doing}; nothing half-done was left there. ` +
      `Free some space, or set REANCHOR_CACHE to a folder on another disk.\n${THREE_WAYS}`,
    { cause: error },
  );
}

/** Where setup() puts libtorch. The layout is that of site-packages, because CUDA builds look for ../../nvidia. */
export const installFolder = (): string => join(cacheFolder(), `libtorch-${TORCH_VERSION}`, 'torch');

/** The version of a libtorch folder, or why it is none that works. */
function inspectFolder(folder: string): { version: string } | { why: string } {
  const headers = join(folder, 'include', 'torch');
  if (!existsSync(folder)) return { why: `${folder} does not exist` };
  const library = join(folder, 'lib', process.platform === 'darwin' ? 'libtorch_cpu.dylib' : 'libtorch_cpu.so');
  if (!existsSync(library)) return { why: `${library} does not exist` };
  const cut = librariesIn(join(folder, 'lib')).find(isCutShort);
  if (cut !== undefined) return { why: `${cut} is cut short: copy or install libtorch again` };
  let text = '';
  for (const file of ['headeronly/version.h', 'csrc/api/include/torch/version.h']) {
    text += readIfFile(join(headers, file)) ?? '';
  }
  const part = (name: string) => new RegExp(`#define TORCH_VERSION_${name} (\\d+)`).exec(text)?.[1];
  const [major, minor, patch] = [part('MAJOR'), part('MINOR'), part('PATCH')];
  if (major === undefined || minor === undefined) return { why: `${headers} holds no version.h of libtorch` };
  const numeric = `${major}.${minor}.${patch ?? 0}`;
  const [oldMajor = 0, oldMinor = 0] = OLDEST_VERSION.split('.').map(Number);
  if (Number(major) < oldMajor || (Number(major) === oldMajor && Number(minor) < oldMinor)) {
    return { why: `${folder} is libtorch ${numeric}, older than ${OLDEST_VERSION}` };
  }
  const full = /__version__ = ['"]([^'"]+)['"]/.exec(String(readIfFile(join(folder, 'version.py'))))?.[1];
  return { version: full?.startsWith(numeric) ? full : numeric };
}

const librariesIn = (lib: string): string[] =>
  readdirSync(lib, { withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.so(\.\d+)*$/.test(entry.name))
    .map(({ name }) => join(lib, name));

/** Whether the cache holds a libtorch that works. */
export const isInstalled = (): boolean => 'version' in inspectFolder(installFolder());

function tryFolder(way: Way, folder: string): Located | Rejected {
  const found = inspectFolder(folder);
  return 'why' in found ? { way, why: found.why } : { way, folder, version: found.version };
}

// Isolated (-I), Python imports nothing from the current folder, from PYTHONPATH or from the user's own packages; the
// two latter are looked through here all the same, where they are folders of their own.
const WHERE_TORCH_IS = `
import importlib.machinery, importlib.util, os, site, sys
given = os.environ.get('PYTHONPATH', '').split(os.pathsep)
if sys.base_prefix in site.PREFIXES and not os.environ.get('PYTHONNOUSERSITE'):
    given.append(site.getusersitepackages())
given = [folder for folder in given if os.path.isabs(folder)]
spec = importlib.machinery.PathFinder.find_spec('torch', given) or importlib.util.find_spec('torch')
print(next(iter(spec and spec.submodule_search_locations or []), ''))
`;

/** The torch package of the active Python, found without importing it. */
function tryPython(): Located | Rejected {
  const python = findExecutable('python3', 'python');
  if (python === undefined) return { way: 'python', why: 'no python3 or python on PATH' };
  let folder: string;
  try {
    folder = ask(python, ['-I', '-c', WHERE_TORCH_IS], cacheFolder());
  } catch (error) {
    return { way: 'python', why: `${python} failed: ${(error as Error).message}` };
  }
  if (folder === '') return { way: 'python', why: `${python} has no torch package` };
  if (!isAbsolute(folder)) return { way: 'python', why: `${python} names ${folder}, which is not absolute` };
  return tryFolder('python', folder);
}

/** Looks in REANCHOR_LIBTORCH, the active Python and the cache, in this order, and says why a way was not taken. */
export function searchLibtorch(): Search {
  const rejected: Rejected[] = [];
  const explicit = process.env.REANCHOR_LIBTORCH;
  const ways: (() => Located | Rejected)[] = [
    () =>
      explicit
        ? tryFolder('REANCHOR_LIBTORCH', absolute('REANCHOR_LIBTORCH', explicit))
        : { way: 'REANCHOR_LIBTORCH', why: 'the variable is not set' },
    tryPython,
    () => tryFolder('cache', installFolder()),
  ];
  for (const way of ways) {
    const found = way();
    if ('folder' in found) return { located: found, rejected };
    rejected.push(found);
    // A folder that was asked for by name is not silently replaced by another one.
    if (found.way === 'REANCHOR_LIBTORCH' && explicit) break;
  }
  return { located: undefined, rejected };
}

const explain = (rejected: Rejected[]): string => rejected.map(({ way, why }) => `  ${way}: ${why}`).join('\n');

/** The libtorch to use. Throws SetupError with what was tried and the three ways to get one. */
export function locateLibtorch(): Located {
  const { located, rejected } = searchLibtorch();
  if (located) return located;
  throw new SetupError(`no libtorch >= ${OLDEST_VERSION} was found:\n${explain(rejected)}\n${THREE_WAYS}`);
}

// Asking Python takes 0.1 s and more, too long for every start. What was found is remembered for as long as the things
// that decide which Python is active stay the same.
const recordFile = (): string => join(cacheFolder(), 'located.json');

function environmentKey(): string {
  const { VIRTUAL_ENV, CONDA_PREFIX, PYTHONPATH, PYTHONUSERBASE, PYTHONNOUSERSITE, PYENV_VERSION } = process.env;
  const python = findExecutable('python3', 'python');
  return JSON.stringify([
    python,
    VIRTUAL_ENV,
    CONDA_PREFIX,
    PYTHONPATH,
    PYTHONUSERBASE,
    PYTHONNOUSERSITE,
    PYENV_VERSION,
  ]);
}

/** Remembers what locateLibtorch() found, for locateForLoad(). */
export function rememberLocated(located: Located): void {
  if (located.way === 'REANCHOR_LIBTORCH') return;
  const file = recordFile();
  const temporary = temporaryName(file);
  try {
    mkdirSync(cacheFolder(), { recursive: true });
    writeFileSync(temporary, JSON.stringify({ environment: environmentKey(), located }));
    renameSync(temporary, file);
  } catch {
    rmSync(temporary, { force: true });
    // A cache shared by many and written by one is fine: the search is then made at each start.
  }
}

/** As locateLibtorch(), but trusting what an earlier setup() found in the same environment. */
export function locateForLoad(): Located {
  if (!process.env.REANCHOR_LIBTORCH) {
    try {
      const record = JSON.parse(String(readIfFile(recordFile()))) as { environment: string; located: Located };
      const found = inspectFolder(record.located.folder);
      if (record.environment === environmentKey() && 'version' in found && found.version === record.located.version) {
        return record.located;
      }
    } catch {
      // no record yet, or an unreadable one
    }
  }
  return locateLibtorch();
}
