import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addonKey } from './build.js';
import { findPrebuilt, libraryPlaceholder, placeLibrary, prebuiltPackages } from './prebuilt.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reanchor-prebuilt-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const name = prebuiltPackages[`${process.platform} ${process.arch}`];

test.skipIf(name === undefined)('a published addon is found beside who asks, if it is of the same key', () => {
  const asker = join(folder, 'asker.js');
  const key = addonKey({ version: '2.13.0+cpu' });
  expect(findPrebuilt(key, asker)).toEqual({ why: `${name} is not installed` });
  const installed = join(folder, 'node_modules', name!);
  mkdirSync(join(installed, key), { recursive: true });
  writeFileSync(join(installed, 'package.json'), JSON.stringify({ name, version: '1.2.3' }));
  expect(findPrebuilt(key, asker)).toEqual({
    why: `${name} 1.2.3 has none for this libtorch and this version of @reanchor/torch`,
  });
  const file = join(installed, key, 'reanchor_torch.node');
  writeFileSync(file, '');
  expect(findPrebuilt(key, asker)).toEqual({ file, from: `${name} 1.2.3` });
  expect(findPrebuilt(addonKey({ version: '2.14.0+cpu' }), asker)).toHaveProperty('why');
});

test('the key is of the version of libtorch', () => {
  expect(addonKey({ version: '2.13.0' })).toMatch(/^torch-2\.13\.0-[0-9a-f]{16}$/);
  expect(addonKey({ version: '2.13.0' }).slice(-16)).not.toBe(addonKey({ version: '2.14.0' }).slice(-16));
});

test('the folder of libtorch takes its place in the bytes, which keep their number', () => {
  const addon = Buffer.from(`\0before\0${libraryPlaceholder}\0after\0`);
  const placed = placeLibrary(addon, '/a/böse folder/lib');
  expect(placed.length).toBe(addon.length);
  expect(placed.toString().replace(/\0+/g, '|')).toBe('|before|/a/böse folder/lib|after|');
  expect(() => placeLibrary(Buffer.from('else'), '/lib')).toThrow('it has no place for the folder of libtorch');
  expect(() => placeLibrary(addon, `/${'x'.repeat(1100)}`)).toThrow('the folder of libtorch has a name of 1101 bytes');
});
