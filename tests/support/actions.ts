/**
 * What a process of a run does that others see: its calls to the group, and what it does to disks, in words such as
 * `sum` and `write /tmp/run/events.jsonl`. A moment of a run is named by them, however fast the machine is.
 */
import fs, { existsSync, symlinkSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import type { ProcessGroup } from '@reanchor/torch';

/** Something is done to a process before its n-th action whose words match; of a write, after the half. */
export interface Strike {
  rank: number;
  /** A regular expression. */
  at: string;
  n: number;
  /** SIGSTOP, and the process is there and does nothing; 'full', and the disk of a new file has no room. */
  what: 'SIGKILL' | 'SIGSTOP' | 'full';
}

/** The actions of this process since they were last forgotten. */
export const actions: string[] = [];
let strikes: { pattern: RegExp; left: number; what: Strike['what'] }[] = [];

/** Forgets all actions; from now on these strikes are expected. */
export function expectStrikes(expected: readonly Strike[]): void {
  actions.length = 0;
  strikes = expected.map(({ at, n, what }) => ({ pattern: new RegExp(at), left: n, what }));
}

/** Writes down an action; `half` is done first where it is the last one. */
function act(words: string, half = () => {}): Strike['what'] | undefined {
  actions.push(words);
  for (const strike of strikes) {
    if (!strike.pattern.test(words) || --strike.left !== 0) continue;
    if (strike.what === 'full') return strike.what;
    half();
    process.kill(process.pid, strike.what);
  }
  return undefined;
}

const calls = 'allReduce allReduce_ allGather allGatherInto reduceScatter broadcast_ sum barrier'.split(' ');

/** The same group; its calls are actions. */
export const actingGroup = (group: ProcessGroup): ProcessGroup =>
  new Proxy(group, {
    get(target, key) {
      const found: unknown = Reflect.get(target, key);
      if (typeof found !== 'function') return found;
      return (...given: unknown[]) => {
        if (calls.includes(String(key))) act(String(key));
        return found.apply(target, given);
      };
    },
  });

/** From now on what this process does by `node:fs/promises` is an action. */
export async function watchDisk(): Promise<void> {
  const promises = createRequire(import.meta.url)('node:fs/promises') as typeof fs.promises;
  const paths = new WeakMap<object, string>();
  const { open, stat } = promises;
  for (const name of ['mkdir', 'rename', 'rm'] as const) {
    const found = promises[name] as (path: string, ...rest: unknown[]) => Promise<unknown>;
    Object.assign(promises, {
      [name]: (path: string, ...rest: unknown[]) => {
        act(`${name} ${path}`);
        return found(path, ...rest);
      },
    });
  }
  promises.open = async (path, ...rest) => {
    act(`open ${path}`);
    const handle = await open(path, ...rest);
    paths.set(handle, String(path));
    return handle;
  };
  // What is written is looked for first.
  promises.stat = (async (path: string, ...rest: []) => {
    if (act(`look for ${path}`) === 'full' && !existsSync(path)) symlinkSync('/dev/full', path);
    return await stat(path, ...rest);
  }) as typeof stat;
  const probe = await open('/dev/null');
  const handles = Object.getPrototypeOf(probe) as fs.promises.FileHandle;
  await probe.close();
  const { sync } = handles;
  const write = handles.write as (bytes: Uint8Array, at: number, length: number) => Promise<unknown>;
  handles.write = function (this: fs.promises.FileHandle, bytes: Uint8Array, at: number, length: number) {
    act(`write ${paths.get(this)}`, () => fs.writeSync(this.fd, bytes, at, Math.floor(length / 2)));
    return write.call(this, bytes, at, length);
  } as typeof handles.write;
  handles.sync = function (this: fs.promises.FileHandle) {
    act(`sync ${paths.get(this)}`);
    return sync.call(this);
  };
  syncBuiltinESMExports();
}
