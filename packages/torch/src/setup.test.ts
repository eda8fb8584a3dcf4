import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { requireSpace } from './install.js';
import { cacheFolder, installFolder, THREE_WAYS } from './locate.js';
import { native } from './native.js';
import { ncclHeaders } from './nccl.js';
import { ownIdentity } from './process-identity.js';
import { describeDoctor, doctor, SetupError, setup } from './setup.js';
import { fakeCompiler, fakeLibtorch, fakeProgram, fakePython, file, PIP_INSTALLS, scratch } from './testing/fakes.js';
import { versionProblem } from './try-load.js';

let folder: string;
let bin: string;
let lines: string[];
const run = () => setup({ log: (line) => lines.push(line) });

beforeEach(() => {
  folder = scratch();
  bin = join(folder, 'bin');
  lines = [];
  vi.stubEnv('REANCHOR_CACHE', join(folder, 'cache'));
  vi.stubEnv('REANCHOR_LIBTORCH', '');
  vi.stubEnv('CXX', '');
  vi.stubEnv('PATH', bin);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

async function failure(): Promise<string> {
  const error = await run().then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(SetupError);
  const { message } = error as SetupError;
  // Nothing half-done stays behind.
  const left = existsSync(cacheFolder()) ? readdirSync(cacheFolder()) : [];
  expect(left.filter((name) => /tmp|lock/.test(name))).toEqual([]);
  return message;
}

describe('setup', () => {
  test('installs the wheel, keeps what a program needs of it, compiles; a second run does nothing and says so in one line', async () => {
    fakePython(bin, { pip: PIP_INSTALLS });
    fakeCompiler(bin);
    const first = await run();
    expect(first).toMatchObject({
      installed: true,
      made: 'compiled',
      located: { way: 'cache', version: '2.13.0+cpu' },
    });
    expect(lines.length).toBe(3);
    expect(readdirSync(installFolder()).sort()).toEqual(['include', 'lib', 'version.py']);
    expect(readdirSync(join(installFolder(), 'lib'))).toEqual(['libtorch_cpu.so']);
    expect(readdirSync(cacheFolder()).sort()).toEqual(['addon', 'libtorch-2.13.0', 'located.json']);

    lines = [];
    expect(await run()).toMatchObject({ installed: false, made: 'ready', addon: first.addon });
    expect(lines).toEqual([`libtorch 2.13.0+cpu (cache: ${installFolder()}), addon up to date`]);
  });

  test('two at once install once and corrupt nothing', async () => {
    const log = join(folder, 'log');
    fakePython(bin, { pip: PIP_INSTALLS, log });
    fakeCompiler(bin);
    const results = await Promise.all([run(), run(), run()]);
    expect(results.filter((r) => r.made === 'compiled').length).toBe(1);
    const installs = execFileSync('/usr/bin/grep', ['-c', '--', '--target', log], { encoding: 'utf8' });
    expect(installs.trim()).toBe('1');
    expect(lines.some((line) => line.startsWith('waiting for another setup'))).toBe(true);
  });

  test('what a process that was killed left behind is cleared away', async () => {
    const pid = spawnSync('/bin/true').pid;
    const dead = JSON.stringify({ ...ownIdentity(), pid });
    file(join(cacheFolder(), 'install.lock'), dead);
    file(join(cacheFolder(), 'build.lock'), dead);
    file(join(cacheFolder(), `libtorch-2.13.0.tmp-${pid}`, 'site', 'x'));
    file(join(cacheFolder(), 'libtorch-2.13.0.tmp-0123456789ab', 'site', 'x'));
    file(join(cacheFolder(), 'addon', 'torch-2.13.0-0123.tmp-0123456789ab', 'x'));
    fakePython(bin, { pip: PIP_INSTALLS });
    fakeCompiler(bin);
    await run();
    expect(readdirSync(cacheFolder()).sort()).toEqual(['addon', 'libtorch-2.13.0', 'located.json']);
    expect(readdirSync(join(cacheFolder(), 'addon')).length).toBe(1);
    expect(lines.filter((line) => line.startsWith('waiting'))).toEqual([]);
  });

  const pipe = (path: string) => {
    rmSync(path);
    spawnSync('/usr/bin/mkfifo', [path]);
  };

  test('an addon that was changed since it was compiled is not loaded, and compiled anew by the next setup', async () => {
    fakeCompiler(bin);
    vi.stubEnv('REANCHOR_LIBTORCH', fakeLibtorch(join(folder, 'a')));
    const { addon } = await run();
    for (const spoil of [
      () => file(addon, 'x'),
      () => rmSync(`${addon}.sha256`),
      () => file(`${addon}.sha256`),
      () => pipe(addon),
    ]) {
      spoil();
      const problem = `the addon ${addon} is not what was compiled: something has changed it since. Run: npx reanchor setup`;
      expect((await doctor()).problem).toBe(problem);
      expect(() => native()).toThrow(problem);
      expect(await run()).toMatchObject({ addon, made: 'compiled' });
      expect(await run()).toMatchObject({ addon, made: 'ready' });
    }
  });

  test('an installation that was cut short is none: it is told, and made anew', async () => {
    fakePython(bin, { pip: PIP_INSTALLS });
    fakeCompiler(bin);
    await run();
    const library = join(installFolder(), 'lib/libtorch_cpu.so');
    const header = Buffer.alloc(64);
    header.write('\x7fELF\x02\x01', 'latin1');
    header.writeBigUInt64LE(1_000_000n, 0x28);
    writeFileSync(library, header);
    const why = `${library} is cut short: copy or install libtorch again`;
    expect((await doctor()).rejected).toContainEqual({ way: 'cache', why });
    expect(() => native()).toThrow(`cache: ${why}`);
    expect(await run()).toMatchObject({ installed: true, located: { way: 'cache' } });
    expect(await run()).toMatchObject({ installed: false });
  });

  test('an addon that cannot be loaded is told by setup, with the words of the loader and what to do', async () => {
    const own = fakeLibtorch(join(folder, 'a'));
    vi.stubEnv('REANCHOR_LIBTORCH', own);
    fakeCompiler(bin, file(join(folder, 'text'), '<html>404</html>'.repeat(100)));
    const words = String.raw`the addon was compiled for ${own}, but cannot be loaded \(.*(invalid ELF header|not a mach-o|slice).*\)`;
    for (let i = 0; i < 2; i++) {
      await expect(run()).rejects.toThrow(new RegExp(`${words}. It seems .* install it anew, and run setup again`));
    }
    vi.stubEnv('REANCHOR_LIBTORCH', '');
    fakePython(bin, { pip: PIP_INSTALLS });
    await expect(run()).rejects.toThrow(`libtorch: remove ${installFolder()}, and run setup again`);
    expect(lines.at(-1)).toMatch(/^compiling/);
  });

  test('headers and libraries of two versions are told', () => {
    const config = { compiledFor: '2.14.0', build: 'PyTorch built with: TORCH_VERSION=2.13.0, USE_CUDA=0' };
    expect(versionProblem(config, '/lib')).toBe(
      'its headers are those of libtorch 2.14.0, and /lib holds libraries of 2.13.0',
    );
    expect(versionProblem({ ...config, compiledFor: '2.13.0+cpu' }, '/lib')).toBeUndefined();
  });

  test('a CUDA libtorch is compiled for with NCCL where the headers are, and without where that fails', async () => {
    const log = join(folder, 'log');
    const torch = fakeLibtorch(join(folder, 'a', 'torch'), '2.13.0', '+cu130');
    vi.stubEnv('REANCHOR_LIBTORCH', torch);
    vi.stubEnv('CUDA_HOME', '');
    const arguments_ = () => readFileSync(log, 'utf8').trim().split('\n');
    fakeCompiler(bin, undefined, log);
    const without = await run();
    expect(arguments_().at(-1)).not.toMatch(/NCCL|torch_cuda/);
    file(join(torch, 'lib', 'libtorch_cuda.so'), 'fake');
    for (const [wheel, header] of [
      ['nccl', 'nccl.h'],
      ...['cuda_runtime_api.h', 'cublas_v2.h', 'cusolverDn.h', 'cusparse.h', 'crt/host_config.h'].map((h) => [
        'cu13',
        h,
      ]),
    ] as [string, string][]) {
      file(join(folder, 'a', 'nvidia', wheel, 'include', header));
    }
    expect(ncclHeaders({ folder: torch }, [])).toEqual({
      why: expect.stringMatching(/^nv\/target not found beside libtorch .*Install nvidia-cuda-cccl beside it/),
    });
    file(join(folder, 'a', 'nvidia/cu13/include/cccl/nv/target'));
    const withNccl = await run();
    expect(withNccl).toMatchObject({ made: 'compiled' });
    expect(withNccl.addon).not.toBe(without.addon);
    expect(arguments_().at(-1)).toMatch(/-DREANCHOR_NCCL .*nvidia\/nccl\/include .*cu13\/include\/cccl .*-ltorch_cuda/);

    rmSync(withNccl.addon);
    fakeCompiler(bin, undefined, log, 'case "$*" in *NCCL*) echo "x.h: error: no ncclComm" >&2; exit 1;; esac');
    expect(await run()).toMatchObject({ made: 'compiled', addon: withNccl.addon });
    expect(lines).toContain('the addon cannot be compiled with NCCL, and is compiled without: x.h: error: no ncclComm');
  });

  test('another libtorch gets an addon of its own', async () => {
    fakeCompiler(bin);
    vi.stubEnv('REANCHOR_LIBTORCH', fakeLibtorch(join(folder, 'a')));
    const a = await run();
    vi.stubEnv('REANCHOR_LIBTORCH', fakeLibtorch(join(folder, 'b'), '2.12.0'));
    const b = await run();
    expect([a.made, b.made, a.addon === b.addon]).toEqual(['compiled', 'compiled', false]);
  });
});

describe('errors name the three ways', () => {
  test('no Python', async () => {
    const message = await failure();
    expect(message).toMatch(/no Python with pip was found \(python3: not on PATH; python: not on PATH\)/);
    expect(message).toContain(THREE_WAYS);
  });

  test('Python without pip', async () => {
    fakeProgram(
      join(bin, 'python3'),
      'if [ "$2" = -m ]; then echo "/usr/bin/python3: No module named pip" >&2; exit 1; fi; echo',
    );
    const message = await failure();
    expect(message).toMatch(/python3: \/usr\/bin\/python3: No module named pip/);
    expect(message).toContain(THREE_WAYS);
  });

  test('pip finds no wheel: every attempt with pip’s own words', async () => {
    fakePython(bin, { pip: 'echo "ERROR: No matching distribution found for torch==2.13.0"; exit 1' });
    const message = await failure();
    expect(message).toMatch(/torch==2.13.0\+cpu: ERROR: No matching distribution/);
    expect(message).toMatch(/torch==2.13.0\+cpu from https:\/\/download.pytorch.org\/whl\/cpu: ERROR/);
    expect(message).toContain(THREE_WAYS);
  });

  test('a disk that fills up while pip works', async () => {
    fakePython(bin, { pip: 'echo "ERROR: Could not install packages: [Errno 28] No space left on device"; exit 1' });
    const message = await failure();
    expect(message).toMatch(/the disk of .* filled up while libtorch was being installed; nothing half-done was left/);
    expect(message).toMatch(/REANCHOR_CACHE to a folder on another disk/);
    expect(message).toContain(THREE_WAYS);
  });

  /** A file system of a few kilobytes, full; undefined where none can be mounted. */
  function fullDisk(): string | undefined {
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    const { status } = spawnSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=8k', 'tmpfs', disk]);
    if (status !== 0) return undefined;
    writeFileSync(join(disk, 'filler'), Buffer.alloc(8192));
    return disk;
  }

  test('a disk that is full before anything begins, wherever setup writes first', async (context) => {
    const disk = fullDisk();
    if (disk === undefined) return context.skip();
    try {
      for (const cache of [disk, join(disk, 'deep', 'cache')]) {
        vi.stubEnv('REANCHOR_CACHE', cache);
        fakePython(bin, { pip: PIP_INSTALLS });
        fakeCompiler(bin);
        const message = await failure();
        expect(message).toMatch(/^the disk of .* filled up while .*REANCHOR_CACHE to a folder on another disk/);
        expect(message).toContain(THREE_WAYS);
      }
    } finally {
      spawnSync('/bin/umount', [disk]);
    }
  });

  test('too little free space is noticed before anything is downloaded', () => {
    expect(() => requireSpace(folder, 1e18)).toThrow(
      /installing libtorch needs 1000000000.0 GB in .*, which has [\d.]+ GB free/,
    );
    expect(() => requireSpace(folder, 1)).not.toThrow();
  });

  test('no compiler', async () => {
    vi.stubEnv('REANCHOR_LIBTORCH', fakeLibtorch(join(folder, 'a')));
    const message = await failure();
    expect(message).toMatch(/no C\+\+ compiler was found \(c\+\+, g\+\+ and clang\+\+ on PATH\)/);
    expect(message).toContain(THREE_WAYS);
    vi.stubEnv('CXX', 'no-such-compiler');
    expect(await failure()).toMatch(/no C\+\+ compiler was found \(CXX=no-such-compiler\)/);
  });

  test('a compiler that fails is quoted', async () => {
    vi.stubEnv('REANCHOR_LIBTORCH', fakeLibtorch(join(folder, 'a')));
    fakeProgram(join(bin, 'g++'), 'echo "x.cc:1: fatal error: ATen/core/Tensor.h: No such file" >&2; exit 1');
    const message = await failure();
    expect(message).toMatch(/g\+\+ could not compile the addon/);
    expect(message).toMatch(/fatal error: ATen\/core\/Tensor.h: No such file/);
    expect(message).toContain(THREE_WAYS);
    fakeProgram(join(bin, 'g++'), 'echo "fatal error: error writing to /tmp/x.s: No space left on device" >&2; exit 1');
    expect(await failure()).toMatch(/filled up while the addon was being made/);
  });

  test('a cache folder that cannot be made', async () => {
    vi.stubEnv('REANCHOR_LIBTORCH', fakeLibtorch(join(folder, 'a')));
    fakeCompiler(bin);
    vi.stubEnv('REANCHOR_CACHE', join(file(join(folder, 'a-file')), 'cache'));
    await expect(run()).rejects.toThrow(/cannot write to the cache folder .*ENOTDIR.*REANCHOR_CACHE/);
  });
});

describe('doctor', () => {
  test('says why there is no libtorch, and what to do', async () => {
    const report = await doctor();
    expect(report.libtorch).toBeUndefined();
    const text = describeDoctor(report).join('\n');
    expect(text).toMatch(/not by python: no python3 or python on PATH/);
    expect(text).toContain(THREE_WAYS);
  });

  test('says that the addon has not been compiled', async () => {
    mkdirSync(bin, { recursive: true });
    vi.stubEnv('REANCHOR_LIBTORCH', fakeLibtorch(join(folder, 'a')));
    expect(describeDoctor(await doctor()).at(-1)).toMatch(
      /problem +the addon has not been compiled. Run: npx reanchor setup/,
    );
  });

  test('describes this machine and measures a matrix product', async () => {
    vi.unstubAllEnvs();
    const report = await doctor({ seconds: 0.1 });
    expect(report.problem).toBeUndefined();
    expect(report.runtime?.devices[0]).toBe('cpu');
    expect(report.runtime?.gflops).toBeGreaterThan(0.1);
    const text = describeDoctor(report).join('\n');
    expect(text).toMatch(/^libtorch +2\.\d+\.\d+\S*, by (cache|python|REANCHOR_LIBTORCH): /m);
    expect(text).toMatch(/^groups +gloo(, nccl|; no nccl: \S.*)$/m);
    expect(text).toMatch(/^matmul +[\d.]+ GFLOP\/s/m);
    expect(text).toMatch(/^BLAS +\w+, oneDNN /m);
  });
});

test('importing @reanchor/torch/setup and @reanchor/torch loads no native code', () => {
  vi.unstubAllEnvs();
  const url = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
  const code = `await import(${url('setup.ts')}); await import(${url('index.ts')});
    console.log(process.report.getReport().sharedObjects.filter((name) => /torch/.test(name)).length)`;
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  const out = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(out.trim()).toBe('0');
});
