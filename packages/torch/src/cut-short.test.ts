import { copyFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { addonFile } from './build.js';
import { isCutShort } from './cut-short.js';
import { locateForLoad } from './locate.js';
import { scratch } from './testing/fakes.js';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));

test.skipIf(process.platform !== 'linux')(
  'a library that lacks its end, by a byte or by most of it, is cut short',
  () => {
    const library = join(folder, 'x.so');
    copyFileSync(addonFile(locateForLoad()), library);
    expect(isCutShort(library)).toBe(false);
    const { size } = statSync(library);
    for (const left of [size - 1, size / 2, 64, 0]) {
      truncateSync(library, Math.floor(left));
      expect(isCutShort(library)).toBe(true);
    }
  },
);

test('what is no such library is not called cut short', () => {
  for (const text of ['x', '#!/bin/sh\n'.repeat(100), '\x7fELF\x01\x01']) {
    writeFileSync(join(folder, 'y.so'), text, 'latin1');
    expect(isCutShort(join(folder, 'y.so'))).toBe(false);
  }
});
