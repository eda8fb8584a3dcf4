/**
 * Compiling the addon, once for each libtorch, addon source, platform and compiler flags. Nothing here loads native
 * code.
 */
import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupError } from './errors.js';
import { cacheFolder, diskFull, findExecutable, type Located, prepareCache, THREE_WAYS } from './locate.js';
import { type Log, withLock } from './lock.js';

const SOURCES = fileURLToPath(new URL('../native/', import.meta.url));

const FLAGS = ['-std=c++20', '-O2', '-fPIC', '-fvisibility=hidden', '-DNAPI_VERSION=9'];

// libtorch registers its CUDA operators when it is loaded, though the addon names none of its symbols. A compiler that links
// its C++ library statically must not offer it to libtorch, which has its own.
const LINK_FLAGS =
  process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : ['-Wl,--no-as-needed', '-Wl,--exclude-libs,ALL'];

const sourceFiles = (): string[] =>
  readdirSync(SOURCES)
    .filter((name) => /\.(cc|h)$/.test(name))
    .sort();

/** Where the compiled addon for this libtorch is or will be. */
export function addonFile(located: Located): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([located.folder, located.version, process.platform, process.arch, FLAGS, LINK_FLAGS]));
  for (const name of sourceFiles()) hash.update(name).update(readFileSync(join(SOURCES, name)));
  const key = `torch-${located.version}-${hash.digest('hex').slice(0, 16)}`;
  return join(cacheFolder(), 'addon', key, 'reanchor_torch.node');
}

/** Folder of node_api.h: beside the running node, or where distributions and node-gyp put it. */
function nodeHeaders(): string {
  const prefix = dirname(dirname(process.execPath));
  const { version } = process;
  const home = process.env.HOME ?? '';
  const candidates = [
    join(prefix, 'include', 'node'),
    '/usr/include/node',
    '/usr/include/nodejs/src',
    join(home, '.cache', 'node-gyp', version.slice(1), 'include', 'node'),
    join(home, 'Library', 'Caches', 'node-gyp', version.slice(1), 'include', 'node'),
  ];
  const found = candidates.find((folder) => existsSync(join(folder, 'node_api.h')));
  if (found !== undefined) return found;
  throw new SetupError(
    `node_api.h was not found in ${candidates.join(', ')}. Install Node's headers (they are part of the official ` +
      "archives; Debian's package is libnode-dev), or fetch them with: npx node-gyp install",
  );
}

function findCompiler(): string {
  const compiler = process.env.CXX
    ? (findExecutable(process.env.CXX) ?? process.env.CXX)
    : findExecutable('c++', 'g++', 'clang++');
  if (compiler !== undefined && existsSync(compiler)) return compiler;
  throw new SetupError(
    `no C++ compiler was found (${process.env.CXX ? `CXX=${process.env.CXX}` : 'c++, g++ and clang++ on PATH'}). ` +
      'The addon is compiled once, with g++ >= 11 or clang >= 14: install one (Debian, Ubuntu: apt install g++), ' +
      `or set CXX, and run setup again.\n${THREE_WAYS}`,
  );
}

/** Runs a command with `temporary` as its folder for temporary files; both output streams are returned as one text. */
export function run(
  command: string,
  args: string[],
  temporary: string,
): Promise<{ status: number | null; output: string }> {
  return new Promise((done, fail) => {
    const env = { ...process.env, TMPDIR: temporary };
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk;
      });
    }
    child.on('error', fail);
    child.on('close', (status) => done({ status, output }));
  });
}

/** Compiles the addon unless that has been done. Returns its file and whether it was compiled now. */
export async function buildAddon(located: Located, log: Log = () => {}): Promise<{ file: string; compiled: boolean }> {
  const file = addonFile(located);
  if (existsSync(file)) return { file, compiled: false };
  prepareCache();
  return withLock('build', log, async () => {
    if (existsSync(file)) return { file, compiled: false };
    await compile(located, file, log);
    return { file, compiled: true };
  });
}

async function compile(located: Located, file: string, log: Log): Promise<void> {
  const compiler = findCompiler();
  const headers = nodeHeaders();
  const folder = dirname(file);
  const temporary = `${folder}.tmp-${process.pid}-${randomUUID().slice(0, 8)}`;
  const include = join(located.folder, 'include');
  const lib = join(located.folder, 'lib');
  log(`compiling the addon for libtorch ${located.version} with ${compiler} (about 20 seconds)`);
  try {
    mkdirSync(temporary, { recursive: true });
    const { status, output } = await run(
      compiler,
      [
        ...FLAGS,
        '-shared',
        `-I${include}`,
        `-I${join(include, 'torch', 'csrc', 'api', 'include')}`,
        `-I${headers}`,
        join(SOURCES, 'addon.cc'),
        '-o',
        join(temporary, 'reanchor_torch.node'),
        `-L${lib}`,
        ...LINK_FLAGS,
        '-ltorch',
        '-ltorch_cpu',
        '-lc10',
        `-Wl,-rpath,${lib}`,
      ],
      temporary,
    );
    if (status !== 0) throw compileFailure(compiler, status, output);
    publish(temporary, folder);
  } catch (error) {
    throw diskFull(error, 'the addon was being compiled') ?? error;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Renames a finished folder into place. Another process may have been faster: then its result stands. */
export function publish(temporary: string, folder: string): void {
  try {
    renameSync(temporary, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
  }
}

function compileFailure(compiler: string, status: number | null, output: string): Error {
  const lines = output.trim().split('\n');
  const errors = lines.filter((line) => /error|cannot find|No space left/i.test(line)).slice(0, 8);
  const shown = (errors.length > 0 ? errors : lines.slice(-8)).join('\n');
  const killed =
    status === null || /Killed/.test(output) ? 'It was killed, perhaps for lack of memory: it needs about 1 GB. ' : '';
  return new SetupError(
    `${compiler} could not compile the addon. ${killed}It must be g++ >= 11 or clang >= 14; CXX selects another.\n` +
      `${shown}\n${THREE_WAYS}`,
  );
}
