/** The run folder: `run.json`, `events.jsonl`, `checkpoints/`, `final/`. */
import { mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import { FormatError, UserError, unreadable } from '../errors.js';
import { isTemporary, readFileSync, writeError, writeFileAtomic } from '../formats/index.js';
import { concealing, type Recipe, recipeSchema } from '../recipe/index.js';
import { packageVersion } from '../version.js';
import { listCheckpoints, removeTemporary } from './checkpoints.js';
import { lockName, lockRun, refuseLockedRun } from './lock.js';
import { localTimeOf } from './template-now.js';

const runSchema = z.strictObject({
  /** When the run began: ISO 8601, UTC. */
  time: z.iso.datetime(),
  /** The same on the clock of the machine, which chat templates tell; runs from before it counted do not say. */
  localTime: z.iso.datetime({ local: true }).optional(),
  /** The command and its arguments; a run that code began has none. */
  command: z.array(z.string()).optional(),
  recipe: recipeSchema,
  seed: z.int(),
  /** The processes that began it together, which divide what `parallel.shard` says; 1 where it is not said. */
  processes: z.int().min(1).optional(),
  /** The commits that names on the Hub stood for. */
  commits: z.record(z.string(), z.string()).optional(),
  /** Digests of what the run reads, by the keys of its recipe; older runs do not say. */
  sources: z.record(z.string(), z.string()).optional(),
  /** Where the run ended before its last step, and why. */
  stopped: z.strictObject({ step: z.int().min(0), message: z.string() }).optional(),
  versions: z.strictObject({ reanchor: z.string(), node: z.string(), torch: z.string() }),
  /** Memory in bytes. */
  machine: z.strictObject({
    platform: z.string(),
    arch: z.string(),
    cpu: z.string(),
    cpus: z.int(),
    memory: z.int(),
    /** The device that was computed on; runs from before it could be chosen, on the CPU, do not say. */
    device: z.string().optional(),
  }),
});

/** What `run.json` says of a run: all that is needed to do it again. */
export type RunInfo = z.output<typeof runSchema>;

/** The places in a run folder. */
export interface RunFolder {
  path: string;
  /** `events.jsonl`, for {@link EventWriter} and {@link readEvents}. */
  events: string;
  /** `superseded.jsonl`: events of steps that were made again, after a resume from an earlier checkpoint. */
  superseded: string;
  /** `checkpoints`, the folder of checkpoints. */
  checkpoints: string;
  /** `final`, the folder of the trained model. */
  final: string;
}

/** The places in the run folder at a path. */
export const runFolder = (path: string): RunFolder => ({
  path,
  events: join(path, 'events.jsonl'),
  superseded: join(path, 'superseded.jsonl'),
  checkpoints: join(path, 'checkpoints'),
  final: join(path, 'final'),
});

/**
 * A new folder in `folder` for a run of a recipe file begun at a local time, named `<recipe>-<yyyymmdd>-<hhmmss>`, or
 * with `-2`, `-3` behind it where that is taken. Disposed, it is removed if nothing came into it. Errors: UserError.
 */
export function reserveRunFolder(folder: string, recipeFile: string, time: Date): Disposable & { path: string } {
  const name = runName(recipeFile, time);
  try {
    const made = mkdirSync(folder, { recursive: true });
    for (let n = 1; ; n++) {
      const path = join(folder, n === 1 ? name : `${name}-${n}`);
      if (!isMade(path)) continue;
      return { path, [Symbol.dispose]: () => removeEmpty(resolve(path), resolve(made ?? path)) };
    }
  } catch (error) {
    throw writeError(folder, error);
  }
}

/** Makes a folder; false where something is there. */
function isMade(path: string): boolean {
  try {
    mkdirSync(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** The name of a run of a recipe file begun at a local time: `<recipe>-<yyyymmdd>-<hhmmss>`. */
export function runName(recipeFile: string, time: Date): string {
  const two = (n: number) => String(n).padStart(2, '0');
  const date = `${time.getFullYear()}${two(time.getMonth() + 1)}${two(time.getDate())}`;
  return `${basename(recipeFile, extname(recipeFile))}-${date}-${two(time.getHours())}${two(time.getMinutes())}${two(time.getSeconds())}`;
}

interface NewRun {
  recipe: Recipe;
  command?: readonly string[] | undefined;
  /** When it began. */
  time: Date;
  torch: string;
  device: string;
  processes?: number | undefined;
  commits?: Record<string, string>;
  sources?: Readonly<Record<string, string>>;
}

/**
 * A new run folder that holds `run.json`, locked for this process. The folder may exist if it is empty; folders above
 * it are made.
 *
 * Errors: UserError for a folder with something in it, a read-only parent, a path that is a file, a full disk; nothing
 * is left behind.
 */
export async function createRunFolder(path: string, run: NewRun): Promise<RunFolder & { lock: Disposable }> {
  refuseUsedFolder(path);
  let made: string | undefined;
  try {
    made = mkdirSync(path, { recursive: true });
  } catch (error) {
    throw writeError(path, error);
  }
  let lock: Disposable | undefined;
  try {
    lock = lockRun(path);
    // Somebody may have been faster.
    refuseUsedFolder(path);
    await removeTemporary(path);
    await writeRunInfo(path, run);
    return { ...runFolder(path), lock };
  } catch (error) {
    lock?.[Symbol.dispose]();
    if (made !== undefined && lock !== undefined) removeEmpty(resolve(path), resolve(made));
    throw error;
  }
}

/** Writes `run.json` of a run that begins now. Errors: UserError. */
export async function writeRunInfo(
  path: string,
  { recipe, command, time, torch, device, processes = 1, commits = {}, sources = {} }: NewRun,
): Promise<void> {
  const run: RunInfo = {
    time: time.toISOString(),
    localTime: localTimeOf(time),
    ...(command && { command: command.map(concealing(recipe)) }),
    recipe,
    seed: recipe.seed,
    ...(processes > 1 && { processes }),
    ...(Object.keys(commits).length > 0 && { commits }),
    ...(Object.keys(sources).length > 0 && { sources }),
    versions: { reanchor: packageVersion(), node: process.versions.node, torch },
    machine: {
      platform: platform(),
      arch: arch(),
      cpu: cpus()[0]?.model ?? 'unknown',
      cpus: availableParallelism(),
      memory: totalmem(),
      device,
    },
  };
  await writeFileAtomic(join(path, 'run.json'), `${JSON.stringify(run, null, 2)}\n`);
}

/** Has `run.json`, which was `run`, say that the run ended early, or that it did not. Errors: UserError. */
export async function writeStopped(path: string, run: RunInfo, stopped: RunInfo['stopped']): Promise<void> {
  if (isDeepStrictEqual(run.stopped, stopped)) return;
  await writeFileAtomic(join(path, 'run.json'), `${JSON.stringify({ ...run, stopped }, null, 2)}\n`);
}

/** Removes a folder and those above it, up to `last`, that are empty: others may have put something there since. */
function removeEmpty(path: string, last: string): void {
  try {
    for (let folder = path; ; folder = dirname(folder)) {
      rmdirSync(folder);
      if (folder === last) return;
    }
  } catch {
    // Not empty.
  }
}

/** What a run folder says of its run, and its places. Errors: UserError for a folder that is none; FormatError. */
export function readRun(path: string): { run: RunInfo; folder: RunFolder } {
  const file = join(path, 'run.json');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`${path} is no run folder: ${unreadable(file, error)}; a run folder holds run.json`);
  }
  return { run: parseRun(text, file), folder: runFolder(path) };
}

/** What the text of a `run.json` says; `file` is its name in messages. Errors: FormatError. */
export function parseRun(text: string, file: string): RunInfo {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`not JSON: ${(error as Error).message}`, { file, cause: error });
  }
  const result = runSchema.safeParse(value);
  if (result.success) return result.data;
  const why = z.prettifyError(result.error).replaceAll('\n', ' ');
  throw new FormatError(`not a run of reanchor ${packageVersion()}: ${why}`, { file });
}

/** Whether nothing is at `path`, or an empty folder. Errors: UserError. */
export const isUnusedFolder = (path: string) => namesIn(path).length === 0;

/**
 * What is in a folder, but for what a process that was cut off before it began a run may have left. Errors:
 * UserError.
 */
function namesIn(path: string): string[] {
  try {
    return readdirSync(path).filter((name) => name !== lockName && !isTemporary(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new UserError(`${unreadable(path, error)}: name a new folder`);
  }
}

/** Makes sure that `path` can become a run folder: nothing is there, or an empty folder. Errors: UserError. */
export function refuseUsedFolder(path: string): void {
  const names = namesIn(path);
  if (names.length > 0) {
    refuseLockedRun(path);
    if (
      names.includes('run.json') &&
      isUnusedFolder(join(path, 'final')) &&
      listCheckpoints(join(path, 'checkpoints')).length > 0
    ) {
      throw new UserError(
        (option) =>
          `${path} already holds a run, which is not finished: go on with it by ${option('resume')}, or name a new folder`,
      );
    }
    const what = names.includes('run.json') ? 'already holds a run' : `is not empty (${names.slice(0, 3).join(', ')})`;
    throw new UserError(
      `${path} ${what}: a run is never written over another: name a new folder, or move this one away`,
    );
  }
}
