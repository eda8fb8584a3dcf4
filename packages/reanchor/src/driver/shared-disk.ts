import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { ProcessGroup } from '@reanchor/torch';
import { UserError, unreadable } from '../errors.js';
import { readFile, temporaryName, writeFileAtomic } from '../formats/index.js';
import { gather, tell } from '../parallel/tell.js';
import { existingParent } from './output-folder.js';

/**
 * Makes sure that all processes see the disk of the run folder `out`, by a small file beside it that rank 0 writes and
 * the others look for. All have to call it, and all fail together. Errors: UserError that names the ranks that do not
 * see it; DistributedError.
 */
export async function requireSharedDisk(world: ProcessGroup, out: string): Promise<void> {
  if (world.world === 1) return;
  const own = world.rank === 0 ? join(existingParent(out), temporaryName('reanchor-shared')) : undefined;
  if (own !== undefined) await writeFileAtomic(own, hostname());
  try {
    const file = tell(world, own);
    const answers = gather(world, await answerOf(file!));
    const blind = [...answers.entries()].filter(([, { problem }]) => problem !== undefined);
    const [first] = blind;
    if (first === undefined) return;
    const ranks = blind.map(([rank, { host }]) => `rank ${rank} on ${host}`).join(', ');
    throw new UserError(
      (option) =>
        `the run folder ${out} is not on a disk that all processes share: rank 0 on ${answers[0]!.host} has written a file that is not there for ${ranks} (${first[1].problem}). Every process writes its part of a checkpoint: name a folder (${option('out')}) that all of them see by the same path`,
    );
  } finally {
    if (own !== undefined) await rm(own, { force: true });
  }
}

async function answerOf(file: string): Promise<{ host: string; problem?: string }> {
  try {
    await readFile(file);
    return { host: hostname() };
  } catch (error) {
    return { host: hostname(), problem: unreadable(file, error) };
  }
}
