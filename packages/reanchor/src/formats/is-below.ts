import { relative, sep } from 'node:path';

/** Whether a path is a folder or lies below it, by the names in it; of paths with links, give the real ones. */
export function isBelow(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`);
}
