// Every page in both themes, on a screen and a phone: axe, what overhangs, and what moves. Skipped without a browser.
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { chromePath } from '../support/browser.js';
import { repositoryRoot } from '../support/repository.js';
import { trainTiny } from './site.js';
import { close, phone, visitedSite, wide } from './visitor.js';

const site = visitedSite(async (runs) => {
  await expect(trainTiny(join(runs, 'failed'), '{ update: fixed }', { lr: '1.0e+30' })).rejects.toThrow(/diverged/);
  await trainTiny(join(runs, 'texts'), '{ update: fixed }', { generate: '{ prompts: 4, maxNewTokens: 12 }' });
  mkdirSync(join(runs, 'study/runs'), { recursive: true });
  cpSync(join(repositoryRoot, 'recipes/study/results/dpo-test.jsonl'), join(runs, 'study/results.jsonl'));
});

/** Each page, and what is seen once it is complete. */
const pages: Record<string, [route: string, landmark: string]> = {
  runs: ['', 'table.runs tbody tr >> nth=2'],
  run: ['#/run/texts', '#recipe'],
  failed: ['#/run/failed', '#recipe'],
  missing: ['#/run/nowhere', '.banner'],
  compare: ['#/compare?run=hard&run=group%2Fsoft&run=texts', '#differences'],
  study: ['#/study/study', '#comparisons'],
  evaluation: ['#/evaluation/winrate.json', '#side-by-side'],
  toy: ['#/toy/toy.json', '.u-wrap >> nth=2'],
};

/** By all rules, or by these alone. */
async function seriousProblems(page: Page, rules?: readonly string[]): Promise<string[]> {
  const options = { resultTypes: ['violations'], ...(rules && { runOnly: rules }) };
  const found = (await page.evaluate(`axe.run(${JSON.stringify(options)})`)) as axe.AxeResults;
  return found.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes[0]!.html} ${nodes[0]!.failureSummary}`);
}

describe.skipIf(!chromePath)('for everybody', () => {
  test.each(Object.keys(pages))('axe finds nothing serious, and nothing overhangs: %s', async (name) => {
    const [route, landmark] = pages[name]!;
    const page = await site.visitor.open(route, { colorScheme: 'light' });
    await page.locator(landmark).waitFor();
    await page.evaluate(axe.source);
    for (const size of [wide, phone]) {
      await page.setViewportSize(size);
      const overhang = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
      await expect.poll(() => page.evaluate(overhang)).toBe(0);
      await page.emulateMedia({ colorScheme: 'light' });
      // Asked again while there is something: a table learns a frame after the page that it scrolls now.
      await expect.poll(() => seriousProblems(page)).toEqual([]);
      // The themes differ in their colours alone.
      await page.emulateMedia({ colorScheme: 'dark' });
      await expect.poll(() => seriousProblems(page, ['color-contrast'])).toEqual([]);
    }
    await close(page);
  });

  test('a table that is wider than a phone has a shadow where it goes on, and keys scroll it', async () => {
    const page = await site.visitor.open(pages.study![0], { viewport: phone, reducedMotion: 'reduce' });
    const table = page.getByRole('region', { name: 'Table of settings' });
    await table.waitFor();
    const shadow = () =>
      page.evaluate<string>(
        `getComputedStyle(document.querySelector('section[aria-label="Table of settings"]')).boxShadow`,
      );
    /** Horizontal offsets of the shadows that have a colour: to the right of 0 on the left side. */
    const sides = async () =>
      [...(await shadow()).matchAll(/rgba?\(([^)]*)\) (-?[\d.]+)px/g)]
        .filter(([, color]) => !color!.endsWith(', 0'))
        .map(([, , offset]) => (Number(offset) > 0 ? 'left' : 'right'));
    await expect.poll(sides).toEqual(['right']);
    await table.focus();
    await page.keyboard.press('ArrowRight');
    await expect.poll(sides).toEqual(['left', 'right']);
    // The setting of a row stays in sight.
    const first = table.locator('tbody th').first();
    await expect.poll(async () => (await first.boundingBox())!.x).toBeGreaterThanOrEqual(0);
    await page.setViewportSize({ width: 2400, height: 900 });
    await expect.poll(sides).toEqual([]);
    expect(await table.getAttribute('tabindex')).toBe(null);
    await close(page);
  });

  test('nothing moves for those who ask for that', async () => {
    const page = await site.visitor.open('', { reducedMotion: 'reduce' });
    await page.locator(pages.runs![1]).waitFor();
    const moving = () =>
      page.evaluate(`(() => {
        const dot = document.createElement('span');
        dot.className = 'status running';
        document.body.append(dot);
        const { animationName } = getComputedStyle(dot, '::before');
        dot.remove();
        return animationName;
      })()`);
    expect(await moving()).toBe('none');
    await page.emulateMedia({ reducedMotion: 'no-preference' });
    expect(await moving()).toBe('pulse');
    await close(page);
  });
});
