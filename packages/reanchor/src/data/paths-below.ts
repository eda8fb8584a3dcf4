/** What lies in a folder of rows: somebody else may have packed it. */
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import { isBelow } from '../formats/index.js';

/**
 * The files below a folder, as paths in it with `/` between their parts, sorted. No link leads out of the folder, but
 * in a snapshot of the Hub's cache, which consists of links to its own blobs; a link to a folder inside is passed over,
 * since what it shows is there anyway. Errors: UserError for a link that leads out; those of the system.
 */
export function pathsBelow(folder: string): string[] {
  const root = realpathSync(folder);
  const allowed = [root, ...blobsOf(root)];
  const found: string[] = [];
  const look = (prefix: string): void => {
    for (const entry of readdirSync(join(folder, prefix), { withFileTypes: true })) {
      const path = `${prefix}${entry.name}`;
      if (entry.isDirectory()) look(`${path}/`);
      else if (!entry.isSymbolicLink() || leadsToFile(folder, path, allowed)) found.push(path);
    }
  };
  look('');
  return found.sort();
}

function leadsToFile(folder: string, path: string, allowed: readonly string[]): boolean {
  const link = join(folder, path);
  let target: string;
  try {
    target = realpathSync(link);
  } catch {
    return true; // It leads nowhere, as who reads it will say.
  }
  if (allowed.some((root) => isBelow(root, target))) return !statSync(target).isDirectory();
  throw new UserError(
    `${link} is a link that leads out of ${folder}: put a copy there, or name in the recipe what it leads to`,
  );
}

/** The blobs of the repository that a folder of the Hub's cache is a snapshot of. */
function blobsOf(folder: string): string[] {
  const [, repository] = /^(.*\/datasets--[^/]+)\/snapshots\/[0-9a-f]{40}(?:\/|$)/.exec(folder) ?? [];
  return repository === undefined ? [] : [join(repository, 'blobs')];
}
