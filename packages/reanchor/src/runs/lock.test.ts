import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { lockHolderState, lockName, lockRun } from './lock.js';

const newFolder = () => mkdtempSync(join(tmpdir(), 'lock-'));
const read = (folder: string) => JSON.parse(readFileSync(join(folder, lockName), 'utf8'));

describe('the lock of a run folder', () => {
  it('is held once, names who holds it, and leaves nothing behind', () => {
    const folder = newFolder();
    const lock = lockRun(folder);
    expect(() => lockRun(folder)).toThrow(`is used by process ${process.pid} on`);
    lock[Symbol.dispose]();
    lockRun(folder)[Symbol.dispose]();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('of a process that is gone is taken over', async () => {
    const folder = newFolder();
    const lock = lockRun(folder);
    const own = read(folder);
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'close');
    writeFileSync(join(folder, lockName), JSON.stringify({ ...own, pid: child.pid }));
    using taken = lockRun(folder);
    expect(read(folder)).toEqual(own);
    // Its own lock alone is removed.
    writeFileSync(join(folder, lockName), JSON.stringify({ ...own, pid: 1 }));
    lock[Symbol.dispose]();
    taken[Symbol.dispose]();
    expect(read(folder).pid).toBe(1);
  });

  it.each([
    ['another process that has the number now', { began: '1' }],
    ['the machine before it was started again', { boot: 'an earlier one' }],
  ])('of %s is taken over', (_, changes) => {
    const folder = newFolder();
    using lock = lockRun(folder);
    const own = read(folder);
    writeFileSync(join(folder, lockName), JSON.stringify({ ...own, ...changes }));
    lockRun(folder)[Symbol.dispose]();
    expect(readdirSync(folder)).toEqual([]);
    expect(lock).toBeDefined();
  });

  it.each([
    ['another machine', { host: 'elsewhere' }],
    ['another container', { numbering: 'pid:[1]' }],
  ])('of a process in %s stays, with what to do', (_, changes) => {
    const folder = newFolder();
    using _lock = lockRun(folder);
    writeFileSync(join(folder, lockName), JSON.stringify({ ...read(folder), ...changes }));
    expect(() => lockRun(folder)).toThrow(/cannot be seen whether it still runs: if it does not, delete .*run\.lock/);
  });

  it('that is no lock is one being written at first, and then in nobody’s way', () => {
    const folder = newFolder();
    const path = join(folder, lockName);
    writeFileSync(path, '{"pid":');
    expect(() => lockRun(folder)).toThrow(/is being written by another process: try again/);
    utimesSync(path, new Date(0), new Date(0));
    lockRun(folder)[Symbol.dispose]();
  });

  it('that is no lock is being written in the millisecond of its first byte as well', () => {
    const folder = newFolder();
    const path = join(folder, lockName);
    writeFileSync(path, '{"pid":');
    const now = Date.now();
    const seconds = (now + 0.75) / 1000;
    utimesSync(path, seconds, seconds);
    using _clock = vi.spyOn(Date, 'now').mockReturnValue(now);
    expect(() => lockRun(folder)).toThrow(/is being written by another process: try again/);
  });

  it('tells from its text whether its process runs, is gone, or cannot be seen', async () => {
    const folder = newFolder();
    using _lock = lockRun(folder);
    const own = read(folder);
    const state = (changes: object) => lockHolderState(JSON.stringify({ ...own, ...changes }));
    expect(state({})).toBe('running');
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'close');
    const gone = [{ pid: child.pid }, { began: '1' }, { boot: 'an earlier one' }];
    expect(gone.map(state)).toEqual(['gone', 'gone', 'gone']);
    expect([{ host: 'elsewhere' }, { numbering: 'pid:[1]' }].map(state)).toEqual(['unknown', 'unknown']);
    expect(['', '{"pid":', 'null', '[]'].map(lockHolderState)).toEqual(Array(4).fill('unknown'));
  });

  it.skipIf(platform() !== 'linux')(
    'of a process that has ended, but whose parent has not asked for it, is taken over',
    async () => {
      const folder = newFolder();
      const lock = lockRun(folder);
      const own = read(folder);
      lock[Symbol.dispose]();
      const parent = spawn('sh', ['-c', 'exec 3<&0; sh -c "read line <&3" & echo $!; exec sleep 600'], {
        stdio: ['pipe', 'pipe', 'ignore'],
      });
      const pid = Number(String((await once(parent.stdout, 'data'))[0]));
      const stat = () => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
      const began = stat()[19];
      const held = JSON.stringify({ ...own, pid, began });
      // Only then does nobody ask for the other one any more.
      while (readFileSync(`/proc/${parent.pid}/comm`, 'utf8').trim() !== 'sleep') await turn();
      expect(lockHolderState(held)).toBe('running');
      parent.stdin.end();
      while (stat()[0] !== 'Z') await turn();
      expect(lockHolderState(held)).toBe('gone');
      parent.kill('SIGKILL');
      await once(parent, 'close');
    },
  );
});
