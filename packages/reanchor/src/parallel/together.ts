/** How processes that do one work begin it: rank 0 first, and all with the same. Without a world a process is alone. */
import type { ProcessGroup } from '@reanchor/torch';
import { UserError } from '../errors.js';
import { tell } from './tell.js';

export type { ProcessGroup };

/** Whether this process is the one that writes and prints. */
export const leads = (world: ProcessGroup | undefined): boolean => world === undefined || world.rank === 0;

/**
 * What `work` gives here. Rank 0 does it before the others, so that what is wrong for all is said once. Errors: those
 * of `work`; DistributedError.
 */
export async function afterRankZero<T>(world: ProcessGroup | undefined, work: () => Promise<T>): Promise<T> {
  if (!leads(world)) tell(world);
  const result = await work();
  if (leads(world)) tell(world);
  return result;
}

/** By name, what stands for what a process reads. */
export type Digests = Readonly<Record<string, string>>;

/** Makes sure that this process reads what rank 0 does. Errors: UserError that names what differs; DistributedError. */
export function requireSame(world: ProcessGroup | undefined, own: Digests): void {
  if (world === undefined) return;
  requireEqual(tell(world, own), own, world);
}

/** Errors: UserError that names what this process reads otherwise than rank 0. */
export function requireEqual(expected: Digests, own: Digests, { rank }: ProcessGroup): void {
  const names = [...new Set([...Object.keys(expected), ...Object.keys(own)])];
  const different = names.filter((name) => expected[name] !== own[name]);
  if (different.length === 0) return;
  throw new UserError(
    (option) =>
      `${different.map(option).join(', ')}: rank ${rank} reads something else than rank 0: give all processes the same files and settings`,
  );
}
