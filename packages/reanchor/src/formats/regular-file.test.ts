import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NotReadable } from '../errors.js';
import { createReadStream, fileSize, mostWholeBytes, open, openSync, readFile, readFileSync } from './regular-file.js';

const folder = mkdtempSync(join(tmpdir(), 'regular-file-'));
const at = (name: string) => join(folder, name);
const server = createServer();

beforeAll(async () => {
  spawnSync('mkfifo', [at('pipe')]);
  mkdirSync(at('folder'));
  writeFileSync(at('file'), 'text');
  symlinkSync('/dev/zero', at('device'));
  for (const name of ['pipe', 'folder', 'file', 'socket', 'nothing']) symlinkSync(at(name), at(`link-to-${name}`));
  server.listen(at('socket'));
  await once(server, 'listening');
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const ways: Record<string, (path: string) => unknown> = {
  open,
  openSync,
  readFile: (path) => readFile(path),
  readFileSync: (path) => readFileSync(path),
  createReadStream,
};

describe.each(Object.keys(ways))('%s', (name) => {
  const way = async (path: string) => ways[name]!(path);

  test.each([
    ['pipe', /link-to-pipe is a pipe, and only files are read$/],
    ['socket', /link-to-socket is a socket, and only files are read$/],
    ['folder', /link-to-folder is a folder$/],
  ])('refuses a %s, also behind a link', async (kind, message) => {
    await expect(way(at(kind))).rejects.toBeInstanceOf(NotReadable);
    await expect(way(at(`link-to-${kind}`))).rejects.toThrow(message);
  });

  test('refuses a device, and what is not there', async () => {
    await expect(way(at('device'))).rejects.toThrow(/device is a device, and only files are read$/);
    for (const missing of ['nothing', 'link-to-nothing']) {
      await expect(way(at(missing))).rejects.toMatchObject({ code: 'ENOENT' });
    }
  });
});

test('the size of a file is known, and of nothing is 0', () => {
  expect([fileSize(at('file')), fileSize(at('link-to-file')), fileSize(at('nothing'))]).toEqual([4, 4, 0]);
  for (const name of ['pipe', 'folder', 'device']) expect(() => fileSize(at(name))).toThrow(NotReadable);
});

test('a file is read as it is', async () => {
  expect(await readFile(at('file'), 'utf8')).toBe('text');
  expect(readFileSync(at('link-to-file'), 'utf8')).toBe('text');
  expect(readFileSync(at('file'))).toEqual(Buffer.from('text'));
  const pieces: string[] = [];
  for await (const piece of createReadStream(at('file'), { highWaterMark: 3 })) pieces.push(String(piece));
  expect(pieces).toEqual(['tex', 't']);
});

test('a file that is too large to be read as a whole is not begun', async () => {
  writeFileSync(at('large'), '');
  truncateSync(at('large'), mostWholeBytes + 1);
  const message = /large has 268435457 bytes; a file that is read as a whole may have 268435456$/;
  await expect(readFile(at('large'))).rejects.toThrow(message);
  expect(() => readFileSync(at('large'), 'utf8')).toThrow(message);
  expect(() => readFileSync(at('file'), 'utf8', 3)).toThrow(/file has 4 bytes; .* may have 3$/);
});

test('a stream reads in pieces of the size asked for, and makes no larger buffers than a file may fill', async () => {
  const streamed = async (bytes: number) => {
    writeFileSync(at('streamed'), '');
    truncateSync(at('streamed'), bytes);
    const stream = createReadStream(at('streamed'), { highWaterMark: 1 << 20 });
    const pieces: number[] = [];
    for await (const piece of stream) pieces.push((piece as Buffer).length);
    return { pieces, buffer: stream.readableHighWaterMark };
  };
  expect(await streamed(5)).toEqual({ pieces: [5], buffer: 1 << 16 });
  expect(await streamed(3 << 19)).toEqual({ pieces: [1 << 20, 1 << 19], buffer: 1 << 20 });
});
