/**
 * Starting other programs. The folder one happens to be in may be anybody's: no program is taken from it, none but a
 * copy of this one is started in it, and none gets its arguments through a shell. Nothing else in the packages starts
 * a process.
 */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join, parse } from 'node:path';
import type { Readable } from 'node:stream';
import { SetupError } from './errors.js';

/** Folders of a list such as PATH; an empty or a relative one is the current folder, or below it. */
const absolute = (list: string | undefined) => (list ?? '').split(delimiter).filter(isAbsolute);

/**
 * The first file of these names on PATH that can be run, as an absolute path; folders of PATH that are not absolute are
 * passed over. A name that is an absolute path stands for itself.
 */
export function findExecutable(...names: string[]): string | undefined {
  const candidates = names.flatMap((name) => {
    if (isAbsolute(name)) return [name];
    return name.includes('/') ? [] : absolute(process.env.PATH).map((folder) => join(folder, name));
  });
  return candidates.find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** By these a process is asked to end. */
const endings = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs a program, named by its absolute path, in `folder`, which is its folder for temporary files too. The exit code
 * is null where a signal ended it; `output` is all that it wrote, of which `onOutput` hears while it runs. A signal
 * that asks this process to end ends the program with all that it has started. Errors: SetupError that names that
 * signal; the system's.
 */
export function run(
  program: string,
  args: readonly string[],
  folder: string,
  onOutput: (output: string) => void = () => {},
): Promise<{ status: number | null; output: string }> {
  return new Promise((done, fail) => {
    const env = { ...environment(folder), TMPDIR: folder };
    // In a process group of its own, so that what it starts can be ended with it.
    const child = spawn(known(program), args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let output = '';
    let ending: NodeJS.Signals | undefined;
    const end = (signal: NodeJS.Signals) => {
      ending ??= signal;
      if (child.pid !== undefined) killGroup(child.pid);
    };
    for (const signal of endings) process.on(signal, end);
    const leave = () => {
      for (const signal of endings) process.off(signal, end);
    };
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk;
        onOutput(output);
      });
    }
    child.on('error', (error) => {
      leave();
      fail(error);
    });
    child.on('close', (status) => {
      leave();
      if (ending === undefined) done({ status, output });
      else fail(new SetupError(`stopped by ${ending === 'SIGINT' ? 'Ctrl-C' : ending}; nothing half-done is left`));
    });
  });
}

/** A program that is spoken with by lines. */
export interface StartedProgram {
  /** Writes to its stdin. */
  tell(text: string): void;
  /** Closes its stdin. */
  close(): void;
  /** Sends it a signal, and not what it has started. */
  send(signal: NodeJS.Signals): void;
  /** Ends it, with all that it has started. */
  kill(): void;
  /** When it has ended, whether it could be started or not: how, and the end of what it wrote to stderr. */
  ended: Promise<{ status: number | null; signal: NodeJS.Signals | null; errors: string }>;
}

export interface ProgramOptions {
  /** Variables besides those of this process. */
  env?: Readonly<Record<string, string>>;
  /** Where it begins: the root folder when left out. A copy of this program may begin where this one does. */
  folder?: string;
  /** It writes where this process does, to a terminal as to one, and nobody hears its lines or keeps its errors. */
  sharesOutput?: boolean;
  /** Hears the lines of its stdout, the last one also without a line feed. */
  onLine?(line: string): void;
  /** Hears those of its stderr. */
  onErrorLine?(line: string): void;
}

/** Characters of a line that a program writes at most, and those of its errors that are kept. */
const [longestLine, keptErrors] = [1 << 24, 4000];

/**
 * Starts a program, named by its absolute path, in a process group of its own, so that Ctrl-C is not sent to it. One
 * that writes a line of more than 16 million characters is ended.
 */
export function startProgram(
  program: string,
  args: readonly string[],
  { env = {}, folder = root, sharesOutput = false, onLine = () => {}, onErrorLine = () => {} }: ProgramOptions,
): StartedProgram {
  const output = sharesOutput ? 'inherit' : 'pipe';
  const options = { cwd: folder, env: { ...environment(folder), ...env }, detached: true };
  const child = spawn(known(program), args, { ...options, stdio: ['pipe', output, output] });
  const isRunning = () => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  const kill = () => {
    if (isRunning()) killGroup(child.pid!);
  };
  let errors = '';
  const lines = hear(child.stdout, onLine, kill);
  const errorLines = hear(child.stderr, onErrorLine, kill);
  child.stderr?.on('data', (chunk: string) => {
    errors = (errors + chunk).slice(-keptErrors);
  });
  // It need not read what it is told.
  child.stdin!.on('error', () => {});
  const ended = new Promise<Awaited<StartedProgram['ended']>>((done) => {
    child.on('error', ({ message }) => done({ status: null, signal: null, errors: message }));
    child.on('close', (status, signal) => {
      lines.end();
      errorLines.end();
      done({ status, signal, errors });
    });
  });
  return {
    tell: (text) => child.stdin!.write(text),
    close: () => child.stdin!.end(),
    send: (signal) => isRunning() && child.kill(signal),
    kill,
    ended,
  };
}

/** Cuts what a stream gives into lines. `end` tells the last one, if no line feed has; a line too long is told of. */
function hear(stream: Readable | null, onLine: (line: string) => void, onTooLong: () => void): { end(): void } {
  let begun = '';
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (begun + chunk).split('\n');
    begun = lines.pop()!;
    lines.forEach(onLine);
    if (begun.length <= longestLine) return;
    begun = '';
    onTooLong();
  });
  return {
    end: () => {
      if (begun !== '') onLine(begun);
    },
  };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

/**
 * What a program, named by its absolute path, prints when it is started in `folder` (the root, where there is no such
 * folder). Errors: Error with its last words where it fails, or takes more than half a minute.
 */
export function ask(program: string, args: readonly string[], folder: string): string {
  const cwd = isFolder(folder) ? folder : root;
  const { status, stdout, stderr, error } = spawnSync(known(program), args, {
    cwd,
    env: environment(cwd),
    encoding: 'utf8',
    timeout: 30_000,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (status === 0) return stdout.trim();
  throw new Error(error?.message ?? (stderr.trim().split('\n').at(-1) || `it ended with ${status}`));
}

/** Starts a program, named by its absolute path, that goes on by itself. `onError` hears when it cannot be started. */
export function launch(program: string, args: readonly string[], onError: () => void): void {
  const child = spawn(known(program), args, { cwd: root, env: environment(root), stdio: 'ignore', detached: true });
  child.once('error', onError);
  child.unref();
}

const { root } = parse(process.execPath);

const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/** What a program sees: those that it starts by their names are not taken from the current folder either. */
function environment(folder: string): NodeJS.ProcessEnv {
  return { ...process.env, PATH: absolute(process.env.PATH).join(delimiter) || undefined, PWD: folder };
}

function known(program: string): string {
  if (isAbsolute(program)) return program;
  throw new Error(`internal: the program ${program} is no absolute path`);
}
