import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SetupError } from './errors.js';
import {
  cacheFolder,
  installFolder,
  locateForLoad,
  locateLibtorch,
  rememberLocated,
  searchLibtorch,
  THREE_WAYS,
} from './locate.js';
import { native } from './native.js';
import { fakeLibtorch, fakePython, file, scratch } from './testing/fakes.js';

let folder: string;
let bin: string;

beforeEach(() => {
  folder = scratch();
  bin = join(folder, 'bin');
  vi.stubEnv('REANCHOR_CACHE', join(folder, 'cache'));
  vi.stubEnv('REANCHOR_LIBTORCH', '');
  vi.stubEnv('PATH', bin);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

test('the cache folder is REANCHOR_CACHE, else XDG_CACHE_HOME/reanchor, else ~/.cache/reanchor', () => {
  expect(cacheFolder()).toBe(join(folder, 'cache'));
  vi.stubEnv('REANCHOR_CACHE', '');
  vi.stubEnv('XDG_CACHE_HOME', '/x');
  expect(cacheFolder()).toBe('/x/reanchor');
  vi.stubEnv('XDG_CACHE_HOME', '');
  vi.stubEnv('HOME', '/home/me');
  expect(cacheFolder()).toBe('/home/me/.cache/reanchor');
});

test('REANCHOR_LIBTORCH comes before the active Python, which comes before the cache', () => {
  const cached = fakeLibtorch(installFolder(), '2.13.0', '+cpu');
  expect(locateLibtorch()).toEqual({ way: 'cache', folder: cached, version: '2.13.0+cpu' });

  const site = fakeLibtorch(join(folder, 'site/torch'), '2.12.1', '+cu130');
  fakePython(bin, { torch: site });
  expect(locateLibtorch()).toEqual({ way: 'python', folder: site, version: '2.12.1+cu130' });

  const own = fakeLibtorch(join(folder, 'own'), '2.14.0');
  vi.stubEnv('REANCHOR_LIBTORCH', own);
  expect(locateLibtorch()).toEqual({ way: 'REANCHOR_LIBTORCH', folder: own, version: '2.14.0' });
});

test('a Python whose torch is too old is passed over, and the search says so', () => {
  fakePython(bin, { torch: fakeLibtorch(join(folder, 'site/torch'), '2.10.3') });
  const cached = fakeLibtorch(installFolder());
  const { located, rejected } = searchLibtorch();
  expect(located?.folder).toBe(cached);
  expect(rejected).toEqual([
    { way: 'REANCHOR_LIBTORCH', why: 'the variable is not set' },
    { way: 'python', why: `${join(folder, 'site/torch')} is libtorch 2.10.3, older than 2.11` },
  ]);
});

test('a folder named by REANCHOR_LIBTORCH that does not work is an error, not passed over', () => {
  fakeLibtorch(installFolder());
  for (const [path, why] of [
    [join(folder, 'absent'), /absent does not exist/],
    [fakeLibtorch(join(folder, 'old'), '1.13.1'), /is libtorch 1.13.1, older than 2.11/],
    [join(file(join(folder, 'half/lib/libtorch_cpu.so'), 'x'), '../..'), /holds no version.h/],
    [join(file(join(folder, 'empty/x')), '..'), /lib\/libtorch_cpu.so does not exist/],
  ] as const) {
    vi.stubEnv('REANCHOR_LIBTORCH', path);
    expect(() => locateLibtorch()).toThrow(SetupError);
    expect(() => locateLibtorch()).toThrow(why);
  }
});

test('where there is none, the error says what was tried and names the three ways', () => {
  expect(() => locateLibtorch()).toThrow(
    `no libtorch >= 2.11 was found:
  REANCHOR_LIBTORCH: the variable is not set
  python: no python3 or python on PATH
  cache: ${installFolder()} does not exist
${THREE_WAYS}`,
  );
  fakePython(bin);
  expect(() => locateLibtorch()).toThrow(/python: .*python3 has no torch package/);
});

test('a start trusts what setup found, until the environment or the folder changes', () => {
  const log = join(folder, 'log');
  const site = fakeLibtorch(join(folder, 'site/torch'));
  fakePython(bin, { torch: site, log });
  const starts = () => readFileSync(log, 'utf8').match(/^-I -c /gm)?.length;

  rememberLocated(locateLibtorch());
  expect(locateForLoad()).toEqual({ way: 'python', folder: site, version: '2.13.0' });
  expect(starts()).toBe(1);

  vi.stubEnv('VIRTUAL_ENV', '/other');
  locateForLoad();
  expect(starts()).toBe(2);
  vi.stubEnv('VIRTUAL_ENV', undefined);

  rmSync(site, { recursive: true });
  const cached = fakeLibtorch(installFolder());
  expect(locateForLoad().folder).toBe(cached);

  const own = fakeLibtorch(join(folder, 'own'));
  vi.stubEnv('REANCHOR_LIBTORCH', own);
  expect(locateForLoad().folder).toBe(own);
});

test('making a tensor without libtorch, or without the compiled addon, says what to run', () => {
  expect(() => native()).toThrow(/npx reanchor setup/);
  fakeLibtorch(installFolder());
  expect(() => native()).toThrow(
    /libtorch 2.13.0 was found in .*, but the addon has not been compiled. Run: npx reanchor setup/,
  );
});
