import { existsSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DistributedError } from '../errors.js';
import { scratch } from '../testing/fakes.js';
import { FileStore, type Store, TcpStore } from './store.js';

let folder: string;

beforeEach(() => {
  folder = scratch();
});

afterEach(() => rmSync(folder, { recursive: true }));

async function exercise(one: Store, other: Store): Promise<void> {
  expect(other.has('key')).toBe(false);
  const waiting = other.get('key');
  one.set('key', 'a text ☂');
  expect(await waiting).toBe('a text ☂');
  expect([one.add('count', 2), other.add('count', 3), one.add('count', 0)]).toEqual([2, 5, 5]);
  expect(await other.wait(['key', 'nobody sets it'], 0.05)).toEqual(['nobody sets it']);
}

test('what one has set, the other gets: by TCP, on a port that was free, and by a file', async () => {
  using held = TcpStore.host();
  expect(held.port).toBeGreaterThan(0);
  using client = await TcpStore.open({ host: '127.0.0.1', port: held.port });
  expect([held.localAddress, client.localAddress]).toEqual(['127.0.0.1', '127.0.0.1']);
  await exercise(held, client);

  const path = join(folder, 'store');
  using one = FileStore.open(path);
  using other = FileStore.open(path);
  expect(existsSync(path)).toBe(true);
  await exercise(one, other);
});

test('a store that comes later is waited for, and that is told', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  const lines: string[] = [];
  const opening = TcpStore.open({ host: '127.0.0.1', port, timeoutSeconds: 30, log: (line) => lines.push(line) });
  await expect.poll(() => lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^waiting up to 30 s for the store at 127.0.0.1:\d+: connect ECONNREFUSED/);
  using held = TcpStore.host({ port });
  using client = await opening;
  held.set('here', 'yes');
  expect(client.has('here')).toBe(true);
});

test('a store that is not there is an error within its timeout, with the reason', async () => {
  const begin = performance.now();
  const refused = await TcpStore.open({ host: '127.0.0.1', port: 1, timeoutSeconds: 0.3 }).catch((error) => error);
  expect(performance.now() - begin).toBeLessThan(5000);
  expect(refused).toBeInstanceOf(DistributedError);
  expect(refused.stack).toContain(refused.message);
  expect(refused.message).toMatch(
    /^TcpStore.open\(127.0.0.1:1\): there is no store within 0.3 s: connect ECONNREFUSED 127.0.0.1:1. Does the process/,
  );
  const unknown = TcpStore.open({ host: 'no-such-host.invalid', port: 1, timeoutSeconds: 0.3 });
  await expect(unknown).rejects.toThrow(/no-such-host.invalid.*Is the name of the host right\?/);
});

test('something that listens, and is no store, is an error within the timeout', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as { port: number };
  // The server of this very process cannot answer while the store is asked.
  await expect(TcpStore.open({ host: '127.0.0.1', port, timeoutSeconds: 0.5 })).rejects.toThrow(
    /^TcpStore.open\(127.0.0.1:\d+\): it did not answer within 500 ms/,
  );
  server.close();
});

test('an address that cannot be listened on, and keys that nobody sets, are told', async () => {
  using held = TcpStore.host({ timeoutSeconds: 0.1 });
  expect(() => TcpStore.host({ port: held.port })).toThrow(
    new RegExp(`^TcpStore.host\\(127.0.0.1:${held.port}\\): cannot listen on port ${held.port} .*already in use`),
  );
  expect(() => TcpStore.host({ host: 'no-such-host.invalid' })).toThrow(/the host no-such-host.invalid has no address/);
  await expect(held.get('absent')).rejects.toThrow(/^get\(absent\): no process has set it within 0.1 s$/);
  expect(() => FileStore.open(join(folder, 'no', 'folder'))).toThrow(/^FileStore.open\(.*\): ENOENT: no such file/);
  expect(() => TcpStore.host({ port: 70_000 })).toThrow('a port is an integer from 0 to 65535, got 70000');
  expect(() => TcpStore.host({ timeoutSeconds: 0 })).toThrow('timeoutSeconds is a number from 0.001 to 86400, got 0');
});

test('a store that was closed, here or where it was held, is told', async () => {
  const held = TcpStore.host();
  const client = await TcpStore.open({ host: '127.0.0.1', port: held.port });
  held.close();
  held.close();
  expect(() => held.has('key')).toThrow(/^has\(key\): the store at 127.0.0.1:\d+: the store was closed$/);
  expect(() => client.has('key')).toThrow(DistributedError);
  client.close();
});
