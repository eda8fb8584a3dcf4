// Answers of a Hub that is broken, or no friend.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { UserError } from '../errors.js';
import { listRepository, openFile } from './client.js';
import { sessionWith } from './testing/session.js';

const oid = 'a'.repeat(40);
const file = { type: 'file', oid, size: 3, path: 'config.json' };
let close: (() => void) | undefined;
afterEach(() => close?.());

/** The address of a server that answers so. */
async function serving(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  close = () => {
    server.closeAllConnections();
    server.close();
  };
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Lists a repository whose list of files is what `tree` answers. */
async function list(
  tree: (response: ServerResponse, request: IncomingMessage, endpoint: string) => void,
  sha: unknown = oid,
) {
  const endpoint: string = await serving((request, response) => {
    response.setHeader('content-type', 'application/json');
    if (request.url!.includes('/tree/')) tree(response, request, endpoint);
    else response.end(JSON.stringify({ _id: '0', id: 'some/model', sha, tags: [], siblings: [] }));
  });
  return listRepository(sessionWith(endpoint));
}
const json = (value: unknown) => (response: ServerResponse) => response.end(JSON.stringify(value));

test.each([
  [[{ ...file, size: -1 }], /-1 as the size of "config\.json"/],
  [[{ ...file, size: '3' }], /"3" as the size/],
  [[{ ...file, size: 1e300 }], /1e\+300 as the size/],
  [[{ ...file, path: 7 }], /a file called 7, which would lie outside/],
  [[{ ...file, path: '../x' }], /a file called "\.\.\/x", which would lie outside/],
  [[{ ...file, oid: null }], /"null" as the hash/],
  [[{ ...file, lfs: { oid: ['b'.repeat(64)], size: {} } }], /as the size of "config\.json"/],
  [{ error: 'x' }, /the Hub|cannot be reached/],
  [[null], /the Hub/],
  ['x', /the Hub/],
])('a list of files that makes no sense is refused: %j', async (tree, message) => {
  const error = await list(json(tree)).catch((one: unknown) => one);
  expect(error).toBeInstanceOf(UserError);
  expect((error as Error).message).toMatch(message);
  expect((error as Error).message).toMatch(/some\/model|127\.0\.0\.1/);
});

test.each([7, null, 'main', {}])('a commit that is none is refused: %j', async (sha) => {
  await expect(list(json([file]), sha)).rejects.toThrow(
    /some\/model: the Hub names .* as a commit; nothing of it is used/,
  );
});

test('a list that leads back to itself, or on without end, ends', async () => {
  let pages = 0;
  const next =
    (path: (n: number) => string) =>
    (response: ServerResponse, { url }: IncomingMessage, endpoint: string) => {
      response.setHeader('link', `<${endpoint}${url!.split('?')[0]}${path(++pages)}>; rel="next"`);
      response.end('[]');
    };
  await expect(list(next(() => '?again'))).rejects.toThrow(/some\/model: the Hub names a list of files without an end/);
  expect(pages).toBe(2);
  pages = 0;
  await expect(list(next((n) => `?cursor=${n}`))).rejects.toThrow(/a list of files without an end/);
  expect(pages).toBeLessThan(2001);
});

test('a page without an end is not read to its end', async () => {
  let sent = 0;
  const endless = (response: ServerResponse) => {
    const piece = Buffer.alloc(1 << 20, ' ');
    const send = () => {
      while (!response.destroyed && response.write(piece)) sent++;
      response.once('drain', send);
    };
    send();
  };
  await expect(list(endless)).rejects.toThrow(/pages of more than 67108864 bytes/);
  expect(sent).toBeLessThan(200);
});

test('an answer that is no JSON is called so, and not a Hub that cannot be reached', async () => {
  await expect(list((response) => response.end('<html>Log in to this network</html>'))).rejects.toThrow(
    /^http:\/\/127\.0\.0\.1:\d+ answers with what is no JSON \(.*HF_ENDPOINT/,
  );
});

test.each([undefined, 'bytes */3', 'bytes -1-2/3', 'bytes 99999999999999999999-/3'])(
  'a part of a file that does not say which one is refused: %s',
  async (range) => {
    const endpoint = await serving((_, response) =>
      response.writeHead(206, range === undefined ? {} : { 'content-range': range }).end('abc'),
    );
    const opened = openFile(sessionWith(endpoint), { commit: oid, path: 'config.json', offset: 1 }, async () => {});
    const given = range === undefined ? 'null' : JSON.stringify(range);
    await expect(opened).rejects.toThrow(`some/model: the Hub names ${given} as the part of "config.json"`);
  },
);

describe('the token', () => {
  const token = 'hf_s3cr3tToken';
  const sessionOf = (endpoint: string) => {
    const session = sessionWith(endpoint);
    return { ...session, settings: { ...session.settings, token } };
  };
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  /** A server of its own origin, and the credentials of all that it was asked. */
  async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void) {
    const heard: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      heard.push(request.headers.authorization ?? request.headers.cookie);
      answer(request, response);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { heard, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  const info = JSON.stringify({ _id: '0', id: 'some/model', sha: oid, tags: [], siblings: [] });
  const pages = (next?: string) => (request: IncomingMessage, response: ServerResponse) => {
    response.setHeader('content-type', 'application/json');
    if (!request.url!.includes('/tree/')) return response.end(info);
    if (next !== undefined) response.setHeader('link', `<${next}${request.url}>; rel="next"`);
    return response.end(JSON.stringify([file]));
  };

  test.each([301, 302, 303, 307, 308])(
    'goes to the endpoint, and to no other origin that it redirects to (%d)',
    async (status) => {
      const other = await serve((request, response) =>
        request.url!.includes('/resolve/') ? response.end('abc') : pages()(request, response),
      );
      const hub = await serve((request, response) =>
        response.writeHead(status, { location: other.origin + request.url }).end(),
      );
      const { files } = await listRepository(sessionOf(hub.origin));
      expect(files).toHaveLength(1);
      const place = { commit: oid, path: 'config.json', offset: 0 };
      await openFile(sessionOf(hub.origin), place, async ({ body }) => {
        for await (const _ of body);
      });
      expect(hub.heard).toEqual(Array(3).fill(`Bearer ${token}`));
      expect(other.heard).toEqual([undefined, undefined, undefined]);
    },
  );

  test('nor where the next page of a list lies', async () => {
    const other = await serve(pages());
    const hub = await serve(pages(other.origin));
    await listRepository(sessionOf(hub.origin));
    expect(hub.heard).toEqual(Array(2).fill(`Bearer ${token}`));
    expect(other.heard).toEqual([undefined]);
  });

  test('is in no message, even if the server repeats it', async () => {
    const refusing = await serve((_, response) =>
      response.writeHead(403, { 'x-error-message': `${'x'.repeat(290)} bad token ${token}` }).end(),
    );
    const repeating = await serve((_, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(info.replace(oid, token));
    });
    for (const { origin } of [refusing, repeating]) {
      const error: Error = await listRepository(sessionOf(origin)).catch((one) => one);
      expect(error).toBeInstanceOf(UserError);
      expect(error.message).toMatch(/some\/model/);
      expect(error.message).not.toContain('hf_s3');
    }
  });
});
