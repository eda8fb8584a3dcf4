// A Hub that is slow, silent or cuts connections: every wait ends, on a clock that the test moves.
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takeLock } from '@reanchor/torch/host';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../../../tests/support/manual-clock.js';
import { type HubFile, listRepository, openFile } from './client.js';
import { downloadBlob } from './download.js';
import { HubUnreachable } from './patience.js';
import { sessionWith } from './testing/session.js';

let clock: ManualClock;
let heard: string[];
let endpoint: string;
let folder: string;
let answer: (response: ServerResponse, url: string, range: string | undefined) => void;
let requests: number;
/** Answers that are not finished. */
let active: number;
const server = createServer((request, response) => {
  requests++;
  active++;
  response.once('close', () => active--);
  answer(response, request.url!, request.headers.range);
});

beforeEach(async () => {
  [clock, heard, requests, active] = [new ManualClock(), [], 0, 0];
  folder = mkdtempSync(join(tmpdir(), 'patience-'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

const session = () => sessionWith(endpoint, clock, heard);
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

const isPause = () => active === 0 && clock.sleeping > 0;

/** How something ends while the clock goes on by `stepMs` whenever `isReady` says that this is what is waited for. */
async function outcome(ending: Promise<unknown>, stepMs = 500, isReady = isPause) {
  let end: { error?: unknown } | undefined;
  ending.then(
    () => {
      end = {};
    },
    (error: unknown) => {
      end = { error };
    },
  );
  while (end === undefined) {
    await turn();
    if (isReady()) await clock.elapse(stepMs);
  }
  return end.error as HubUnreachable | undefined;
}

/** Sends a byte, waits until it was received and waited for the next one, lets a second pass, and so on. */
async function drip(response: ServerResponse): Promise<void> {
  while (!response.destroyed) {
    const before = clock.waits.length;
    response.write(' ');
    while (clock.waits.length === before && !response.destroyed) await turn();
    await clock.elapse(1000);
  }
}
const never = () => false;

describe('an answer about a repository', () => {
  test('that never comes ends after ten seconds, with a line after five', async () => {
    answer = () => {};
    const ending = listRepository(session());
    const error = await outcome(ending, 500, () => requests === 1);
    expect(error).toBeInstanceOf(HubUnreachable);
    expect(error?.message).toMatch(/^http:\/\/127\.0\.0\.1:\d+ has sent nothing for 10 s: check the network/);
    expect(clock.now()).toBeLessThanOrEqual(10_500);
    expect(heard).toEqual([`waiting for ${endpoint} (5 s by now)`]);
  });

  test('that comes a byte at a time ends after fifteen seconds, with one line', async () => {
    answer = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      void drip(response);
    };
    const error = await outcome(listRepository(session()), 0, never);
    expect(error).toBeInstanceOf(HubUnreachable);
    expect(error?.message).toMatch(/has not finished its answer in 15 s/);
    expect(heard).toEqual([`waiting for ${endpoint} (5 s by now)`]);
  });

  test('in pages of which each is in time ends all the same', async () => {
    let pages = 0;
    answer = (response, url) => {
      response.setHeader('content-type', 'application/json');
      if (!url.includes('/tree/')) return response.end(JSON.stringify({ _id: '0', sha: 'a'.repeat(40) }));
      response.setHeader('link', `<${endpoint}${url.split('?')[0]}?cursor=${++pages}>; rel="next"`);
      void clock.elapse(9000).then(() => response.end('[]'));
    };
    const error = await listRepository(session()).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(HubUnreachable);
    expect((error as Error).message).toMatch(/has not finished a list of files in 300 s/);
    expect(pages).toBeLessThan(40);
  });

  test('that comes at once is waited for without a word', async () => {
    answer = (response, url) => {
      response.setHeader('content-type', 'application/json');
      response.end(url.includes('/tree/') ? '[]' : JSON.stringify({ _id: '0', sha: 'a'.repeat(40) }));
    };
    await expect(listRepository(session())).resolves.toEqual({ commit: 'a'.repeat(40), files: [] });
    expect([heard, clock.sleeping]).toEqual([[], 0]);
  });
});

describe('a file', () => {
  const bytes = Buffer.alloc(1_000_000, 'reanchor');
  const file: HubFile = {
    path: 'model.safetensors',
    size: bytes.length,
    hash: { algorithm: 'sha256', hex: createHash('sha256').update(bytes).digest('hex') },
  };
  const target = () => join(folder, 'blob');
  const partial = () => `${target()}.reanchor.incomplete`;

  function download(given = session()) {
    return downloadBlob(file, target(), {
      open: (offset, use) => openFile(given, { commit: 'a'.repeat(40), path: file.path, offset }, use),
      waiting: given.waiting,
      signal: given.signal,
    });
  }

  /** Sends the bytes from `start` to `end`, as the answer to a question for the rest, and cuts the connection. */
  const cut = (response: ServerResponse, start: number, end: number) => {
    const range = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': bytes.length - start,
      ...(start > 0 && { 'content-range': range }),
    });
    response.write(bytes.subarray(start, end), () => setImmediate(() => response.destroy()));
  };

  test('of which nothing comes is asked for four times', async () => {
    answer = () => {};
    const error = await outcome(download(), 500, () => clock.sleeping > 0 && requests > 0);
    expect(error).toBeInstanceOf(HubUnreachable);
    expect(error?.message).toMatch(/has sent nothing for 10 s/);
    expect([requests, heard.length]).toEqual([4, 4]);
    expect(clock.now()).toBeLessThan(60_000);
  });

  test('that is cut at two places in turn is given up', async () => {
    answer = (response) => cut(response, 0, requests % 2 ? 500 : 1000);
    const error = await outcome(download());
    expect(error).toBeInstanceOf(HubUnreachable);
    expect(error?.message).toMatch(/the connection ended after (500|1000) of 1000000 bytes|cannot be reached/);
    expect(requests).toBeLessThan(10);
  });

  test('of which each connection brings a byte more is given up', async () => {
    answer = (response) => cut(response, 0, 1000 + requests);
    expect(await outcome(download())).toBeInstanceOf(HubUnreachable);
    expect(requests).toBe(4);
  });

  test('that drips is given up after some minutes, though never silent for long', async () => {
    answer = (response) => {
      response.writeHead(200, { 'content-length': bytes.length });
      void drip(response);
    };
    const error = await outcome(download());
    expect(error?.message).toMatch(/sends fewer than 65536 bytes in 60 s/);
    expect(clock.now()).toBeLessThan(300_000);
  });

  test('of which every connection brings a good piece is whole in the end', async () => {
    answer = (response, _, range) => {
      const start = Number(/\d+/.exec(range ?? '0')![0]);
      cut(response, start, start + 200_000);
    };
    expect(await outcome(download())).toBeUndefined();
    expect(readFileSync(target()).equals(bytes)).toBe(true);
    expect(requests).toBeGreaterThan(4);
  });

  test('that takes long to be written is not given up: only what is waited for counts', async () => {
    answer = (response) => response.end(bytes);
    let now = 0;
    // Pauses end, limits do not come: a request that the machine has cut off is made again.
    const sleep = (ms: number) => ([1000, 2000, 4000].includes(ms) ? Promise.resolve() : new Promise<never>(() => {}));
    const slow = { now: () => (now += 1_000_000), sleep };
    await download({ ...session(), waiting: { ...session().waiting, clock: slow } });
    expect(readFileSync(target()).equals(bytes)).toBe(true);
  });

  test('that another process downloads is waited for, with a line after five seconds', async () => {
    const held = takeLock(`${partial()}.lock`) as Disposable;
    answer = (response) => response.end(bytes);
    const ending = download();
    while (clock.sleeping === 0) await turn();
    await clock.elapse(4800);
    expect(heard).toEqual([]);
    await clock.elapse(1000);
    expect(heard).toEqual([expect.stringMatching(/^waiting for process \d+ on .*, which downloads the same file$/)]);
    held[Symbol.dispose]();
    expect(await outcome(ending)).toBeUndefined();
    expect(heard.length).toBe(1);
  });

  test('can be stopped while it is waited for; what is there stays', async () => {
    const stop = new AbortController();
    writeFileSync(partial(), bytes.subarray(0, 300));
    answer = () => setImmediate(() => stop.abort(new Error('enough')));
    await expect(download({ ...session(), signal: stop.signal })).rejects.toThrow('enough');
    expect(statSync(partial()).size).toBe(300);
    expect(existsSync(`${partial()}.lock`)).toBe(false);
  });
});
