// The dashboard as a person meets it, in a real browser; skipped where there is none.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { readEvents } from '#reanchor/runs/index.js';
import { chromePath } from '../support/browser.js';
import { secret, trainTiny } from './site.js';
import { close, visitedSite } from './visitor.js';

const site = visitedSite();

const open = (route?: string) => site.visitor.open(route);
const routes = {
  run: '#/run/hard',
  toy: '#/toy/toy.json',
};
/** What is seen once a page is complete. */
const landmark = {
  run: '#recipe',
  compare: '#differences',
  evaluation: '#side-by-side',
  toy: '.u-wrap >> nth=2',
};

/** What a saved file holds. */
async function saved(page: Page, button: string): Promise<string> {
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: button, exact: true }).first().click(),
  ]);
  return readFileSync(await download.path(), 'utf8');
}

describe.skipIf(!chromePath)('the dashboard', () => {
  test('lists runs, filters and sorts them, and compares those that are ticked', async () => {
    const page = await open();
    const rows = page.locator('table.runs tbody tr');
    await rows.nth(1).waitFor();
    expect(await page.locator('tbody th a').allInnerTexts()).toEqual(['group/soft', 'hard']);
    const soft = (await rows.nth(0).innerText()).replace(/\s+/g, ' ');
    expect(soft).toMatch(/Finished TR-DPO soft, α 0\.6 10 \/ 10/);
    expect(await rows.nth(0).locator('svg.sparkline polyline').count()).toBe(1);
    // The token has left the address.
    expect(page.url()).not.toContain('token');

    await page.getByRole('searchbox').fill('tr-dpo HARD');
    await expect.poll(() => rows.count()).toBe(1);
    await page.getByRole('searchbox').fill('');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    expect(await page.locator('th[aria-sort=ascending]').innerText()).toContain('Run');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    expect(await page.locator('tbody th a').allInnerTexts()).toEqual(['hard', 'group/soft']);

    expect(await page.getByRole('button', { name: 'Tick runs to compare' }).isDisabled()).toBe(true);
    for (const id of ['hard', 'group/soft']) await page.getByRole('checkbox', { name: `Compare ${id}` }).check();
    await page.getByRole('button', { name: 'Compare 2 runs' }).click();
    await page.getByRole('heading', { name: 'Comparison of 2 runs' }).waitFor();
    await page.locator(landmark.compare).waitFor();
    const differences = page.locator('section[aria-labelledby=differences] tbody tr th');
    expect(await differences.allInnerTexts()).toEqual(['reference.update', 'reference.alpha', 'reference.tau']);
    const slider = page.getByRole('slider', { name: 'Loss by step' });
    expect(await slider.getAttribute('aria-valuetext')).toMatch(
      /^step 10: TR-DPO (hard τ 4|soft α 0\.6) [\d.]+, TR-DPO (hard τ 4|soft α 0\.6) [\d.]+$/,
    );
    await page.getByRole('heading', { name: 'Quality against KL' }).waitFor();
    // Evaluations at 0, 5 and 10 have both numbers.
    expect(await page.locator('#front-picture circle').count()).toBe(6);
    await close(page);
  });

  test('a run: every number that it logged, and every update of its reference', async () => {
    const page = await open(routes.run);
    await page.locator(landmark.run).waitFor();
    const { events } = readEvents(join(site.runs, 'hard/events.jsonl'));
    const steps = events.flatMap((event) => (event.type === 'step' ? [event] : []));
    const updates = events.flatMap((event) => (event.type === 'reference' ? [event.step] : []));
    expect(updates).toEqual([4, 8]);

    const csv = (await saved(page, 'Loss: save data as CSV')).trim().split('\n');
    expect(csv[0]).toBe('step,Loss,reference updates');
    expect(csv.slice(1).map((line) => Number(line.split(',')[0]))).toEqual(steps.map(({ step }) => step));
    for (const [i, { metrics }] of steps.entries()) {
      expect(Number(csv[i + 1]!.split(',')[1])).toBeCloseTo(metrics.loss!, 5);
    }
    const svg = await saved(page, 'Loss: save as SVG');
    expect(svg.match(/stroke-dasharray/g)).toHaveLength(updates.length);
    expect(svg).toContain('<title>Loss</title>');

    const figures = page.locator('section[aria-labelledby=group-Training] figure');
    const words = await figures.locator('p.hidden').allInnerTexts();
    expect(words.length).toBeGreaterThan(10);
    for (const text of words) expect(text).toContain('2 reference updates at step 4, 8.');
    const canvases = page.locator('section[aria-labelledby=group-Training] canvas');
    await expect.poll(() => canvases.count()).toBeGreaterThan(5);
    // On the canvas too: the columns in which the colour of marks stands many times.
    const columns = await page.evaluate(`(() => {
      return [...document.querySelectorAll('section[aria-labelledby=group-Training] canvas')].map((canvas) => {
        const { data, width, height } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        const counts = new Array(width).fill(0);
        for (let i = 0; i < data.length; i += 4)
          if (data[i] === 0xa3 && data[i + 1] === 0x9c && data[i + 2] === 0x90) counts[(i / 4) % width] += 1;
        return counts.filter((count) => count > height / 8).length;
      });
    })()`);
    expect(new Set(columns as number[])).toEqual(new Set([updates.length]));

    const both = page.getByRole('slider', { name: 'Log-probabilities by step' }).first();
    expect(await both.getAttribute('aria-valuetext')).toMatch(/^step 10: chosen -[\d.]+, rejected -[\d.]+$/);
    const text = await page.locator('main').innerText();
    expect(text).toContain('On rows that are not trained on; rewards against the initial model');
    expect(text).toMatch(/reference\.tau\s+4/);
    expect(text).toMatch(/rows left out/);
    expect(text).toContain('hard/final');
    for (const step of [0, 5, 10]) expect(text).toContain(`there was step ${step}`);
    await close(page);
  });

  test('everything can be done with keys, and every metric explains itself', async () => {
    const page = await open(routes.run);
    await page.locator(landmark.run).waitFor();
    const chart = page.getByRole('slider', { name: 'Loss by step' });
    await chart.focus();
    await page.keyboard.press('End');
    for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowLeft');
    await expect.poll(() => chart.getAttribute('aria-valuetext')).toMatch(/^step 7: Loss/);
    await page.keyboard.press('Home');
    await expect.poll(() => chart.getAttribute('aria-valuenow')).toBe('1');

    const help = page.getByRole('button', { name: 'What Rewards means' }).first();
    await help.focus();
    const tooltip = page.getByRole('tooltip');
    expect(await tooltip.innerText()).toMatch(/It often falls below 0 while the margin grows.*rewards\/chosen/s);
    await page.keyboard.press('Escape');
    await tooltip.waitFor({ state: 'detached' });
    // However soon after the text appears the key comes.
    await help.blur();
    const wasShown = await page.evaluate(`(async () => {
      const button = document.querySelector('[aria-label="What Rewards means"]');
      button.focus();
      for (let turns = 0; button.nextSibling.hidden && turns < 100; turns++) await null;
      const isShown = !button.nextSibling.hidden;
      document.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }));
      return isShown;
    })()`);
    expect(wasShown).toBe(true);
    await tooltip.waitFor({ state: 'detached' });

    await page.getByRole('spinbutton', { name: 'First step' }).fill('3');
    await page.keyboard.press('Tab');
    await page.getByRole('button', { name: 'Whole run' }).click();
    await expect.poll(() => page.getByRole('spinbutton', { name: 'First step' }).inputValue()).toBe('0');
    await page.getByRole('combobox', { name: 'Smoothing' }).selectOption('strong');

    await page.getByRole('combobox', { name: 'Colours' }).selectOption('dark');
    await expect.poll(() => page.locator('html').getAttribute('data-theme')).toBe('dark');
    await page.reload();
    expect(await page.locator('html').getAttribute('data-theme')).toBe('dark');
    await close(page);
  });

  test('an evaluation: the matrix with intervals, texts side by side by verdict', async () => {
    const page = await open('#/evaluation');
    await page.locator(landmark.evaluation).waitFor();
    const cell = (row: string, column: number) =>
      page.locator(`.matrix tbody tr:has(th:text-is("${row}")) td`).nth(column);
    expect(await cell('dpo', 0).innerText()).toMatch(/65\.0 %\s+56\.0 to 73\.0\s+60 won, 10 tied, 30 lost/);
    expect(await cell('sft', 1).innerText()).toMatch(/35\.0 %\s+27\.0 to 44\.0\s+30 won, 10 tied, 60 lost/);
    expect(await page.locator('article').count()).toBe(10);
    await page.getByRole('combobox', { name: 'Show' }).selectOption('loss');
    await expect.poll(() => page.locator('article').count()).toBe(6);
    expect(await page.locator('article').first().innerText()).toMatch(
      /Prompt 1\s+dpo\s+dpo wrote 1\s+sft\s*better\s+sft wrote 1 <b>&<\/b>\s+dpo first: A\s+because 1\s+sft first: B/,
    );
    await cell('sft', 1).getByRole('button').click();
    await page.getByRole('heading', { name: 'sft against dpo' }).waitFor();
    expect(await page.locator('article').first().innerText()).toMatch(/Prompt 0\s+sft\s+sft wrote 0.*dpo\s*better/s);
    await cell('sft', 2).getByRole('button').click();
    await page.getByText('The file has no texts of these two').waitFor();
    await close(page);
  });

  test('the toy experiment: its table and curves', async () => {
    const page = await open('#/toy');
    await page.locator(landmark.toy).waitFor();
    expect(await page.locator('tbody tr').count()).toBe(4);
    const csv = await saved(page, 'Chosen trajectories: save data as CSV');
    expect(csv.split('\n')[0]).toContain('vanilla mean,vanilla min,vanilla max');
    await close(page);
  });

  test('a run that is being trained: the list and its page follow it', async () => {
    const [list, page] = [await open(), await open('#/run/live')];
    await page.getByText('no run is named "live"').waitFor();
    const seen: string[] = [];
    let wait = Promise.resolve();
    const training = trainTiny(join(site.runs, 'live'), '{ update: hard, tau: 10 }', {
      steps: 30,
      onEvent: (event) => {
        if (event.type !== 'step' || event.step !== 12) return;
        // In the middle of the run, which goes on while the browser is asked.
        wait = (async () => {
          await list.locator('tr:has-text("live")').first().waitFor();
          const value = page.getByRole('slider', { name: 'Loss by step' });
          await value.waitFor();
          seen.push((await value.getAttribute('aria-valuetext'))!);
        })();
      },
    });
    await Promise.all([training, training.then(() => wait)]);
    expect(Number(/^step (\d+): Loss/.exec(seen[0]!)![1])).toBeGreaterThan(0);
    const value = page.getByRole('slider', { name: 'Loss by step' });
    await expect.poll(() => value.getAttribute('aria-valuenow')).toBe('30');
    await page.getByText('Finished').first().waitFor();
    const words = page.locator('section[aria-labelledby=group-Training] figure p.hidden').first();
    expect(await words.innerText()).toContain('3 reference updates at step 10, 20, 30.');
    await list.locator('tr:has-text("live"):has-text("30 / 30")').waitFor();
    for (const one of [list, page]) await close(one);
    rmSync(join(site.runs, 'live'), { recursive: true });
  });

  test('a run that failed says why above its charts, and in the list in a sentence', async () => {
    await expect(trainTiny(join(site.runs, 'failed'), '{ update: fixed }', { lr: '1.0e+30' })).rejects.toThrow(
      /diverged/,
    );
    const [list, page] = [await open(), await open('#/run/failed')];
    const row = list.locator('tr:has(a:text-is("failed"))');
    await row.waitFor();
    expect(await row.locator('.problem').innerText()).toMatch(/^the .* step \d+ .*\.$/);
    expect(await row.innerText()).toContain('Failed');
    const reason = page.getByRole('alert');
    await page.locator(landmark.run).waitFor();
    expect(await reason.innerText()).toMatch(/^It ended with an error after step \d+: the .*The rows of the step: /s);
    const isAbove = '(([a, b]) => a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING)';
    const order = `${isAbove}([document.querySelector('[role=alert]'), document.querySelector('.headlines')])`;
    expect(await page.evaluate(order)).toBeTruthy();
    // What was measured once, before training, is no curve.
    const evaluation = page.locator('section[aria-labelledby=group-Evaluation]');
    expect(await evaluation.innerText()).toMatch(/before training\s.*Reward accuracy\s+0\.5 share of pairs/is);
    expect(await evaluation.locator('figure').count()).toBe(0);
    for (const one of [list, page]) await close(one);
    rmSync(join(site.runs, 'failed'), { recursive: true });
  });

  test('what the policy writes is shown over training, and beside that of another run', async () => {
    const names = ['texts/one', 'texts/two'];
    for (const [i, name] of names.entries()) {
      const generate = '{ prompts: 4, maxNewTokens: 12 }';
      await trainTiny(join(site.runs, name), `{ update: hard, tau: ${i + 1} }`, { generate });
    }
    const written = names.map((name) =>
      readEvents(join(site.runs, name, 'events.jsonl')).events.flatMap((event) =>
        event.type === 'samples' ? [event] : [],
      ),
    );
    expect(written[0]!.map(({ step }) => step)).toEqual([0, 4, 8, 10]);
    const page = await open('#/run/texts%2Fone');
    const texts = page.locator('section[aria-labelledby=samples]');
    await texts.waitFor();
    const shown = () =>
      texts.locator('article').evaluateAll((articles) => articles.map(({ textContent }) => textContent));
    const title = (step: number) => (step === 0 ? 'before training' : `step ${step}`);
    const expected = (...places: number[]) =>
      written[0]![0]!.samples.map(({ prompt }, i) => {
        const cells = places.map((at) => `${title(written[0]![at]!.step)}${written[0]![at]!.samples[i]!.completion}`);
        return `${prompt.trim()}${cells.join('')}`;
      });
    // The beginning, the middle and the end, and what is ticked besides.
    expect(await shown()).toEqual(expected(0, 2, 3));
    await texts.getByRole('checkbox', { name: '4' }).check();
    await expect.poll(shown).toEqual(expected(0, 1, 2, 3));
    for (const step of ['0', '4', '10']) await texts.getByRole('checkbox', { name: step, exact: true }).uncheck();
    await expect.poll(shown).toEqual(expected(2));
    await close(page);

    const both = await open('#/compare?run=texts%2Fone&run=texts%2Ftwo');
    const columns = both.locator('section[aria-labelledby=samples] article');
    await columns.first().waitFor();
    expect(await columns.evaluateAll((articles) => articles.map(({ textContent }) => textContent))).toEqual(
      written[0]!
        .at(-1)!
        .samples.map(
          ({ prompt, completion }, i) =>
            `${prompt.trim()} τ 1, step 10${completion} τ 2, step 10${written[1]!.at(-1)!.samples[i]!.completion}`,
        ),
    );
    await close(both);
    rmSync(join(site.runs, 'texts'), { recursive: true });
  });

  test('numbers of training never stand for those of evaluations', async () => {
    const page = await open();
    const cells = (id: string) => page.locator(`tr:has(a:text-is("${id}")) td[data-label=Margin]`);
    const last = readEvents(join(site.runs, 'hard/events.jsonl')).events.findLast(({ type }) => type === 'evaluation');
    const margin = (last as { metrics: Record<string, number> }).metrics['rewards/margins']!;
    await cells('hard').waitFor();
    expect(Number(await cells('hard').innerText())).toBeCloseTo(margin, 3);
    expect(await cells('hard').getAttribute('class')).toBe('number');
    const unmeasured = join(site.runs, 'unmeasured');
    cpSync(join(site.runs, 'hard'), unmeasured, { recursive: true });
    const lines = readFileSync(join(unmeasured, 'events.jsonl'), 'utf8').split('\n');
    const isKept = (line: string) => !line.includes('"type":"evaluation"');
    writeFileSync(join(unmeasured, 'events.jsonl'), lines.filter(isKept).join('\n'));
    await cells('unmeasured').waitFor();
    expect(await cells('unmeasured').getAttribute('title')).toMatch(/of the last training step/);
    await close(page);
    rmSync(unmeasured, { recursive: true });
  });

  test('without the token, under another name, from another site, outside of the folder: nothing', async () => {
    const { port, token } = site.visitor.dashboard;
    const ask = (path: string, headers: Record<string, string>) =>
      new Promise<{ status: number; text: string }>((resolve, reject) => {
        const options = { host: '127.0.0.1', port, path, headers: { authorization: `Bearer ${token}`, ...headers } };
        request(options, (answer) => {
          let text = '';
          answer.on('data', (piece) => {
            text += piece;
          });
          answer.on('end', () => resolve({ status: answer.statusCode!, text }));
        })
          .on('error', reject)
          .end();
      });
    const host = `127.0.0.1:${port}`;
    expect((await ask('/api/runs', { host })).status).toBe(200);
    expect((await ask('/api/runs', { host: 'evil.example' })).status).toBe(403);
    expect((await ask('/api/runs', { host, origin: 'http://evil.example' })).status).toBe(403);
    expect((await ask('/api/runs', { host, authorization: 'Bearer x' })).status).toBe(401);
    const list = await ask('/api/runs', { host });
    expect(list.text).toMatch(/lead out of the folder: link/);
    expect(list.text).not.toContain(secret);
    const paths = [
      `/api/series?from=0&to=9&run=${encodeURIComponent(`link/${secret}`)}`,
      `/api/series?from=0&to=9&run=${encodeURIComponent(`../outside/${secret}`)}`,
      `/api/result?id=..%2foutside%2f${encodeURIComponent(secret)}%2frun.json`,
      `/../outside/${encodeURIComponent(secret)}/run.json`,
      '/..%2f..%2fetc%2fpasswd',
      `/link/${encodeURIComponent(secret)}/run.json`,
      '/hard/run.json',
    ];
    for (const path of paths) {
      const { status, text } = await ask(path, { host });
      expect([path, status]).toEqual([path, 404]);
      expect(text).not.toMatch(/llama-tiny|root:/);
    }
  });
});
