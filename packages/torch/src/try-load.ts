/** Trying the compiled addon, in a process of its own: what is wrong with libtorch may end that without a word. */
import { dirname } from 'node:path';
import { SetupError } from './errors.js';
import type { Located } from './locate.js';
import { run } from './programs.js';

const PROGRAM = `
const { RTLD_NOW, RTLD_DEEPBIND = 0 } = require('node:os').constants.dlopen;
const loaded = { exports: {} };
process.dlopen(loaded, process.argv[1], RTLD_NOW | RTLD_DEEPBIND);
console.log('loaded ' + JSON.stringify(loaded.exports.config()));
`;

/**
 * Loads the addon once. Errors: SetupError that quotes why it cannot be loaded, or says that headers and libraries are
 * of two versions; with what to do.
 */
export async function tryAddon(file: string, located: Located): Promise<void> {
  const { status, output } = await run(process.execPath, ['-e', PROGRAM, file], dirname(file));
  const config = /^loaded (.*)$/m.exec(output)?.[1];
  const why = config === undefined ? wordsOf(output, status) : versionProblem(JSON.parse(config), located.folder);
  if (why === undefined) return;
  const { folder, way } = located;
  const advice = isMemory(why)
    ? 'there is not enough memory for it: raise the limit (ulimit -v, or that of the container), and run setup again'
    : `something is wrong with that libtorch: ${way === 'cache' ? `remove ${folder}` : 'install it anew'}, and run setup again`;
  throw new SetupError(`the addon was compiled for ${folder}, but cannot be loaded (${why}). It seems that ${advice}`);
}

/** What an addon was compiled for against what it has loaded; undefined where they are one version. */
export function versionProblem(
  { compiledFor, build }: { compiledFor: string; build: string },
  folder: string,
): string | undefined {
  const running = /TORCH_VERSION=([\d.]+)/.exec(build)?.[1];
  if (running === undefined || running === /^[\d.]+/.exec(compiledFor)?.[0]) return undefined;
  return `its headers are those of libtorch ${compiledFor}, and ${folder} holds libraries of ${running}`;
}

/** Whether a loader's words tell of too little memory: another libtorch would not fit either. */
export const isMemory = (words: string): boolean => /failed to map segment|annot allocate memory/.test(words);

function wordsOf(output: string, status: number | null): string {
  const error = /^(?:\w*Error): (.*)$/m.exec(output)?.[1];
  return error ?? (status === null ? 'a signal ended the process that tried' : `exit ${status} of what tried`);
}
