/// <reference types="node" preserve="true" />
/**
 * @reanchor/torch/setup: finding, installing and describing libtorch. Importing it loads no native code, so that it
 * works where there is none yet.
 */
import { buildAddon } from './build.js';
import { SetupError } from './errors.js';
import { installLibtorch } from './install.js';
import { diskFull, type Located, locateLibtorch, rememberLocated, searchLibtorch } from './locate.js';
import type { Log } from './setup-lock.js';
import { tryAddon } from './try-load.js';

export { addonFile } from './build.js';
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

/** What {@link setup} may be told. */
export interface SetupOptions {
  /** Gets one line for each step that takes time, and one for the result. */
  log?: Log;
}

/** What {@link setup} came to. */
export interface SetupResult {
  located: Located;
  /** The compiled addon. */
  addon: string;
  installed: boolean;
  compiled: boolean;
}

/**
 * Makes the addon ready: finds libtorch (REANCHOR_LIBTORCH, the active Python, the cache), installs it into the cache
 * where there is none, compiles the addon for it unless that was done before, and loads it once in a process of its
 * own. Throws SetupError with what is missing and the three ways to get there, or why the addon cannot be loaded.
 */
export async function setup({ log = () => {} }: SetupOptions = {}): Promise<SetupResult> {
  try {
    return await findOrInstall(log);
  } catch (error) {
    if (error instanceof SetupError) throw error;
    throw diskFull(error, 'setup was at work') ?? error;
  }
}

async function findOrInstall(log: Log): Promise<SetupResult> {
  if (process.platform === 'win32') {
    throw new SetupError('Windows is not supported: run it in WSL, where the Linux build of libtorch works.');
  }
  const search = searchLibtorch();
  let located = search.located;
  let installed = false;
  if (located === undefined) {
    // A folder named by REANCHOR_LIBTORCH that does not work is a mistake to mend, not a reason to download.
    if (process.env.REANCHOR_LIBTORCH) locateLibtorch();
    await installLibtorch(log);
    located = locateLibtorch();
    installed = true;
  }
  const { file, compiled } = await buildAddon(located, log);
  await tryAddon(file, located);
  rememberLocated(located);
  const state = compiled ? 'compiled' : 'up to date';
  log(`libtorch ${located.version} (${located.way}: ${located.folder}), addon ${state}`);
  return { located, addon: file, installed, compiled };
}
