import { randomBytes } from 'node:crypto';

/** A new name for what is not yet, or no longer, at `target`. */
export const temporaryName = (target: string) => `${target}.tmp-${randomBytes(6).toString('hex')}`;

/** Whether a name is one under which something is being written, or deleted. */
export const isTemporary = (name: string) => /\.tmp-[0-9a-f]{12}$/.test(name);
