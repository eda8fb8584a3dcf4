// How long the dashboard takes to show things in a real browser, with folders that bench/dashboard-runs.ts made:
//
//   npx tsx bench/dashboard.ts MANY MILLION
//
// MANY is a folder of many runs, MILLION one with a long run. Prints milliseconds from the request for the page to the
// moment that somebody sees it, first with a server that has just started ("new") and then again ("again"); `sketch` is
// the first picture of the whole long run, from samples of its file, `all` the one in which every value is.
import { serveDashboard } from '#reanchor/serve/index.js';
import { chromePath, launchBrowser } from '../tests/support/browser.js';

const [many, million] = process.argv.slice(2);
if (!many || !million || !chromePath) {
  console.error('usage: npx tsx bench/dashboard.ts MANY MILLION (needs a Chromium: CHROME_PATH)');
  process.exit(2);
}
const browser = await launchBrowser();
for (const [folder, route] of [
  [many, ''],
  [million, '#/run/run-000'],
] as const) {
  await using dashboard = await serveDashboard({ folder, port: 0 });
  for (const state of ['new', 'again']) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    const page = await context.newPage();
    // The browser itself is warm: another page of the same server was open before.
    await page.goto('about:blank');
    const began = performance.now();
    const since = () => Math.round(performance.now() - began);
    await page.goto(`${dashboard.url}${route}`, { waitUntil: 'commit' });
    if (route === '') {
      await page.locator('table.runs tbody tr').first().waitFor();
      const rows = await page.locator('table.runs tbody tr').count();
      console.log(`${state}: ${rows} runs are listed after ${since()} ms`);
    } else {
      await page.locator('.u-wrap canvas').first().waitFor();
      const sketch = since();
      const banner = page.getByText('A sketch from samples');
      const isSketch = (await banner.count()) > 0;
      await banner.waitFor({ state: 'detached', timeout: 120_000 });
      console.log(
        `${state}: the run is drawn after ${sketch} ms${isSketch ? ' (sketch)' : ''}, all of it after ${since()} ms`,
      );
    }
    await context.close();
  }
}
await browser.close();
console.log(`resident memory of the server's process: ${Math.round(process.memoryUsage().rss / 1e6)} MB`);
