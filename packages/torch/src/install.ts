/** Installing libtorch from the wheel of Python's torch. Nothing here loads native code. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { publish, removeTemporary } from './build.js';
import { SetupError } from './errors.js';
import {
  cacheFolder,
  diskFull,
  installFolder,
  isInstalled,
  prepareCache,
  THREE_WAYS,
  TORCH_VERSION,
} from './locate.js';
import { findExecutable, run } from './programs.js';
import { type Hearing, withSetupLock } from './setup-lock.js';
import { downloadText, tellsProgress, whileTold } from './setup-progress.js';
import { temporaryName } from './temporary-name.js';

const GB = 1e9;
const CPU_INDEX = 'https://download.pytorch.org/whl/cpu';

/** Parts of torch/lib that only Python needs. */
const PYTHON_ONLY =
  /^lib(torch_python|aoti_custom_ops|backend_with_compiler|jitbackend_test|torchbind_test|shm.*)(\.so|\.dylib)?$/;

const hasNvidiaDriver = (): boolean =>
  existsSync('/proc/driver/nvidia/version') ||
  existsSync('/dev/nvidiactl') ||
  findExecutable('nvidia-smi') !== undefined;

/** A way to ask pip for the wheel. */
interface Attempt {
  title: string;
  args: string[];
}

function attempts(gpu: boolean): Attempt[] {
  const plain = { title: `torch==${TORCH_VERSION}`, args: [`torch==${TORCH_VERSION}`] };
  // The CUDA build needs NVIDIA's runtime wheels beside it.
  if (gpu) return [plain];
  const cpu = `torch==${TORCH_VERSION}+cpu`;
  return [
    { title: cpu, args: ['--no-deps', '--retries', '1', cpu] },
    { title: `${cpu} from ${CPU_INDEX}`, args: ['--no-deps', '--retries', '1', '--extra-index-url', CPU_INDEX, cpu] },
    { title: plain.title, args: ['--no-deps', ...plain.args] },
  ];
}

// pip unpacks in its temporary folder first: on the same disk the move is a rename, and only this disk must have room.
// Isolated (-I), Python takes neither pip nor anything that pip imports from a folder that is not its own.
const pip = (python: string, args: string[], temporary: string, onOutput?: (output: string) => void) =>
  run(python, ['-I', '-m', 'pip', ...args], temporary, onOutput);

/** A Python, and whether its pip writes how far a download is. */
interface Python {
  python: string;
  tellsProgress: boolean;
}

async function findPython(): Promise<Python> {
  const tried: string[] = [];
  for (const name of ['python3', 'python']) {
    const python = findExecutable(name);
    if (python === undefined) {
      tried.push(`${name}: not on PATH`);
      continue;
    }
    const { status, output } = await pip(python, ['--version'], cacheFolder());
    if (status === 0) return { python, tellsProgress: tellsProgress(output) };
    tried.push(`${python}: ${output.trim().split('\n').at(-1)}`);
  }
  throw new SetupError(
    `libtorch comes as a Python wheel, and no Python with pip was found (${tried.join('; ')}).\n${THREE_WAYS}`,
  );
}

/** Throws SetupError unless this many bytes are free on the folder's disk. */
export function requireSpace(folder: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  if (free >= bytes) return;
  const gb = (n: number) => (n / GB).toFixed(1);
  throw new SetupError(
    `installing libtorch needs ${gb(bytes)} GB in ${folder}, which has ${gb(free)} GB free. ` +
      `Free some space, or set REANCHOR_CACHE to a folder on another disk.\n${THREE_WAYS}`,
  );
}

/** Moves the parts that we need out of an unpacked wheel, and drops what only Python needs. */
function extract(site: string, result: string): void {
  const torch = join(result, 'torch');
  mkdirSync(torch, { recursive: true });
  for (const part of ['include', 'lib', 'version.py']) renameSync(join(site, 'torch', part), join(torch, part));
  if (existsSync(join(site, 'nvidia'))) renameSync(join(site, 'nvidia'), join(result, 'nvidia'));
  for (const name of readdirSync(join(torch, 'lib'))) {
    if (PYTHON_ONLY.test(name)) rmSync(join(torch, 'lib', name), { recursive: true, force: true });
  }
}

/** Installs libtorch into the cache folder, whole or not at all. */
export async function installLibtorch({ log, progress }: Hearing = {}): Promise<void> {
  const folder = dirname(installFolder());
  const cache = prepareCache();
  await withSetupLock('install', { log }, async () => {
    if (isInstalled()) return;
    removeTemporary(cache);
    const python = await findPython();
    const gpu = hasNvidiaDriver();
    requireSpace(cache, gpu ? 9 * GB : 1.2 * GB);
    const temporary = temporaryName(folder);
    try {
      await download(python, gpu, temporary, { log, progress });
      extract(join(temporary, 'site'), join(temporary, 'result'));
      publish(join(temporary, 'result'), folder);
    } catch (error) {
      throw diskFull(error, 'libtorch was being installed') ?? error;
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  });
}

const pipOptions = [
  '--disable-pip-version-check',
  '--no-cache-dir',
  '--no-compile',
  '--no-input',
  // A source archive would run its setup.py.
  '--only-binary=:all:',
];

async function download(
  { python, tellsProgress }: Python,
  gpu: boolean,
  temporary: string,
  { log = () => {}, progress }: Hearing,
): Promise<void> {
  const site = join(temporary, 'site');
  const failures: string[] = [];
  for (const { title, args } of attempts(gpu)) {
    log(`installing ${title} with ${python} -m pip (about ${gpu ? '3 GB' : '200 MB'} to download)`);
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(join(temporary, 'pip'), { recursive: true });
    const options = [...pipOptions, ...(tellsProgress ? ['--progress-bar', 'raw'] : []), '--target', site];
    let heard = '';
    const work = () =>
      pip(python, ['install', ...options, ...args], join(temporary, 'pip'), (output) => {
        heard = output;
      });
    const detail = () => downloadText(heard);
    const { status, output } = await whileTold(`installing ${title}`, work, { progress, detail });
    if (status === 0 && existsSync(join(site, 'torch', 'lib'))) return;
    if (/No space left|Errno 28/i.test(output)) throw new Error('No space left');
    const errors = output.split('\n').filter((line) => line.startsWith('ERROR'));
    failures.push(
      `  ${title}: ${(errors.length > 0 ? errors : output.trim().split('\n').slice(-1)).slice(0, 2).join(' ')}`,
    );
  }
  throw new SetupError(`pip could not install libtorch ${TORCH_VERSION}:\n${failures.join('\n')}\n${THREE_WAYS}`);
}
