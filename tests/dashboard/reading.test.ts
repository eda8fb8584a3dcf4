// What a person reads off the page is what the files say; skipped without a browser.
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { readEvents } from '#reanchor/runs/index.js';
import { chromePath } from '../support/browser.js';
import { repositoryRoot } from '../support/repository.js';
import { trainTiny } from './site.js';
import { close, phone, visitedSite } from './visitor.js';

const longName = `sweep/${'soft-alpha-0.6-with-a-cosine-schedule-and-a-warm-up-'.repeat(3)}second-try`;
const results = join(repositoryRoot, 'recipes/study/results/dpo-test.jsonl');
const site = visitedSite(async (runs) => {
  await trainTiny(join(runs, 'texts'), '{ update: fixed }', { generate: '{ prompts: 4, maxNewTokens: 12 }' });
  cpSync(join(runs, 'group/soft'), join(runs, longName), { recursive: true });
  mkdirSync(join(runs, 'study/runs'), { recursive: true });
  cpSync(results, join(runs, 'study/results.jsonl'));
});

/** The evaluations of a run, as its events have them. */
const evaluationsOf = (run: string) =>
  readEvents(join(site.runs, run, 'events.jsonl')).events.flatMap((event) =>
    event.type === 'evaluation' ? [event] : [],
  );

/** The newest value of a metric: not every evaluation has every one. */
const newest = (run: string, name: string) =>
  evaluationsOf(run).findLast(({ metrics }) => name in metrics)!.metrics[name]!;

/** A number as the page has written it; its first one. */
const read = async (place: Locator) =>
  Number(/-?[\d.]+(e-?\d+)?/.exec((await place.innerText()).replaceAll(',', ''))![0]);

/** To four significant digits. */
function expectNear(told: number, value: number) {
  expect(told).toBeCloseTo(value, value === 0 ? 12 : 3 - Math.floor(Math.log10(Math.abs(value))) - 0.31);
}

async function opened(page: Page, landmark: string): Promise<Page> {
  await page.locator(landmark).waitFor();
  return page;
}

describe.skipIf(!chromePath)('what the page says', () => {
  test('a run begins with its newest evaluation, and the change since the one before training', async () => {
    const page = await opened(await site.visitor.open('#/run/texts'), '#headlines');
    const [first, last] = [evaluationsOf('texts').at(0)!, evaluationsOf('texts').at(-1)!];
    expect(first.step).toBe(0);
    const card = (title: string) => page.locator('.headlines dl > div', { hasText: title });
    for (const [title, name] of Object.entries({
      'Reward margin': 'rewards/margins',
      'Reward accuracy': 'rewards/accuracies',
      'KL to the initial model': 'kl/initial',
      'Answer length': 'length/mean',
    })) {
      const [before, now] = [first.metrics[name]!, last.metrics[name]!];
      expectNear(await read(card(title).locator('b')), now);
      expectNear(await read(card(title).locator('.change')), now - before);
    }
    const error = last.metrics['kl/initial_error']!;
    const told = (await card('KL to').locator('b').innerText()).split('±')[1]!;
    expect(Number(told) / error).toBeCloseTo(1, 1);
    expect(await page.locator('.headlines .sub').innerText()).toBe(
      'Of the evaluation after step 10; changes are since that before training.',
    );
    // Its course begins before training too, and its error is no curve of its own.
    const kl = page.getByRole('slider', { name: 'KL to the initial model by step' });
    await kl.focus();
    await page.keyboard.press('Home');
    await expect.poll(() => kl.getAttribute('aria-valuetext')).toBe('step 0: KL to the initial model 0 ± 0');
    const titles = await page.locator('figcaption h3').allInnerTexts();
    expect(titles.filter((title) => /[/_]/.test(title))).toEqual([]);
    await close(page);
  });

  test('curves are smoothed lightly over what was measured, and the choice is remembered', async () => {
    const page = await opened(await site.visitor.open('#/run/hard'), '#recipe');
    const smoothing = page.getByRole('combobox', { name: 'Smoothing' });
    expect(await smoothing.locator(':checked').innerText()).toBe('light');
    const curves = async () => {
      const saving = page.waitForEvent('download');
      await page.getByRole('button', { name: 'Loss: save as SVG' }).first().click();
      const svg = readFileSync(await (await saving).path(), 'utf8');
      return [...svg.matchAll(/<polyline.*?>/g)].map(([line]) => /opacity/.test(line));
    };
    expect(await curves()).toEqual([true, false]);
    // The number beside it is the one that was logged.
    const { events } = readEvents(join(site.runs, 'hard/events.jsonl'));
    const last = events.findLast((event) => event.type === 'step') as { metrics: Record<string, number> };
    const legend = page.locator('figure', { hasText: 'Loss' }).first().locator('.legend b');
    expectNear(await read(legend), last.metrics.loss!);
    await smoothing.selectOption('none');
    await expect.poll(curves).toEqual([false]);
    await page.reload();
    await page.locator('#recipe').waitFor();
    expect(await smoothing.locator(':checked').innerText()).toBe('none');
    await close(page);
  });

  test('a long name takes two lines until it has the focus; labels say what differs', async () => {
    const page = await opened(await site.visitor.open('', { viewport: phone }), 'table.runs tbody tr >> nth=3');
    const link = page.getByRole('link', { name: longName });
    const height = async () => (await link.boundingBox())!.height;
    const clamped = await height();
    expect(clamped).toBeLessThan(60);
    await link.focus();
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Tab');
    await expect.poll(height).toBeGreaterThan(clamped);
    await close(page);

    const ids = ['hard', longName, 'texts'];
    const query = ids.map((id) => `run=${encodeURIComponent(id)}`).join('&');
    const both = await opened(await site.visitor.open(`#/compare?${query}`), '#differences');
    const names = await both.locator('figure.front .legend .name').allInnerTexts();
    expect(names).toEqual(['TR-DPO hard τ 4', 'TR-DPO soft α 0.6', 'DPO']);
    await close(both);
  });

  test('runs that are compared: their newest numbers by method, and each evaluation with its step', async () => {
    const ids = ['texts', 'hard', 'group/soft'];
    const query = ids.map((id) => `run=${encodeURIComponent(id)}`).join('&');
    const page = await opened(await site.visitor.open(`#/compare?${query}`), '#differences');
    const table = page.locator('table.compared');
    expect(await table.locator('th[scope=rowgroup]').allInnerTexts()).toEqual(['DPO', 'TR-DPO HARD', 'TR-DPO SOFT']);
    const titles = await table.locator('thead th').allInnerTexts();
    const cell = (id: string, title: string) =>
      table.locator(`tbody tr:has(a[title="${id}"]) > *`).nth(titles.findIndex((one) => one.startsWith(title)));
    for (const id of ids) {
      expectNear(await read(cell(id, 'KL')), newest(id, 'kl/initial'));
      expectNear(await read(cell(id, 'Accuracy')), newest(id, 'rewards/accuracies'));
    }
    await table.getByRole('button', { name: 'KL' }).click();
    const order = await table
      .locator('tbody tr a')
      .evaluateAll((links) => links.map((link) => link.getAttribute('title')));
    expect(order).toEqual([...ids].sort((a, b) => newest(b, 'kl/initial') - newest(a, 'kl/initial')));
    expect(await table.locator('th[scope=rowgroup]').count()).toBe(0);

    const picture = page.locator('#front-picture');
    const [width, whole] = [(await picture.boundingBox())!.width, (await page.locator('main').boundingBox())!.width];
    expect(width / whole).toBeGreaterThan(0.85);
    const steps = (await picture.locator('text.label').allTextContents()).map(Number);
    for (const step of [5, 10]) expect(steps).toContain(step);
    await close(page);
  });

  test('a study: the end of every run, and the best within a budget, are those of its results', async () => {
    interface Measured {
      arm: string;
      key: Record<string, number>;
      seed: number;
      step: number;
      scores: Record<string, { mean: number }>;
    }
    const rows = readFileSync(results, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Measured);
    const page = await opened(await site.visitor.open('#/study/study'), '#comparisons');
    const grid = page.getByRole('region', { name: 'Grid of arms' });
    for (const [name, arm, beta] of [
      ['dpo beta 0.2', 'dpo', 0.2],
      ['soft beta 1', 'soft', 1],
    ] as const) {
      const cells = grid.getByRole('row', { name }).locator('td');
      expect(await cells.count()).toBe(12);
      for (const [i, seed] of [5, 6, 16].entries()) {
        const of = rows.filter((row) => row.arm === arm && row.key['loss.beta'] === beta && row.seed === seed);
        const last = of.reduce((a, b) => (b.step > a.step ? b : a));
        expectNear(await read(cells.nth([0, 1, 11][i]!)), last.scores.gold!.mean);
      }
    }
    const budgets = page.getByRole('region', { name: 'Table of budgets' });
    const titles = await budgets.locator('thead th').allInnerTexts();
    expect(titles.slice(1).every((title) => /^up to [\d.]+ nats$/.test(title))).toBe(true);
    // More KL is never worse, nothing is beyond its budget, and each says on what interval it stands.
    for (const row of await budgets.locator('tbody tr').all()) {
      const cells = (await row.locator('td').allInnerTexts()).filter((text) => text !== '–');
      const values = cells.map((text) => Number(/[\d.]+/.exec(text)![0]));
      expect(values).toEqual([...values].sort((a, b) => a - b));
      for (const text of cells) expect(text).toMatch(/[\d.]+ to [\d.]+, beta [\d.]+, KL [\d.]+/);
    }
    await close(page);
  });

  test('on paper: light, every chart, and nothing that can only be pressed', async () => {
    const page = await opened(await site.visitor.open('#/run/texts', { colorScheme: 'dark' }), '#recipe');
    const charts = await page.locator('figure.chart').count();
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    await page.evaluate("dispatchEvent(new Event('beforeprint'))");
    expect(charts).toBeGreaterThan(15);
    await expect.poll(() => page.locator('figure.chart canvas').count()).toBe(charts);
    for (const control of ['header', '.exports', '.range', '.help']) {
      expect(await page.locator(control).first().isVisible()).toBe(false);
    }
    expect(await page.evaluate('getComputedStyle(document.body).color')).toBe('rgb(31, 29, 26)');
    await page.evaluate("dispatchEvent(new Event('afterprint'))");
    await page.emulateMedia({ media: 'screen' });
    expect(await page.evaluate('getComputedStyle(document.body).color')).not.toBe('rgb(31, 29, 26)');
    await close(page);
  });
});
