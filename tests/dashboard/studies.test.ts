// A study on the dashboard while its sweep goes on: the list, its page, and the numbers, which are those of eval front.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { familyCurves } from '#reanchor/eval/front/chart.js';
import { front } from '#reanchor/eval/front/front.js';
import { serveDashboard } from '#reanchor/serve/index.js';
import { Library } from '#reanchor/serve/library.js';
import { ServedFolder } from '#reanchor/serve/served-folder.js';
import { readStudy, sweep } from '#reanchor/sweep/index.js';
import { chromePath, launchBrowser } from '../support/browser.js';
import { tinyStudy } from '../support/tiny-study.js';
import { tinyPairs } from '../support/training.js';

interface Measured {
  arm: string;
  seed: number;
  scores: Record<string, { mean: number }>;
}

const base = mkdtempSync(join(tmpdir(), 'reanchor-studies-'));
const runs = join(base, 'runs');
const out = join(runs, 'group/study');
const file = join(out, 'results.jsonl');
afterAll(() => rmSync(base, { recursive: true }));

const timeout = 180_000;
const goOn = async (only?: string) => sweep({ study: await readStudy(join(base, 'study.yaml')), out, jobs: 2, only });
const library = async () => new Library(await ServedFolder.at(runs));

beforeAll(async () => {
  // Its pairs are there, which takes fewer processes than to make them.
  const study = tinyStudy(base)
    .replace(/ {2}pairs:\n.*(?=replicates: )/s, '')
    .replace(/train: "[^"]*pairs\}", format: explicit/, `train: ${tinyPairs}, maxLength: 64`)
    .replace('over: pairs', 'over: order');
  writeFileSync(join(base, 'study.yaml'), study);
  await goOn('dpo');
}, timeout);

describe.skipIf(!chromePath)('in a browser', () => {
  test('a study is one entry of the list, and its page follows the sweep', { timeout }, async () => {
    await using dashboard = await serveDashboard({ folder: runs, port: 0 });
    const browser = await launchBrowser();
    try {
      const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage();
      const complaints: string[] = [];
      page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      page.setDefaultTimeout(45_000);
      await page.goto(dashboard.url);
      const row = page.locator('table.studies tbody tr');
      await row.waitFor();
      const texts = (await row.innerText()).replace(/\s+/g, ' ');
      expect(texts).toMatch(/^group\/study dpo 2 \/ 4 just now$|^group\/study dpo 2 \/ 4 \d/);
      expect(await page.locator('table.runs').count()).toBe(0);
      await row.getByRole('link').click();
      await page.getByRole('heading', { name: 'Study group/study' }).waitFor();
      await page.getByText('There is one arm so far').waitFor();
      expect(await page.getByText('2 of 4 runs are measured to their end').count()).toBe(1);
      // The courses of two runs, their mean, and where it ends.
      expect(await page.locator('#front-picture g.course').count()).toBe(2);

      await goOn();
      await page.getByText('4 of 4 runs are measured to their end').waitFor();
      const { comparisons } = await front({ runs: [{ name: file, file }], kl: 'kl', quality: 'long' });
      const rows = page.locator('section[aria-labelledby=comparisons] tbody tr');
      expect(await rows.count()).toBe(comparisons.reduce((sum, one) => sum + one.rows.length, 0));
      expect(await page.locator('#front-picture g.course').count()).toBe(4);
      await page.getByRole('checkbox', { name: 'hard' }).uncheck();
      expect(await page.locator('#front-picture g.course').count()).toBe(2);
      await page.getByLabel('Score').selectOption('fluent');
      await page.getByText('Differences in fluent').waitFor();
      const fluent = await front({ runs: [{ name: file, file }], kl: 'kl', quality: 'fluent' });
      const end = fluent.comparisons.find(({ way }) => way === 'end')!.rows[0]!.difference!;
      const told = await rows.filter({ hasText: 'at the end' }).locator('td').nth(2).innerText();
      expect(Number(told) / end).toBeCloseTo(1, 3);

      await page.evaluate(axe.source);
      const found = (await page.evaluate('axe.run({ resultTypes: ["violations"] })')) as axe.AxeResults;
      expect(found.violations.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([]);
      // The end of each run, as the sweep has written it, leads to the run.
      const ends = readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Measured);
      const last = ends.findLast(({ arm, seed }) => arm === 'dpo' && seed === 1)!.scores.fluent!.mean;
      const cell = page.getByRole('row', { name: /^dpo/ }).getByRole('link').first();
      expect(Number(await cell.innerText()) / last).toBeCloseTo(1, 3);
      await cell.click();
      await page.getByRole('heading', { name: /runs\/dpo\/beta=0.1\/seed-1/ }).waitFor();
      expect(complaints).toEqual([]);
    } finally {
      await browser.close();
    }
  });
});

test('the server has the numbers of eval front, in each score, and every run', { timeout }, async () => {
  await goOn();
  const served = await library();
  const { studies } = await served.list();
  expect(studies).toEqual([
    { id: 'group/study', arms: ['dpo', 'hard'], done: 4, of: 4, time: expect.stringMatching(/^20.*Z$/) },
  ]);
  for (const quality of ['long', 'fluent']) {
    const study = await served.study('group/study', quality);
    const results = { name: 'results.jsonl', file };
    const { comparisons, tests, arms, runs: measured } = await front({ runs: [results], kl: 'kl', quality });
    expect(study).toMatchObject({ quality, comparisons, tests, scores: ['long', 'fluent'] });
    const settings = study.settings.map(({ arm, scores }) => ({ arm, ...scores[quality]! }));
    expect(settings).toEqual(arms.map(({ arm, end, best }) => ({ arm, end, best })));
    expect(study.curves).toEqual(familyCurves(measured));
    expect(study.curves.map(({ courses }) => courses.length)).toEqual([2, 2]);
  }
  const { runs: found } = await served.study('group/study', undefined);
  expect(found.map(({ name, status, step }) => `${name.split('/').at(-1)} ${status} ${step}`)).toEqual([
    ...['seed-1 finished 4', 'seed-2 finished 4', 'seed-1 finished 4', 'seed-2 finished 4'],
    expect.stringMatching(/^sft-\w+ finished 2$/),
  ]);
  await expect(served.study('group/study', 'glod')).rejects.toThrow('no score glod; it has long, fluent');
  await expect(served.study('group', undefined)).rejects.toThrow('no study is named "group"');
});

test('a folder with other results is no study, and one whose results are broken is told of', async () => {
  const rows = readFileSync(file, 'utf8');
  const put = (name: string, text: string) => {
    mkdirSync(join(runs, name, 'runs'), { recursive: true });
    writeFileSync(join(runs, name, 'results.jsonl'), text);
  };
  put('other', '{"method": "dpo", "step": 1}\n');
  put('broken', rows.slice(0, -20));
  put('empty', '');
  const served = await library();
  const { studies, notes } = await served.list();
  expect(studies.map(({ id }) => id)).toEqual(['group/study']);
  expect(notes).toEqual([expect.stringMatching(/^not shown as a study: .*broken\/results.jsonl:12: not JSON/)]);
  await expect(served.study('other', undefined)).rejects.toThrow(/holds no results of a sweep/);
  await expect(served.study('empty', undefined)).rejects.toThrow(/holds no results of a sweep/);
  await expect(served.study('broken', undefined)).rejects.toThrow(/broken\/results.jsonl:12: not JSON/);
  // Mended while it is looked at.
  put('broken', rows);
  expect(await served.study('broken', undefined)).toMatchObject({ id: 'broken', done: 4, of: undefined, runs: [] });
});
