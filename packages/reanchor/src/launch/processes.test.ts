import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { repositoryRoot } from '../../../../tests/support/repository.js';
import { runProcesses } from './index.js';

const program = join(repositoryRoot, 'tests/support/ranks-process.ts');

/** What has to be ended after a test, whatever came of it. */
const started: { child: ChildProcess; pids(): number[] }[] = [];

/** A program that runs itself in `count` processes. */
function start(
  mode: string,
  count: number,
  { env = {}, patience = 60 }: { env?: NodeJS.ProcessEnv; patience?: number },
) {
  const args = ['--import', import.meta.resolve('tsx'), program, mode, String(count), String(patience)];
  const child = spawn(process.execPath, args, {
    cwd: repositoryRoot,
    env: { ...process.env, OMP_NUM_THREADS: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const written = { stdout: '', stderr: '' };
  child.stdout.on('data', (text) => (written.stdout += String(text)));
  child.stderr.on('data', (text) => (written.stderr += String(text)));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const pids = () => [...written.stderr.matchAll(/ready (\d+)/g)].map(([, pid]) => Number(pid));
  const one = { child, written, ended, pids };
  started.push(one);
  return one;
}

/** Starts it and waits until all are ready. */
async function startReady(mode: string, count: number, { patience = 60 }: { patience?: number } = {}) {
  const one = start(mode, count, { patience });
  await expect.poll(() => one.pids().length).toBe(count);
  return one;
}

afterEach(() => {
  vi.unstubAllEnvs();
  for (const { child, pids } of started.splice(0)) {
    child.kill('SIGKILL');
    for (const pid of pids()) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
  }
});

/** Whether a process is there, and not only not yet asked for by its parent. */
function isRunning(pid: number): boolean {
  const { stdout } = spawnSync('/bin/ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' });
  return /^[^ZX]/.test(stdout.trim());
}

const lines = (text: string) => text.split('\n').filter(Boolean);

/** What a rank has reported, if it has. */
const reports = (text: string) =>
  [...text.matchAll(/^(?:\[rank (\d)\] )?(\{.*\})$/gm)].map(([, rank, json]) => ({ rank, ...JSON.parse(json!) }));

test('each process has its rank and the same store; rank 0 writes as it is, the others with their ranks', async () => {
  const { written, ended } = start('report', 3, {});
  expect(await ended).toBe(0);
  const threads = String(Math.max(1, Math.floor(availableParallelism() / 3)));
  const report = (rank: number) => ({
    rank,
    size: 3,
    localRank: rank,
    localSize: 3,
    host: '127.0.0.1',
    port: 'number',
    storeHeldBy: 'launcher',
    storePrefix: 'reanchor',
    launcher: 'reanchor',
    heard: 'hello',
    threads,
    folder: repositoryRoot,
  });
  expect(JSON.parse(written.stdout)).toEqual(report(0));
  expect(written.stderr).toContain('store on a free port\n');
  for (const rank of [1, 2]) expect(written.stderr).toContain(`[rank ${rank}] ${JSON.stringify(report(rank))}\n`);
  expect(written.stderr).toContain('[rank 2] a status\ranother\n');
  expect(written.stderr.replaceAll(/\[rank .\] a status/g, '')).toContain('a status\ranother');
});

test('when one fails the others write their checkpoint, and its words are the last', async () => {
  const { written, ended } = start('fail', 2, {});
  expect(await ended).toBe(3);
  const told = lines(written.stderr).filter((line) => !line.startsWith('ready'));
  expect(told.slice(1, 3)).toEqual(['[rank 1] words before', '[rank 1] there is no more of it']);
  expect(told.slice(3)).toEqual([
    'rank 1 has failed: the others are ended, in 60 seconds at the latest',
    'its last checkpoint is written',
    'rank 1 failed first: there is no more of it (exit code 3)',
  ]);
});

test('one that hears nothing any more is ended, and one that the system has killed is told', async () => {
  const { written, ended, pids } = start('fail', 3, { patience: 1 });
  expect(await ended).toBe(3);
  expect(lines(written.stderr).at(-1)).toBe('rank 1 failed first: there is no more of it (exit code 3)');
  for (const pid of pids()) expect(isRunning(pid)).toBe(false);
  const killed = start('kill', 2, { patience: 1 });
  expect(await killed.ended).toBe(137);
  expect(lines(killed.written.stderr).at(-1)).toMatch(/^rank 1 failed first: it was killed, as the system does when/);
});

test('a signal goes to all of them, and the exit code says that they were stopped', async () => {
  const { child, written, ended } = await startReady('wait', 2);
  child.kill('SIGTERM');
  expect(await ended).toBe(130);
  const told = lines(written.stderr).filter((line) => line.endsWith('asked to stop'));
  expect(told.sort()).toEqual(['[rank 1] asked to stop', 'asked to stop']);
  expect(written.stderr).not.toContain('failed');
});

test('after a second signal those that stay are ended', async () => {
  const { child, written, ended, pids } = await startReady('stay', 2, { patience: 1 });
  child.kill('SIGTERM');
  await expect.poll(() => written.stderr.split('asked to stop').length).toBe(3);
  expect(pids().every(isRunning)).toBe(true);
  child.kill('SIGTERM');
  expect(await ended).toBe(130);
  expect(pids().some(isRunning)).toBe(false);
});

test('nobody is left when the launcher is killed, not even one that stands in a collective', async () => {
  const { child, ended, pids } = await startReady('block', 2, { patience: 1 });
  child.kill('SIGKILL');
  await ended;
  await expect.poll(() => pids().filter(isRunning)).toEqual([]);
});

const machine = { RANK: '1', WORLD_SIZE: '2', LOCAL_RANK: '0', LOCAL_WORLD_SIZE: '1', MASTER_ADDR: '127.0.0.1' };

test('on several machines the ranks are counted over all, and the first machine opens the store', async () => {
  const free = createServer().listen(0, '127.0.0.1');
  await new Promise((heard) => free.once('listening', heard));
  const { port } = free.address() as { port: number };
  await new Promise((closed) => free.close(closed));
  const env = { ...machine, MASTER_PORT: String(port) };
  const first = start('report', 2, { env: { ...env, RANK: '0', OMP_NUM_THREADS: '5' } });
  expect(await first.ended).toBe(0);
  expect(first.written.stderr).toContain(`store on ${port}\n`);
  // The threads are those that the environment says.
  const place = { rank: 0, size: 4, localRank: 0, localSize: 2, threads: '5' };
  expect(JSON.parse(first.written.stdout)).toMatchObject(place);
  const server = createServer((socket) => socket.end('from the first')).listen(port, '127.0.0.1');
  const second = start('report', 2, { env });
  expect(await second.ended).toBe(0);
  server.close();
  expect(second.written.stderr).not.toContain('store on');
  const found = reports(second.written.stderr).sort((a, b) => a.localRank - b.localRank);
  expect(found).toMatchObject([
    { rank: 2, localRank: 0, heard: 'from the first' },
    { rank: 3, localRank: 1, heard: 'from the first' },
  ]);
});

test('where a launcher has started several on a machine, none starts others, and a count is one', async () => {
  for (const [name, value] of Object.entries({ ...machine, LOCAL_WORLD_SIZE: '2', MASTER_PORT: '29500' })) {
    vi.stubEnv(name, value);
  }
  const notHeld = () => expect.unreachable();
  const run = (count: number) => runProcesses({ count, note: notHeld, holdStore: notHeld });
  const refusal = /^the environment has started 2 processes on this machine, and each of them would start 4 more: have/;
  await expect(run(4)).rejects.toThrow(refusal);
  for (const count of [0, 1.5, Number.NaN]) {
    await expect(run(count)).rejects.toThrow(
      `the processes of this machine are ${count}: it has to be a whole number, 1 or more`,
    );
  }
});
