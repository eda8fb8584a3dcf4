/** The dashboard's HTTP interface; api.ts has its types. */
import { setMaxListeners } from 'node:events';
import { type Context, Hono } from 'hono';
import { stream } from 'hono/streaming';
import { UserError } from '../errors.js';
import { sendFeeds } from './feed.js';
import { Feeds } from './feeds.js';
import { allowedHosts, givenToken, hostOf, isSame } from './guard.js';
import type { Library } from './library.js';
import type { StaticFile } from './static-files.js';

export interface AppOptions {
  library: Library;
  token: string;
  /** The host that the server listens on. */
  host: string;
  page: ReadonlyMap<string, StaticFile>;
  /** Aborted when the server is closed: open streams then end. */
  closed: AbortSignal;
}

/** Runs that one page may follow at once. */
const mostFollowed = 32;

const headers = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

export function dashboardApp({ library, token, host, page, closed }: AppOptions): Hono {
  const app = new Hono();
  const hosts = allowedHosts(host);
  const feeds = new Feeds(library);
  // Each open stream listens.
  setMaxListeners(0, closed);

  app.use(async (c, next) => {
    for (const [name, value] of Object.entries(headers)) c.header(name, value);
    const refusal = refusalOf(c, hosts);
    if (refusal) return c.text(`${refusal.why}\n`, refusal.status);
    return next();
  });
  // The page's own files say nothing of the runs, and a browser can send no header with its request for them.
  app.use('/api/*', async (c, next) => {
    if (isSame(givenToken(c.req.header('authorization'), c.req.query('token')), token)) return next();
    return c.text('the token is missing or wrong: open the address that reanchor dashboard printed\n', 401);
  });

  app.get('/api/runs', async (c) => c.json(await library.list()));
  app.get('/api/series', async (c) => {
    const [from, to] = [c.req.query('from'), c.req.query('to')].map(Number) as [number, number];
    if (!(from >= 0 && to >= from)) return c.text('from and to are steps, from 0 on\n', 400);
    return c.json(await library.zoom(c.req.query('run') ?? '', from, to));
  });
  app.get('/api/result', async (c) => c.json(await library.result(c.req.query('id') ?? '')));
  app.get('/api/stream', (c) => {
    const runs = c.req.queries('run') ?? [];
    if (runs.length > mostFollowed) return c.text(`at most ${mostFollowed} runs can be followed at once\n`, 400);
    const list = c.req.query('list') === '1' ? [feeds.list()] : [];
    const study = c.req.query('study');
    const studies = study === undefined ? [] : [feeds.study(study, c.req.query('quality'))];
    const followed = [...list, ...studies, ...[...new Set(runs)].map((id) => feeds.run(id))];
    c.header('content-type', 'text/event-stream');
    return stream(c, async (body) => {
      const stop = new AbortController();
      body.onAbort(() => stop.abort());
      closed.addEventListener('abort', () => stop.abort(), { signal: stop.signal });
      if (!closed.aborted) await sendFeeds(followed, stop.signal, (message) => body.write(message));
      stop.abort();
    });
  });

  app.get('*', (c) => {
    const file = page.get(c.req.path === '/' ? '/index.html' : c.req.path);
    if (!file) return c.text('not found\n', 404);
    c.header('cache-control', 'no-cache');
    c.header('etag', file.etag);
    if (c.req.header('if-none-match') === file.etag) return c.body(null, 304);
    return c.body(file.bytes, 200, { 'content-type': file.type });
  });

  app.onError((error, c) => {
    if (error instanceof UserError || 'syscall' in error) return c.text(`${error.message}\n`, 404);
    throw error;
  });
  return app;
}

function refusalOf(c: Context, hosts: ReadonlySet<string>): { status: 403 | 405; why: string } | undefined {
  if (c.req.method !== 'GET' && c.req.method !== 'HEAD') return { status: 405, why: 'only GET and HEAD are allowed' };
  const header = c.req.header('host');
  const name = hostOf(header);
  if (name === undefined || !hosts.has(name)) {
    return { status: 403, why: 'this host name is not one of the dashboard: use the address that the command printed' };
  }
  const origin = c.req.header('origin');
  if (origin !== undefined && origin !== `http://${header}` && origin !== `https://${header}`) {
    return { status: 403, why: 'requests from other sites are refused' };
  }
  // A link from elsewhere may open the page; no other site may load anything.
  const site = c.req.header('sec-fetch-site');
  if (site === 'cross-site' && c.req.header('sec-fetch-mode') !== 'navigate') {
    return { status: 403, why: 'requests from other sites are refused' };
  }
  return undefined;
}
