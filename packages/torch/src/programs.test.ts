import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ask, findExecutable, launch, run, startProgram } from './programs.js';
import { fakeProgram, file, scratch } from './testing/fakes.js';

let folder: string;
const here = process.cwd();

beforeEach(() => {
  folder = realpathSync(scratch());
  fakeProgram(join(folder, 'tool'), 'echo planted');
  fakeProgram(join(folder, 'bin/tool'), 'echo "$PWD|$PATH|$*"');
  process.chdir(folder);
});

afterEach(() => {
  process.chdir(here);
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

test.each(['', '.', './', 'bin', ':', './bin:', '../bin'])('no program comes from a PATH of %j', (path) => {
  vi.stubEnv('PATH', path);
  expect(findExecutable('tool')).toBeUndefined();
});

test('what is on PATH by an absolute folder is found behind entries that are not, if it can be run', () => {
  vi.stubEnv('PATH', `.::bin:${folder}/none:${folder}/bin:/usr/bin`);
  expect(findExecutable('none', 'tool')).toBe(join(folder, 'bin/tool'));
  chmodSync(join(folder, 'bin/tool'), 0o644);
  mkdirSync(join(folder, 'none/tool'), { recursive: true });
  expect(findExecutable('tool')).toBeUndefined();
});

test('a name with folders in it is no program, unless it is absolute', () => {
  vi.stubEnv('PATH', folder);
  expect(findExecutable('./tool', 'bin/tool', '../tool')).toBeUndefined();
  expect(findExecutable(join(folder, 'tool'))).toBe(join(folder, 'tool'));
  expect(findExecutable(file(join(folder, 'text')))).toBeUndefined();
});

test('a program starts in the folder it is given and sees no PATH but absolute folders; its arguments meet no shell', async () => {
  vi.stubEnv('PATH', `.::bin:${folder}/bin:/usr/bin`);
  vi.stubEnv('PWD', folder);
  const tool = findExecutable('tool')!;
  const inside = join(folder, 'bin');
  const words = `${inside}|${folder}/bin:/usr/bin|$(echo x) a;b *`;
  expect(ask(tool, ['$(echo x)', 'a;b', '*'], inside)).toBe(words);
  expect(await run(tool, ['$(echo x)', 'a;b', '*'], inside)).toEqual({ status: 0, output: `${words}\n` });
  expect(ask(tool, [], join(folder, 'absent'))).toMatch(/^\/\|/);
});

test('a program that fails is quoted by its last words, one that is not there by the system', async () => {
  const failing = fakeProgram(join(folder, 'failing'), 'echo first >&2; echo last >&2; exit 3');
  expect(() => ask(failing, [], folder)).toThrow(/^last$/);
  expect(() => ask(join(folder, 'absent'), [], folder)).toThrow(/ENOENT/);
  expect(await run(failing, [], folder)).toEqual({ status: 3, output: 'first\nlast\n' });
  await new Promise<void>((heard) => launch(join(folder, 'absent'), [], () => heard()));
});

test('a signal that asks us to end ends a program with all that it has started, and says so', async () => {
  const counts = () => ['SIGINT', 'SIGTERM', 'SIGHUP'].map((name) => process.listenerCount(name));
  const before = counts();
  const pids = join(folder, 'pids');
  const tool = fakeProgram(
    join(folder, 'long'),
    `/bin/sleep 1000 &\necho $$ $! > ${pids}.new\nmv ${pids}.new ${pids}\nwait`,
  );
  const ran = run(tool, [], folder);
  while (!existsSync(pids)) await setImmediate();
  process.emit('SIGHUP', 'SIGHUP');
  await expect(ran).rejects.toThrow('stopped by SIGHUP; nothing half-done is left');
  for (const pid of readFileSync(pids, 'utf8').split(' ')) expect(isRunning(pid.trim())).toBe(false);
  expect(counts()).toEqual(before);
});

/** Whether a process is there and not only not yet asked for by its parent. */
function isRunning(pid: string): boolean {
  const { stdout } = spawnSync('/bin/ps', ['-o', 'stat=', '-p', pid], { encoding: 'utf8' });
  return /^[^ZX]/.test(stdout.trim());
}

test('a program by a name alone is a mistake of ours', () => {
  expect(() => ask('tool', [], folder)).toThrow('internal: the program tool is no absolute path');
  expect(() => launch('./tool', [], () => {})).toThrow('internal:');
});

/** What a program of this text does, told two lines, and ended after the first of its lines that `isLast` holds for. */
async function talk(script: string, isLast = (_line: string) => false) {
  const lines: string[] = [];
  const started = startProgram(fakeProgram(join(folder, 'talker'), script), ['a b'], {
    env: { WORD: 'w' },
    onLine: (line) => {
      lines.push(line);
      if (isLast(line)) started.kill();
    },
  });
  started.tell('1\n2\n');
  started.close();
  return { lines, ...(await started.ended) };
}

test('a program that is started is told lines, answers lines, and begins in the root folder', async () => {
  const script = 'echo "$PWD $WORD $1"; while read line; do echo "got $line"; done; printf end; echo why >&2; exit 3';
  expect(await talk(script)).toEqual({
    lines: ['/ w a b', 'got 1', 'got 2', 'end'],
    status: 3,
    signal: null,
    errors: 'why\n',
  });
});

test('a started program is ended with all that it has started, and one that reads nothing is no error', async () => {
  const { lines, signal } = await talk('sleep 600 & echo $!; wait', () => true);
  expect(signal).toBe('SIGKILL');
  await expect.poll(() => isRunning(lines[0]!)).toBe(false);
  expect((await talk('exit 0')).status).toBe(0);
});

test('a program may begin in a folder of its own, and its errors are heard line by line as they come', async () => {
  const heard: string[] = [];
  const script = 'echo "$PWD" >&2; read line; echo "got $line" >&2; printf last >&2';
  const started = startProgram(fakeProgram(join(folder, 'talker'), script), [], {
    folder,
    onErrorLine: (line) => {
      heard.push(line);
      if (heard.length === 1) started.tell('1\n');
    },
  });
  expect((await started.ended).errors).toBe(`${folder}\ngot 1\nlast`);
  expect(heard).toEqual([folder, 'got 1', 'last']);
});

test('a signal goes to a started program, and not to what it has started', async () => {
  let sleeper = '';
  let isLeft = false;
  const script = 'trap "echo stopped; exit 5" TERM; /bin/sleep 600 & echo $!; wait';
  const started = startProgram(fakeProgram(join(folder, 'long'), script), [], {
    onLine: (line) => {
      if (line !== 'stopped') {
        sleeper = line;
        return started.send('SIGTERM');
      }
      isLeft = isRunning(sleeper);
      process.kill(Number(sleeper));
    },
  });
  expect((await started.ended).status).toBe(5);
  expect(isLeft).toBe(true);
});

test('a program that shares the output writes where this process does', () => {
  const programs = join(here, 'packages/torch/src/programs.ts');
  const talker = fakeProgram(join(folder, 'talker'), 'printf "1\\r2"; printf why >&2; exit 3');
  const script = `import { startProgram } from ${JSON.stringify(programs)};
    const { ended } = startProgram(${JSON.stringify(talker)}, [], { sharesOutput: true });
    process.exitCode = (await ended).status;`;
  const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '--eval', script];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect({ status, stdout, stderr }).toEqual({ status: 3, stdout: '1\r2', stderr: 'why' });
});

test('a program that cannot be started is told by the system', async () => {
  const started = startProgram(join(folder, 'absent'), [], {});
  expect(await started.ended).toEqual({ status: null, signal: null, errors: expect.stringContaining('ENOENT') });
});
