import { createHash } from 'node:crypto';
import { FormatError } from '../errors.js';
import { createReadStream } from './regular-file.js';

/** The SHA-256 of a file, in hexadecimal. Errors: FormatError for one that cannot be read; the signal's reason. */
export async function sha256(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 22 })) {
      signal?.throwIfAborted();
      hash.update(piece as Buffer);
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw new FormatError(`it cannot be read: ${(cause as Error).message}`, { file: path, cause });
  }
  return hash.digest('hex');
}
