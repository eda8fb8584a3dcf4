// A folder from elsewhere holds what Python, pip, the compiler and the loader would take from the folder they are in.
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { buildAddon } from './build.js';
import { cacheFolder, locateLibtorch, searchLibtorch } from './locate.js';
import { findExecutable } from './programs.js';
import { doctor, SetupError, setup } from './setup.js';
import { fakeCompiler, fakeLibtorch, fakeProgram, file, scratch } from './testing/fakes.js';

const hasPython = findExecutable('python3') !== undefined;
const here = process.cwd();
let folder: string;
/** The folder from elsewhere. */
let clone: string;

/** The names of what ran that should not. */
const ran = () => readdirSync(folder).filter((name) => name.startsWith('RAN'));
const leavesTrace = (name: string) => `open(${JSON.stringify(join(folder, `RAN-${name}`))}, 'w').close()\n`;

beforeEach(() => {
  folder = realpathSync(scratch());
  clone = join(folder, 'clone');
  for (const name of ['importlib', 'contextlib', 'functools', 'os', 'site', 'sitecustomize', 'usercustomize']) {
    file(join(clone, `${name}.py`), leavesTrace(name));
  }
  file(join(clone, 'pip/__init__.py'));
  file(join(clone, 'pip/__main__.py'), `${leavesTrace('pip')}print('pip 99')`);
  fakeLibtorch(join(clone, 'torch'));
  file(join(clone, 'torch/__init__.py'), leavesTrace('torch'));
  for (const name of ['python3', 'python', 'c++', 'g++', 'clang++']) {
    fakeProgram(join(clone, name), `: > '${folder}/RAN-${name}'`);
  }
  process.chdir(clone);
  vi.stubEnv('REANCHOR_CACHE', join(folder, 'cache'));
  vi.stubEnv('REANCHOR_LIBTORCH', '');
  vi.stubEnv('CXX', '');
});

afterEach(() => {
  process.chdir(here);
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

describe.skipIf(!hasPython)('with the Python of this machine', () => {
  /** A Python without pip and torch. */
  const bare = realpathSync(scratch());
  beforeAll(() => {
    execFileSync(findExecutable('python3')!, ['-I', '-m', 'venv', '--without-pip', bare], { cwd: '/' });
  });
  afterAll(() => rmSync(bare, { recursive: true }));
  const takeBare = () => vi.stubEnv('PATH', [join(bare, 'bin'), process.env.PATH].join(delimiter));

  test.each([
    {},
    { PYTHONPATH: '' },
    { PYTHONPATH: ':' },
    { PYTHONPATH: '.' },
    { PYTHONSAFEPATH: '' },
    { PYTHONUSERBASE: '.' },
    { PYTHONHOME: '.' },
    { PYTHONSTARTUP: 'os.py' },
  ])('neither ./importlib.py nor ./torch is taken, with %j', async (variables) => {
    takeBare();
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
    expect(searchLibtorch()).toMatchObject({
      located: undefined,
      rejected: [{}, { way: 'python', why: expect.stringMatching(/python3 has no torch package$/) }, {}],
    });
    expect((await doctor()).libtorch).toBeUndefined();
    expect(ran()).toEqual([]);
  });

  test('./pip is not the pip that setup runs', async () => {
    takeBare();
    await expect(setup()).rejects.toThrow(/no Python with pip was found \(python3|python3: .*No module named pip/);
    expect(ran()).toEqual([]);
  });

  test('torch in a folder that PYTHONPATH names, and among the user’s own packages, is found as before', () => {
    const named = fakeLibtorch(join(folder, 'named/torch'), '2.13.0', '+cpu');
    vi.stubEnv('PYTHONPATH', `:${join(folder, 'named')}`);
    expect(locateLibtorch()).toEqual({ way: 'python', folder: named, version: '2.13.0+cpu' });
    vi.stubEnv('PYTHONPATH', undefined);

    vi.stubEnv('PYTHONUSERBASE', join(folder, 'base'));
    const ask = ['-c', 'import site; print(site.getusersitepackages())'];
    const packages = execFileSync(findExecutable('python3')!, ['-I', ...ask], { encoding: 'utf8' }).trim();
    const own = fakeLibtorch(join(packages, 'torch'), '2.12.0');
    file(join(own, '__init__.py'));
    expect(locateLibtorch().folder).toBe(own);
    vi.stubEnv('PYTHONNOUSERSITE', '1');
    expect(searchLibtorch().located?.folder).not.toBe(own);
    expect(ran()).toEqual([]);
  });
});

test.each(['.', '', ':', './'])('no Python and no compiler comes from a PATH of %j', async (path) => {
  vi.stubEnv('PATH', path);
  await expect(setup()).rejects.toThrow(/no Python with pip was found \(python3: not on PATH; python: not on PATH\)/);
  const located = { way: 'cache', folder: fakeLibtorch(join(folder, 'own')), version: '2.13.0' } as const;
  await expect(buildAddon(located)).rejects.toThrow(/no C\+\+ compiler was found/);
  for (const given of ['./c++', 'c++', '../clone/c++']) {
    vi.stubEnv('CXX', given);
    await expect(buildAddon(located)).rejects.toThrow(`no C++ compiler was found (CXX=${given})`);
  }
  expect(ran()).toEqual([]);
});

test('the compiler is started away from the current folder, whose headers are not those of Node', async () => {
  const bin = join(folder, 'bin');
  fakeCompiler(bin);
  const compiler = fakeProgram(join(bin, 'own'), `pwd > '${folder}/where'; echo "$*" > '${folder}/with'\nexit 1`);
  vi.stubEnv('CXX', compiler);
  vi.stubEnv('HOME', '.');
  file(join(clone, '.cache/node-gyp', process.version.slice(1), 'include/node/node_api.h'));
  const located = { way: 'cache', folder: fakeLibtorch(join(folder, 'own')), version: '2.13.0' } as const;
  await expect(buildAddon(located)).rejects.toThrow(SetupError);
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  expect(read('where').startsWith(join(folder, 'cache'))).toBe(true);
  const included = read('with')
    .split(' ')
    .filter((flag) => /^-[IL]/.test(flag));
  expect(included).not.toEqual([]);
  expect(included.filter((flag) => !/^-[IL]\//.test(flag))).toEqual([]);
});

test('a folder of code that is not absolute is refused by its name, and XDG_CACHE_HOME counts as none', () => {
  for (const path of ['torch', './torch', '.']) {
    vi.stubEnv('REANCHOR_LIBTORCH', path);
    expect(() => locateLibtorch()).toThrow(`REANCHOR_LIBTORCH is "${path}": code is run from there`);
    vi.stubEnv('REANCHOR_CACHE', path);
    expect(() => cacheFolder()).toThrow(`REANCHOR_CACHE is "${path}": code is run from there`);
    vi.stubEnv('REANCHOR_CACHE', join(folder, 'cache'));
  }
  vi.stubEnv('REANCHOR_CACHE', '');
  vi.stubEnv('XDG_CACHE_HOME', '.');
  vi.stubEnv('HOME', folder);
  expect(cacheFolder()).toBe(join(folder, '.cache/reanchor'));
  vi.stubEnv('HOME', '.');
  expect(() => cacheFolder()).toThrow('HOME is "."');
});

test('native code of the current folder is not loaded, though LD_LIBRARY_PATH leads there', () => {
  vi.stubEnv('REANCHOR_CACHE', undefined);
  const compiler = findExecutable('cc', 'gcc', 'clang')!;
  const source = file(
    join(folder, 'planted.c'),
    `#include <stdio.h>\n__attribute__((constructor)) static void go(void) { fclose(fopen("${folder}/RAN-native", "w")); }\n`,
  );
  for (const name of ['libtorch.so', 'libtorch_cpu.so', 'libc10.so']) {
    execFileSync(compiler, ['-shared', '-fPIC', source, '-o', join(clone, name), `-Wl,-soname,${name}`]);
  }
  const code = `import { native } from ${JSON.stringify(new URL('native.ts', import.meta.url).href)}; native();`;
  const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '--eval', code];
  const env = { ...process.env, LD_LIBRARY_PATH: `:.:${clone}` };
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: clone, encoding: 'utf8', env });
  expect({ status, stderr, ran: ran() }).toEqual({ status: 0, stderr: '', ran: [] });
});
