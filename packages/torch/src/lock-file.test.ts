import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lockHolder, takeLock } from './lock-file.js';
import { ownIdentity, parseIdentity, stateOf } from './process-identity.js';
import { scratch } from './testing/fakes.js';

let folder: string;
let path: string;

beforeEach(() => {
  folder = scratch();
  path = join(folder, 'x.lock');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const place = (changes: object) => writeFileSync(path, JSON.stringify({ ...ownIdentity(), ...changes }));

describe('a lock file', () => {
  test('is held once, says by whom, and leaves nothing behind', () => {
    const lock = takeLock(path) as Disposable;
    expect(takeLock(path)).toMatchObject({ state: 'running', holder: { pid: process.pid } });
    expect(lockHolder(path)?.holder).toEqual(JSON.parse(JSON.stringify(ownIdentity())));
    lock[Symbol.dispose]();
    expect(lockHolder(path)).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each([
    ['has ended', { pid: spawnSync('true').pid }],
    ['has another one’s number now', { began: '1' }],
    ['has the number of the first process of all', { pid: 1, began: '1' }],
    ['was cut off with its machine', { boot: 'an earlier one' }],
  ])('of a process that %s is taken over', (_, changes) => {
    place(changes);
    const lock = takeLock(path);
    expect(Symbol.dispose in lock).toBe(true);
    expect(readFileSync(path, 'utf8')).toBe(JSON.stringify(ownIdentity()));
    (lock as Disposable)[Symbol.dispose]();
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each([{ host: 'elsewhere' }, { numbering: 'pid:[1]' }])(
    'of a process that cannot be seen from here stays: %j',
    (changes) => {
      place(changes);
      expect(takeLock(path)).toMatchObject({ state: 'unknown', holder: { pid: process.pid } });
    },
  );

  test.each(['', '1', String(process.pid), '{"pid":', 'null', '[]', '{"pid":-1,"host":"x"}', '{"pid":"7","host":"x"}'])(
    'that is no whole lock has no holder: %j',
    (text) => {
      writeFileSync(path, text);
      expect(takeLock(path)).toEqual({ text, holder: undefined, state: 'unknown' });
    },
  );

  test('is not looked into where it is no file', () => {
    const makers = [
      () => spawnSync('mkfifo', [path]),
      () => mkdirSync(path),
      () => symlinkSync('/dev/zero', path),
      () => symlinkSync('nowhere', path),
    ];
    for (const make of makers) {
      make();
      expect(takeLock(path)).toEqual({ text: '', holder: undefined, state: 'unknown' });
      rmSync(path, { recursive: true });
    }
  });

  test('is not removed by one that has lost it', () => {
    const lock = takeLock(path) as Disposable;
    place({ pid: 1 });
    lock[Symbol.dispose]();
    expect(existsSync(path)).toBe(true);
    rmSync(folder, { recursive: true });
    lock[Symbol.dispose]();
  });
});

test.skipIf(process.platform !== 'linux')(
  'a process that has ended, but whose parent has not asked for it, is gone',
  async () => {
    const parent = spawn('sh', ['-c', 'exec 3<&0; sh -c "read line <&3" & echo $!; exec sleep 600'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const pid = Number(String((await once(parent.stdout, 'data'))[0]));
    const stat = () => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    const identity = { ...ownIdentity(), pid, began: stat()[19] };
    // Only then does nobody ask for the other one any more.
    while (readFileSync(`/proc/${parent.pid}/comm`, 'utf8').trim() !== 'sleep') await turn();
    expect(stateOf(identity)).toBe('running');
    parent.stdin.end();
    while (stat()[0] !== 'Z') await turn();
    expect(stateOf(identity)).toBe('gone');
    parent.kill('SIGKILL');
    await once(parent, 'close');
  },
);

test('an identity survives being written and read', () => {
  const text = JSON.stringify(ownIdentity());
  expect(JSON.stringify(parseIdentity(text))).toBe(text);
  expect(stateOf(parseIdentity(text)!)).toBe('running');
});
