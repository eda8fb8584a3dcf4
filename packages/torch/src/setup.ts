/// <reference types="node" preserve="true" />
/**
 * @reanchor/torch/setup: finding, installing and describing libtorch. Importing it loads no native code, so that it
 * works where there is none yet.
 */
import { addonOrigin, buildAddon, type Made } from './build.js';
import { SetupError } from './errors.js';
import { installLibtorch } from './install.js';
import { diskFull, type Located, locateLibtorch, rememberLocated, searchLibtorch } from './locate.js';
import type { Hearing } from './setup-lock.js';
import { tryAddon } from './try-load.js';

export { addonFile, type Made } from './build.js';
export { type DoctorReport, describeDoctor, doctor } from './doctor.js';
export { SetupError } from './errors.js';
export {
  cacheFolder,
  type Located,
  locateLibtorch,
  type Rejected,
  type Search,
  searchLibtorch,
  type Way,
} from './locate.js';

/** Who hears of what {@link setup} does. */
export type SetupOptions = Hearing;

/** What {@link setup} came to. */
export interface SetupResult {
  located: Located;
  /** The file of the addon. */
  addon: string;
  /** Whether libtorch was installed now. */
  installed: boolean;
  /** Whether the addon was compiled now, or taken from the package of this platform. */
  made: Made;
}

/**
 * Makes the addon ready: finds libtorch (REANCHOR_LIBTORCH, the active Python, the cache), installs it into the cache
 * where there is none, takes the addon from the package of this platform or compiles it, unless that was done before,
 * and loads it once in a process of its own. Throws SetupError with what is missing and the three ways to get there, or
 * why the addon cannot be loaded.
 */
export async function setup(options: SetupOptions = {}): Promise<SetupResult> {
  try {
    return await findOrInstall(options);
  } catch (error) {
    if (error instanceof SetupError) throw error;
    throw diskFull(error, 'setup was at work') ?? error;
  }
}

async function findOrInstall(hearing: Hearing): Promise<SetupResult> {
  if (process.platform === 'win32') {
    throw new SetupError('Windows is not supported: run it in WSL, where the Linux build of libtorch works.');
  }
  const search = searchLibtorch();
  let located = search.located;
  let installed = false;
  if (located === undefined) {
    // A folder named by REANCHOR_LIBTORCH that does not work is a mistake to mend, not a reason to download.
    if (process.env.REANCHOR_LIBTORCH) locateLibtorch();
    await installLibtorch(hearing);
    located = locateLibtorch();
    installed = true;
  }
  const { file, made } = await buildAddon(located, hearing);
  await tryAddon(file, located);
  rememberLocated(located);
  const state = made === 'ready' ? 'up to date' : (addonOrigin(file) ?? made);
  hearing.log?.(`libtorch ${located.version} (${located.way}: ${located.folder}), addon ${state}`);
  return { located, addon: file, installed, made };
}
