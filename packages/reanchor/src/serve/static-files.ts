/** The page: the built files of @reanchor/dashboard, held in memory. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../errors.js';

export interface StaticFile {
  bytes: Uint8Array<ArrayBuffer>;
  type: string;
  etag: string;
}

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The files by their path in the URL (`/index.html`). Errors: UserError when the page has not been built. */
export async function pageFiles(): Promise<Map<string, StaticFile>> {
  const folder = join(dirname(fileURLToPath(import.meta.resolve('@reanchor/dashboard/package.json'))), 'dist');
  const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = names.filter((entry) => entry.isFile() && types[extname(entry.name)]);
  const read = await Promise.all(
    files.map(async (entry): Promise<[string, StaticFile]> => {
      const path = join(entry.parentPath, entry.name);
      const bytes = Uint8Array.from(await readFile(path));
      const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
      return [path.slice(folder.length).replaceAll('\\', '/'), { bytes, type: types[extname(path)]!, etag }];
    }),
  );
  if (!read.some(([path]) => path === '/index.html')) {
    throw new UserError(`the page of the dashboard is not in ${folder}: build it with npm run build`);
  }
  return new Map(read);
}
