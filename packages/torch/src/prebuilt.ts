/** Addons that are published compiled, in a package for one platform. Nothing here loads native code. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The packages with addons, by their platforms. */
export const prebuiltPackages: Readonly<Record<string, string>> = { 'linux x64': '@reanchor/torch-linux-x64-gnu' };

/**
 * Stands in a published addon where a compiled one has the folder of libtorch's libraries; long enough for any folder.
 * Its end is that of no other string of the file, since linkers keep such strings once.
 */
export const libraryPlaceholder = `/${'x'.repeat(1000)}-libtorch-of-reanchor`;

/** An addon that a package of this platform has, and the package with its version. */
export interface Prebuilt {
  file: string;
  from: string;
}

/** The published addon of a key (see `addonKey`), or why there is none; `from` is who asks. */
export function findPrebuilt(key: string, from: string = import.meta.url): Prebuilt | { why: string } {
  const platform = `${process.platform} ${process.arch}`;
  const name = prebuiltPackages[platform];
  if (name === undefined) return { why: `none is published for ${platform}` };
  let manifest: string;
  try {
    manifest = createRequire(from).resolve(`${name}/package.json`);
  } catch {
    return { why: `${name} is not installed` };
  }
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  const file = join(dirname(manifest), key, 'reanchor_torch.node');
  if (existsSync(file)) return { file, from: `${name} ${version}` };
  return { why: `${name} ${version} has none for this libtorch and this version of @reanchor/torch` };
}

/**
 * A published addon as it is loaded with the libtorch in `lib`. Errors: RangeError for a file that is none, and for a
 * folder whose name is longer than the place for it.
 */
export function placeLibrary(addon: Buffer, lib: string): Buffer {
  const place = Buffer.from(libraryPlaceholder);
  const start = addon.indexOf(place);
  const path = Buffer.from(lib);
  if (start === -1) throw new RangeError('it has no place for the folder of libtorch');
  if (path.length > place.length) throw new RangeError(`the folder of libtorch has a name of ${path.length} bytes`);
  const placed = Buffer.from(addon);
  placed.fill(0, start, start + place.length);
  path.copy(placed, start);
  return placed;
}
