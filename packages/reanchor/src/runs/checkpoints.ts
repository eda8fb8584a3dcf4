/**
 * The checkpoints of a run folder: `checkpoints/step-000512/` is a Hugging Face folder of the policy, with what else
 * training needs in `training/` and a manifest of all files. A checkpoint is whole or absent.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { FormatError, NotReadable, UserError } from '../errors.js';
import { isTemporary, readFile, sha256, temporaryName, writeError, writeFileAtomic } from '../formats/index.js';
import { freeName } from './open-files.js';
import { type TrainingState, trainingStateSchema } from './training-state.js';

/** The places in a checkpoint folder, relative to it. */
export const checkpointFiles = {
  manifest: 'manifest.json',
  state: join('training', 'state.json'),
  /** Where weights are divided, `optimizer-00001-of-00002.safetensors` and so on instead. */
  optimizer: join('training', 'optimizer.safetensors'),
  /**
   * A Hugging Face folder of a reference that is a model, `.safetensors` with log-probabilities of one that is cached.
   */
  reference: join('training', 'reference'),
  /** Likewise, of the initial policy. */
  initialPolicy: join('training', 'initial-policy'),
} as const;

const format = 1;
const manifestSchema = z.strictObject({
  format: z.literal(format),
  step: z.int().min(0),
  files: z.array(z.strictObject({ name: z.string(), bytes: z.int().min(0), sha256: z.string() })),
});

/** A checkpoint folder that is there; whether its files are is not known yet. */
export interface FoundCheckpoint {
  step: number;
  path: string;
}

/** A checkpoint whose files are what they were when it was written. */
export interface Checkpoint extends FoundCheckpoint {
  state: TrainingState;
}

/** The name of the checkpoint after a step. */
export const checkpointName = (step: number) => `step-${String(step).padStart(6, '0')}`;

/** The checkpoints in a folder of checkpoints, oldest first; a folder that is not there has none. */
export function listCheckpoints(folder: string): FoundCheckpoint[] {
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return names
    .flatMap((name) => {
      const [, digits] = /^step-(\d{6,})$/.exec(name) ?? [];
      return digits === undefined ? [] : [{ step: Number(digits), path: join(folder, name) }];
    })
    .sort((a, b) => a.step - b.step);
}

/**
 * Writes the state and, last, the manifest into a checkpoint folder whose other files are there. `known` are SHA-256
 * sums by path, of files that were hashed where they were written.
 */
export async function sealCheckpoint(
  folder: string,
  state: TrainingState,
  known: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  const text = JSON.stringify(z.encode(trainingStateSchema, state));
  await writeFileAtomic(join(folder, checkpointFiles.state), `${text}\n`);
  const files: z.output<typeof manifestSchema>['files'] = [];
  for (const name of await filesIn(folder)) {
    const path = join(folder, name);
    files.push({ name, bytes: (await stat(path)).size, sha256: known.get(path) ?? (await sha256(path)) });
  }
  const manifest = { format, step: state.step, files };
  await writeFileAtomic(join(folder, checkpointFiles.manifest), `${JSON.stringify(manifest, null, 1)}\n`);
}

/**
 * The state of a checkpoint, after its files were compared with its manifest, sizes first. Errors: FormatError that
 * says which file is not what it was; the signal's reason once it is aborted.
 */
export async function verifyCheckpoint(folder: string, signal?: AbortSignal): Promise<TrainingState> {
  const manifest = await readParsed(join(folder, checkpointFiles.manifest), manifestSchema);
  const fail = (name: string, message: string): never => {
    throw new FormatError(message, { file: join(folder, name) });
  };
  for (const { name, bytes } of manifest.files) {
    const found = await stat(join(folder, name)).catch(() => undefined);
    if (found === undefined) fail(name, 'the file is missing');
    if (found!.size !== bytes) fail(name, `the file has ${found!.size} bytes, and had ${bytes} when it was written`);
  }
  for (const { name, sha256: expected } of manifest.files) {
    if ((await sha256(join(folder, name), signal)) !== expected) fail(name, 'its content has changed (SHA-256)');
  }
  if (!manifest.files.some(({ name }) => join(name) === checkpointFiles.state))
    fail(checkpointFiles.manifest, `it does not name ${checkpointFiles.state}`);
  const state = await readParsed(join(folder, checkpointFiles.state), trainingStateSchema);
  if (state.step !== manifest.step)
    fail(checkpointFiles.state, `it is of step ${state.step}, and the manifest of step ${manifest.step}`);
  return state;
}

/** A checkpoint that cannot be used, and why. */
export interface DamagedCheckpoint extends FoundCheckpoint {
  why: string;
}

/**
 * The newest checkpoint that is whole, and the damaged ones that are newer. Errors: the signal's reason once it is
 * aborted.
 */
export async function newestCheckpoint(
  folder: string,
  signal?: AbortSignal,
): Promise<{ checkpoint: Checkpoint | undefined; damaged: DamagedCheckpoint[] }> {
  const damaged: DamagedCheckpoint[] = [];
  for (const found of listCheckpoints(folder).reverse()) {
    try {
      const state = await verifyCheckpoint(found.path, signal);
      if (state.step !== found.step) throw new UserError(`${found.path} holds step ${state.step}`);
      return { checkpoint: { ...found, state }, damaged };
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof UserError)) throw error;
      damaged.push({ ...found, why: error.message });
    }
  }
  return { checkpoint: undefined, damaged };
}

/** Takes a damaged folder out of the way, under another name; returns its new path. Errors: UserError. */
export async function setAside({ path }: { path: string }): Promise<string> {
  const aside = freeName(`${path}.damaged`);
  await rename(path, aside).catch((error) => {
    throw writeError(path, error);
  });
  return aside;
}

/**
 * Deletes checkpoints but the `keep` newest ones and those of the steps in `best`. Each is renamed before it is
 * deleted, so that a part of one is never taken for one. Errors: UserError.
 */
export async function keepCheckpoints(folder: string, keep: number, best: readonly number[]): Promise<void> {
  for (const { step, path } of listCheckpoints(folder).slice(0, -keep)) {
    if (best.includes(step)) continue;
    const leaving = temporaryName(path);
    try {
      await rename(path, leaving);
      await rm(leaving, { recursive: true, force: true });
    } catch (error) {
      throw writeError(path, error);
    }
  }
}

/** The name of a checkpoint that is whole and about to take the place of another one of the same step. */
const isReplacement = (name: string) => /^step-\d+\.new$/.test(name);

/**
 * Puts what `write` writes, whole, in the place of a checkpoint. Where that is cut off, `settleReplacements` finds one
 * of the two. Errors: UserError.
 */
export async function replaceCheckpoint(path: string, write: (path: string) => Promise<void>): Promise<void> {
  const [fresh, leaving] = [`${path}.new`, temporaryName(path)];
  await write(fresh);
  try {
    await rename(path, leaving);
    await rename(fresh, path);
    await rm(leaving, { recursive: true, force: true });
  } catch (error) {
    throw writeError(path, error);
  }
}

/** Ends replacements that were cut off. Only for who holds the run's lock. */
export async function settleReplacements(folder: string): Promise<void> {
  for (const name of (await readdir(folder).catch(() => [])).filter(isReplacement)) {
    const [fresh, path] = [join(folder, name), join(folder, name.replace(/\.new$/, ''))];
    if (existsSync(path)) await rm(fresh, { recursive: true, force: true });
    else await rename(fresh, path);
  }
}

/** Deletes what was being written, or deleted, when a run was cut off. Only for who holds the run's lock. */
export async function removeTemporary(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter(isTemporary)) await rm(join(folder, name), { recursive: true, force: true });
}

/** The bytes of each checkpoint in a folder, oldest first. */
export function checkpointSizes(folder: string): { name: string; bytes: number }[] {
  const bytesOf = (path: string): number =>
    readdirSync(path, { withFileTypes: true }).reduce((sum, entry) => {
      const inner = join(path, entry.name);
      return sum + (entry.isDirectory() ? bytesOf(inner) : statSync(inner).size);
    }, 0);
  return listCheckpoints(folder).map(({ step, path }) => ({ name: checkpointName(step), bytes: bytesOf(path) }));
}

/** 1 where a higher value of a metric is the better one, -1 of a loss. */
export const metricSign = (metric: string): 1 | -1 => (/loss$/.test(metric) ? -1 : 1);

/** The step whose evaluation has the best value of a metric, among some; undefined where none has one. */
export function bestStep(
  evaluations: readonly { step: number; metrics: Readonly<Record<string, number>> }[],
  metric: string,
  among: readonly number[],
): number | undefined {
  const sign = metricSign(metric);
  let best: { step: number; value: number } | undefined;
  for (const { step, metrics } of evaluations) {
    const value = metrics[metric];
    if (value === undefined || Number.isNaN(value) || !among.includes(step)) continue;
    if (best === undefined || sign * value > sign * best.value) best = { step, value };
  }
  return best?.step;
}

/** The best of the checkpoints in a folder by a metric of evaluations, with its value; undefined where none has one. */
export function bestCheckpoint(
  folder: string,
  evaluations: Parameters<typeof bestStep>[0],
  metric: string,
): (FoundCheckpoint & { value: number }) | undefined {
  const there = listCheckpoints(folder);
  const steps = there.map(({ step }) => step);
  const winner = bestStep(evaluations, metric, steps);
  const found = there.find(({ step }) => step === winner);
  return found && { ...found, value: evaluations.find(({ step }) => step === winner)!.metrics[metric]! };
}

async function filesIn(folder: string, prefix = ''): Promise<string[]> {
  const entries = await readdir(join(folder, prefix), { withFileTypes: true });
  const names: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = `${prefix}${entry.name}`;
    if (entry.isDirectory()) names.push(...(await filesIn(folder, `${name}/`)));
    else names.push(name);
  }
  return names;
}

async function readParsed<Schema extends z.ZodType>(file: string, schema: Schema): Promise<z.output<Schema>> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (cause instanceof NotReadable) throw cause;
    throw new FormatError(code === 'ENOENT' ? 'the file is missing' : `not JSON: ${message}`, { file, cause });
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new FormatError(`not of this version: ${z.prettifyError(result.error).replaceAll('\n', ' ')}`, { file });
}
