import { readFileSync, statSync } from 'node:fs';

/** The bytes of a regular file; undefined of anything else, such as a pipe, which would be waited for. */
export function readIfFile(path: string): Buffer | undefined {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ? readFileSync(path) : undefined;
}
