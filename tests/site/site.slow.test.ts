// The site of the documentation as a reader meets it, in a real browser; the pages are skipped where there is none.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import axe from 'axe-core';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromePath, launchBrowser } from '../support/browser.js';
import { repositoryRoot } from '../support/repository.js';

const folder = join(repositoryRoot, 'site/dist');
const types: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

let server: Server;
let browser: Browser;

beforeAll(async () => {
  // A link or an anchor that leads nowhere fails the build.
  execFileSync('npm', ['run', '--silent', 'docs:build'], { cwd: repositoryRoot, stdio: 'pipe' });
  if (!chromePath) return;
  server = createServer(({ url = '/' }, response) => {
    const { pathname } = new URL(url, 'http://site');
    const file = decodeURIComponent(pathname.endsWith('/') ? `${pathname}index.html` : pathname);
    response.setHeader('content-type', types[extname(file)] ?? 'application/octet-stream');
    response.end(readFileSync(join(folder, file)));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  browser = await launchBrowser();
});
afterAll(async () => {
  if (!chromePath) return;
  await browser.close();
  server.close();
});

/** One page of each kind: tables, formulas and pictures, code, long output, keys, a function. */
const pages = [
  '/',
  '/contents.html',
  '/guide/start.html',
  '/guide/tr-dpo.html',
  '/guide/troubleshooting.html',
  '/log/study.html',
  '/reference/recipe.html',
  '/api/reanchor/',
  '/api/reanchor/functions/loadModel.html',
];

describe.skipIf(!chromePath)('the site', () => {
  test.each(['light', 'dark'] as const)(
    '%s: nothing serious, nothing from elsewhere, no page is too wide',
    async (colorScheme) => {
      for (const width of [1400, 390]) {
        const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
        const page = await context.newPage();
        const { port } = server.address() as AddressInfo;
        const complaints: string[] = [];
        page.on('pageerror', (error) => complaints.push(error.message));
        page.on('request', (request) => {
          const { protocol, host } = new URL(request.url());
          if (protocol.startsWith('http') && host !== `127.0.0.1:${port}`) complaints.push(request.url());
        });
        for (const path of pages) {
          await page.goto(`http://127.0.0.1:${port}${path}`, { waitUntil: 'networkidle' });
          await page.evaluate(axe.source);
          const { violations } = (await page.evaluate('axe.run()')) as axe.AxeResults;
          const found = violations
            .filter(({ impact }) => impact === 'serious' || impact === 'critical')
            .map(({ id, nodes }) => `${path} at ${width}: ${id}: ${nodes[0]?.html.slice(0, 200)} (${nodes.length})`);
          complaints.push(...found);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          if (wide > 0) complaints.push(`${path} at ${width}: ${wide} pixels too wide`);
        }
        expect(complaints).toEqual([]);
        await context.close();
      }
    },
  );

  test('the search finds a page by its words', async () => {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { waitUntil: 'networkidle' });
    await page.keyboard.press('Control+k');
    await page.getByRole('searchbox').fill('KL explodes');
    await expect
      .poll(() => page.locator('#localsearch-list a').first().getAttribute('href'))
      .toContain('/guide/troubleshooting.html#kl-explodes');
    await page.close();
  });
});
