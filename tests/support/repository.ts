import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repositoryRoot = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** The folder of real data, or undefined where there is none: REANCHOR_DATA, else ../shared/data. */
export const dataFolder = [process.env.REANCHOR_DATA, join(repositoryRoot, '../shared/data')].find(
  (folder) => folder && existsSync(join(folder, 'README.md')),
);

export const fixtures = join(repositoryRoot, 'tests/fixtures');

/** All TypeScript and C++ files below a folder of the repository, without builds, fixtures and installed packages. */
export function sourceFiles(folder: string): string[] {
  const absolute = join(repositoryRoot, folder);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute, { withFileTypes: true }).flatMap((entry) => {
    if (['node_modules', 'dist', 'fixtures'].includes(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sourceFiles(path);
    return /\.(ts|tsx|cc|h|py)$/.test(entry.name) ? [join(repositoryRoot, path)] : [];
  });
}
