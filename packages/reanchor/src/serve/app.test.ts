import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Hono } from 'hono';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseRecipe } from '../recipe/index.js';
import { encodeEvent, type RunEvent } from '../runs/index.js';
import type { RunList } from './api.js';
import { dashboardApp } from './app.js';
import { Library } from './library.js';
import { ServedFolder } from './served-folder.js';

const token = 'the-right-token';
const secret = 'what nobody may see';
let base: string;
let runs: string;
let app: Hono;
const closed = new AbortController();

function makeRun(path: string, events: RunEvent[] = []) {
  mkdirSync(path, { recursive: true });
  const recipe = parseRecipe('{ model: m, method: dpo, reference: { update: soft, alpha: 0.6 }, data: { train: a } }', {
    file: 'r.yaml',
    env: {},
  });
  const info = {
    time: '2026-01-02T03:04:05.678Z',
    command: [secret.length > 0 ? 'reanchor' : ''],
    recipe,
    seed: 1,
    versions: { reanchor: '0', node: '20', torch: '2' },
    machine: { platform: 'linux', arch: 'x64', cpu: 'c', cpus: 2, memory: 1 },
  };
  writeFileSync(join(path, 'run.json'), JSON.stringify(info));
  writeFileSync(join(path, 'events.jsonl'), events.map((event) => `${encodeEvent(event)}\n`).join(''));
}

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), 'dashboard-app-'));
  runs = join(base, 'runs');
  const time = '2026-01-02T03:04:05.678Z';
  makeRun(join(runs, 'first'), [
    { time, type: 'start', steps: 2, rows: 1, validationRows: 0, parameters: 1 },
    { time, type: 'step', step: 1, epoch: 0.5, metrics: { loss: 0.7, 'rewards/margins': Number.NaN } },
    { time, type: 'step', step: 2, epoch: 1, metrics: { loss: 0.6, 'rewards/margins': 1 } },
    { time, type: 'end', steps: 2, seconds: 1 },
  ]);
  makeRun(join(base, 'outside'), [{ time, type: 'warning', message: secret }]);
  const page = new Map([
    ['/index.html', { bytes: Uint8Array.from(Buffer.from('<!doctype html>')), type: 'text/html', etag: '"1"' }],
  ]);
  const library = new Library(await ServedFolder.at(runs));
  app = dashboardApp({ library, token, host: '127.0.0.1', page, closed: closed.signal });
});
afterEach(() => rmSync(base, { recursive: true }));

const bearer = { authorization: `Bearer ${token}` };
const get = (path: string, headers: Record<string, string> = bearer, host = '127.0.0.1:6060') =>
  app.request(`http://127.0.0.1${path}`, { headers: { host, ...headers } });

describe('who may ask', () => {
  it('the page is open, and says nothing; what it asks needs the token in a header, or in the address', async () => {
    for (const path of ['/', '/index.html', '/?token=wrong']) {
      const opened = await get(path, {});
      expect([opened.status, await opened.text()]).toEqual([200, '<!doctype html>']);
    }
    for (const path of ['/api/runs', '/api/runs?x=1']) expect((await get(path)).status).toBe(200);
    expect((await get(`/api/runs?token=${token}`, {})).status).toBe(200);
    expect((await get('/api/runs', { authorization: `bearer  ${token} ` })).status).toBe(200);
  });

  it('no answer leaves a cookie, and none is taken for a token', async () => {
    for (const path of [`/?token=${token}`, `/api/runs?token=${token}`]) {
      expect((await get(path)).headers.get('set-cookie')).toBeNull();
    }
    for (const cookie of [token, `token=${token}`, `reanchor-token=${token}`]) {
      expect((await get('/api/runs', { cookie })).status).toBe(401);
    }
  });

  it.each([
    '/api/runs',
    '/api/stream',
    '/api/series?run=first&from=0&to=1',
    '/api/result?id=a',
    '/api/anything',
    '/api/runs?token=',
    '/api/runs?token=wrong',
    `/api/runs?token=${token}x`,
    `/api/runs?token=wrong&token=${token}`,
    '/%61pi/runs',
  ])('without it %s is refused', async (path) => {
    const answer = await get(path, {});
    expect(answer.status).toBe(401);
    expect(await answer.text()).toContain('open the address that reanchor dashboard printed');
  });

  it.each([`Bearer ${token.slice(0, -1)}`, 'Bearer ', 'Bearer', token, `Basic ${token}`, `Bearer ${token} x`])(
    'the header %j is refused',
    async (authorization) => expect((await get('/api/runs', { authorization })).status).toBe(401),
  );

  it.each(['evil.example', 'evil.example:6060', '127.0.0.1.evil.example', 'localhost@evil.example', '', '10.0.0.1'])(
    'the host name %j is refused',
    async (host) => expect((await get('/api/runs', bearer, host)).status).toBe(403),
  );

  it.each(['localhost:6060', 'LOCALHOST', '127.0.0.1', '[::1]:80', 'localhost:8888'])(
    'the host name %s is allowed',
    async (host) => expect((await get('/api/runs', bearer, host)).status).toBe(200),
  );

  it.each([
    [{ origin: 'http://evil.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ origin: 'http://127.0.0.1:9999' }, 403],
    [{ origin: 'http://127.0.0.1:6060' }, 200],
    [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }, 403],
    [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, 200],
    [{ 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' }, 200],
  ])('a request with %j gets %i', async (headers, status) => {
    expect((await get('/api/runs', { ...bearer, ...headers })).status).toBe(status);
  });

  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('%s is refused', async (method) => {
    const headers = { host: 'localhost', ...bearer };
    expect((await app.request('http://localhost/api/runs', { method, headers })).status).toBe(405);
  });

  it('every answer forbids scripts and resources from elsewhere', async () => {
    for (const answer of [await get('/'), await get('/api/runs'), await get('/api/runs', {})]) {
      const policy = answer.headers.get('content-security-policy')!;
      expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
      expect(policy).not.toMatch(/unsafe|https?:|\*/);
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
      expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    }
  });
});

describe('what is shown', () => {
  it('the runs there are', async () => {
    const { runs, notes } = (await (await get('/api/runs')).json()) as RunList;
    expect(notes).toEqual([]);
    expect(runs).toMatchObject([
      {
        id: 'first',
        status: 'finished',
        method: 'TR-DPO',
        reference: 'soft, α 0.6',
        step: 2,
        steps: 2,
        metrics: { loss: 0.6, 'rewards/margins': 1 },
        sparkline: { metric: 'rewards/margins', values: [null, 1] },
      },
    ]);
  });

  it.each([
    '../outside',
    '..%2foutside',
    '%2e%2e/outside',
    '..%5coutside',
    'first/../../outside',
    'link',
    'link/',
    '/etc',
    '%00',
    'first%00',
  ])('no run outside: %s', async (id) => {
    symlinkSync(join(base, 'outside'), join(runs, 'link'));
    const answer = await get(`/api/series?from=0&to=9&run=${id}`);
    expect(answer.status).toBe(404);
    const stream = await get(`/api/stream?run=${id}`);
    const reader = stream.body!.getReader();
    const first = Buffer.from((await reader.read()).value!).toString();
    await reader.cancel();
    expect(first).toMatch(/^event: problem/);
    expect(first + (await answer.text())).not.toContain(secret);
  });

  it.each([
    '/../outside/run.json',
    '/..%2foutside/run.json',
    '/%2e%2e/outside/run.json',
    '/first/run.json',
    '//etc/passwd',
  ])('no file by its path: %s', async (path) => expect((await get(path)).status).toBe(404));

  it('links that lead outside are told and not followed: folders, files of a run, results', async () => {
    symlinkSync(join(base, 'outside'), join(runs, 'link'));
    makeRun(join(runs, 'second'));
    rmSync(join(runs, 'second/events.jsonl'));
    symlinkSync(join(base, 'outside/events.jsonl'), join(runs, 'second/events.jsonl'));
    writeFileSync(join(base, 'secret.json'), JSON.stringify({ evaluation: 'winrate', secret }));
    symlinkSync(join(base, 'secret.json'), join(runs, 'result.json'));
    symlinkSync(base, join(runs, 'first/checkpoints'));
    const text = await (await get('/api/runs')).text();
    expect(JSON.parse(text).notes[0]).toMatch(/lead out of the folder: .*link/);
    expect(
      JSON.parse(text)
        .runs.map(({ id }: { id: string }) => id)
        .sort(),
    ).toEqual(['first', 'second']);
    const second = await get('/api/series?from=0&to=9&run=second');
    expect(await second.json()).toMatchObject({ steps: { steps: [] } });
    const stream = await get('/api/stream?run=first&run=second');
    const reader = stream.body!.getReader();
    let all = '';
    while (!all.includes('"id":"second"')) all += Buffer.from((await reader.read()).value!).toString();
    await reader.cancel();
    expect(all).toContain('"checkpoints":[]');
    expect(all + text).not.toContain(secret);
    expect((await get('/api/result?id=result.json')).status).toBe(404);
  });

  it('a link inside the folder is followed', async () => {
    makeRun(join(runs, 'second'));
    rmSync(join(runs, 'second/events.jsonl'));
    symlinkSync(join(runs, 'first/events.jsonl'), join(runs, 'second/events.jsonl'));
    expect(await (await get('/api/series?from=0&to=9&run=second')).json()).toMatchObject({ steps: { steps: [1, 2] } });
  });

  it('a run whose run.json is broken says so', async () => {
    writeFileSync(join(runs, 'first/run.json'), '{"recipe":');
    const { runs: list } = (await (await get('/api/runs')).json()) as RunList;
    expect(list[0]).toMatchObject({ id: 'first', problem: expect.stringMatching(/run\.json: not JSON/), step: 2 });
  });

  it('results among the JSON files, and only those', async () => {
    const pair = { model: 'a', other: 'b', n: 3, wins: 1, ties: 0, losses: 2, winRate: 1 / 3 };
    const result = {
      evaluation: 'winrate',
      settings: { model: 'a judge', temperature: 0 },
      names: ['a', 'b'],
      pairs: [{ ...pair, bootstrap: { low: 0, high: 0.7 }, longerWins: null }],
    };
    writeFileSync(join(runs, 'first/winrate.json'), JSON.stringify(result));
    writeFileSync(join(runs, 'settings.json'), '{"seed":1}');
    writeFileSync(join(runs, 'broken.json'), '{');
    const { results } = (await (await get('/api/runs')).json()) as RunList;
    expect(results).toMatchObject([{ id: 'first/winrate.json', kind: 'winrate', title: 'a, b, judged by a judge' }]);
    const one = await (await get('/api/result?id=first/winrate.json')).json();
    expect(one).toMatchObject({
      kind: 'winrate',
      result: { names: ['a', 'b'], settings: { model: 'a judge', level: 0.95 }, pairs: [{ ...pair, rows: [] }] },
    });
    expect((await get('/api/result?id=settings.json')).status).toBe(404);
    expect((await get('/api/result?id=../outside/run.json')).status).toBe(404);
  });
});
