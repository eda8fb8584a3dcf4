/**
 * What becomes of a run whose folder is lost, or cannot be written any more: it stops, and nothing it has learned is
 * lost.
 */
import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { UserError } from '../errors.js';
import { requireWritable, writeFileAtomic } from '../formats/index.js';
import { checkpointName, LostFolder, type RunFolder, runFolder } from '../runs/index.js';
import type { TrainOptions } from './options.js';
import type { RunRecord } from './record.js';
import { resumeHint } from './resume-hint.js';

export interface StoppedRun {
  record: RunRecord;
  command: TrainOptions['command'];
  /** The optimizer steps taken. */
  steps: number;
  /** The bytes that a checkpoint takes. */
  bytes: number;
  /** Writes a checkpoint of this moment into a new folder, which other processes of the run may not see. */
  write(path: string, options: { isSeenByAll: boolean }): Promise<void>;
}

/**
 * The error that a run ends with. Where it has failed because its folder was moved, deleted, or cannot be written any
 * more, a checkpoint is written first: into the folder where it is now, or into a new run folder among the temporary
 * files, with all events; the error says where. Others are returned as they are.
 */
export async function stopElsewhere(error: unknown, stopped: StoppedRun): Promise<unknown> {
  const cause = folderFailure(error, stopped.record);
  if (cause === undefined) return error;
  const { record, command, steps } = stopped;
  try {
    const folder = cause.movedTo ?? (await temporaryRunFolder(stopped));
    record.moveTo(folder);
    const path = join(folder.checkpoints, checkpointName(steps));
    if (!existsSync(path)) await stopped.write(path, { isSeenByAll: cause.movedTo !== undefined });
    return new UserError(
      `${cause.message}. The run has stopped after step ${steps} with a checkpoint in ${folder.path}: ` +
        `to go on ${resumeHint(command, folder.path)}`,
      { cause: error },
    );
  } catch (second) {
    return new UserError(`${cause.message}, and no checkpoint could be written: ${(second as Error).message}`, {
      cause: error,
    });
  }
}

interface FolderFailure {
  message: string;
  movedTo?: RunFolder | undefined;
}

/** What has become of the run's folder, if an error comes from that. */
function folderFailure(error: unknown, record: RunRecord): FolderFailure | undefined {
  if (error instanceof LostFolder) return error;
  const code = systemCode(error);
  if (code === undefined) return undefined;
  try {
    record.checkFolder();
  } catch (lost) {
    if (lost instanceof LostFolder) return lost;
  }
  return unwritable.has(code) ? { message: (error as Error).message } : undefined;
}

/**
 * What disks and folders answer that cannot be written any more. A full one is another matter: it has the checkpoints.
 */
const unwritable = new Set(
  'EACCES EPERM EROFS EIO ESTALE ENODEV ENXIO ENOTCONN ECONNABORTED EREMOTEIO ETIMEDOUT ENOTDIR'.split(' '),
);

function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, syscall } = error as NodeJS.ErrnoException;
  return syscall === undefined ? systemCode(error.cause) : code;
}

/** A run folder among the temporary files, that this user alone can read. Errors: UserError. */
async function temporaryRunFolder({ record, bytes }: StoppedRun): Promise<RunFolder> {
  await requireWritable(tmpdir(), bytes);
  const path = await mkdtemp(join(tmpdir(), `reanchor-${basename(record.folder.path)}-`));
  await writeFileAtomic(join(path, 'run.json'), record.info);
  return runFolder(path);
}
