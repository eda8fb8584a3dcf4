// Who gets in by a browser, and what other servers on the machine hear; skipped where there is none.
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openingPage } from '#reanchor/cli/dashboard.js';
import { encodeEvent } from '#reanchor/runs/index.js';
import { type Dashboard, serveDashboard } from '#reanchor/serve/index.js';
import { chromePath, launchBrowser } from '../support/browser.js';

let base: string;
let folder: string;
let browser: Browser;
let dashboard: Dashboard;
let context: BrowserContext;

beforeAll(async () => {
  if (!chromePath) return;
  base = mkdtempSync(join(tmpdir(), 'reanchor-door-'));
  folder = join(base, 'runs');
  mkdirSync(join(folder, 'mine'), { recursive: true });
  writeFileSync(join(folder, 'mine/run.json'), '{}');
  const time = '2026-01-02T03:04:05.678Z';
  const step = (step: number) => encodeEvent({ time, type: 'step', step, epoch: step, metrics: { loss: step } });
  writeFileSync(join(folder, 'mine/events.jsonl'), `${step(1)}\n${step(2)}\n`);
  browser = await launchBrowser();
  dashboard = await serveDashboard({ folder, port: 0 });
});
afterAll(async () => {
  if (!chromePath) return;
  await browser.close();
  await dashboard[Symbol.asyncDispose]();
  rmSync(base, { recursive: true });
});
beforeEach(async () => {
  if (chromePath) context = await browser.newContext();
});
afterEach(() => context?.close());

const origin = () => new URL(dashboard.url).origin;
const row = (page: Page) => page.locator('tr:has(a:text-is("mine"))').waitFor();
const refused = (page: Page) => page.getByText('This dashboard is not open to this page').waitFor();

async function open(url: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

/** A server of somebody else on another port of this machine; `heard` is all that browsers sent to it. */
async function neighbour(): Promise<{ server: Server; heard: string[]; url: string }> {
  const heard: string[] = [];
  const server = createServer(({ url, rawHeaders }, answer) => {
    heard.push([url, ...rawHeaders].join('\n'));
    answer.setHeader('content-type', 'text/html').end('<p>other service</p>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, heard, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

describe.skipIf(!chromePath)('the door of the dashboard', () => {
  test('the token leaves the address, and is in no cookie: another port gets nothing of it', async () => {
    const { server, heard, url } = await neighbour();
    const page = await open(dashboard.url);
    await row(page);
    expect(page.url()).toBe(`${origin()}/`);
    expect(await context.cookies()).toEqual([]);
    const other = await open(url);
    expect(await other.evaluate('JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }])')).toBe(
      '["",{},{}]',
    );
    // By a link too, with whatever a browser tells of where it comes from.
    await page.evaluate(`location.href = '${url}?link'`);
    await page.waitForURL(`${url}?link`);
    expect(heard.length).toBeGreaterThanOrEqual(2);
    const telling = new RegExp(`${dashboard.token}|cookie|${new URL(dashboard.url).host}`, 'i');
    for (const request of heard) expect(request).not.toMatch(telling);
    server.closeAllConnections();
    server.close();
  });

  test('a reload, a second tab, a bookmark and a link that is opened in a new tab have it too', async () => {
    const page = await open(dashboard.url);
    await row(page);
    await page.reload();
    await row(page);
    await row(await open(origin()));
    const bookmark = await open(`${origin()}/#/run/mine`);
    await bookmark.getByRole('slider', { name: 'Loss by step' }).waitFor();
    const [fresh] = await Promise.all([
      context.waitForEvent('page'),
      page.getByRole('link', { name: 'mine' }).click({ modifiers: ['ControlOrMeta'] }),
    ]);
    await fresh.getByRole('slider', { name: 'Loss by step' }).waitFor();
  });

  test('without it, or with a wrong one, the page says what to do and shows nothing', async () => {
    for (const url of [origin(), `${origin()}/?token=wrong`, `${origin()}/?token=`, `${origin()}/#/run/mine`]) {
      const page = await open(url);
      await refused(page);
      expect(await page.locator('body').innerText()).toContain('open the address that reanchor dashboard printed');
      expect(await page.locator('tr, figure').count()).toBe(0);
      expect(page.url()).not.toContain('token');
    }
  });

  test('a link with a wrong one does not shut out a browser that has the right one', async () => {
    await row(await open(dashboard.url));
    for (const url of [`${origin()}/?token=wrong`, origin()]) await row(await open(url));
  });

  test('a dashboard that is started anew is opened in one tab, and the others go on', async () => {
    const copy = join(base, 'copy');
    cpSync(folder, copy, { recursive: true });
    const first = await serveDashboard({ folder: copy, port: 0 });
    const old = await context.newPage();
    await old.clock.install();
    await old.goto(first.url);
    await row(old);
    await first[Symbol.asyncDispose]();
    await old.getByText('The server does not answer').waitFor();
    await using second = await serveDashboard({ folder: copy, port: first.port });
    await old.clock.runFor(3000);
    await refused(old);
    await row(await open(second.url));
    await old.clock.runFor(3000);
    await old.locator('.banner').waitFor({ state: 'detached' });
    await row(old);
  });

  test('the file that --open names to the browser leads to it', async () => {
    const file = join(base, 'dashboard.html');
    writeFileSync(file, openingPage(dashboard.url));
    const page = await open(pathToFileURL(file).href);
    await row(page);
    expect(page.url()).toBe(`${origin()}/`);
  });
});
