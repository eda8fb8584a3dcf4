import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { differences, flat } from './data/recipe.js';
import { ago, duration, modelName, number, shortNames } from './format.js';
import { chartSections, metricText } from './metrics.js';
import { compareHref, parseRoute, resultHref, runHref, studyHref } from './router.js';

test('addresses come back as they were, whatever a run is called', () => {
  for (const id of ['a', 'group/soft', 'ü 100%?&#/x', '.', '..']) {
    expect(parseRoute(runHref(id))).toEqual({ page: 'run', id });
    expect(parseRoute(studyHref(id))).toEqual({ page: 'study', id });
    expect(parseRoute(resultHref('toy', id))).toEqual({ page: 'toy', id });
    expect(parseRoute(compareHref([id, 'b']))).toEqual({ page: 'compare', ids: [id, 'b'] });
  }
  expect(parseRoute('')).toEqual({ page: 'runs' });
  expect(parseRoute('#/run/%')).toEqual({ page: 'run', id: '%' });
  expect(parseRoute('#/evaluation')).toEqual({ page: 'evaluation', id: undefined });
});

test('every metric that training logs is explained in two sentences', () => {
  const source = ['train/objectives/pairs.ts', 'train/step-metrics.ts', 'driver/step-log.ts']
    .map((file) => readFileSync(new URL(`../../reanchor/src/${file}`, import.meta.url), 'utf8'))
    .join('');
  const key = /^ +'?((?:rewards|logps|memory)\/\w+|grad_norm|learning_rate|num_tokens|tokens_per_second)'?:/gm;
  const names = [...source.matchAll(key)].map(([, name]) => name!);
  expect(names.length).toBeGreaterThan(11);
  for (const name of [...names, 'loss', 'reference/distance', 'reference/version', 'kl/initial']) {
    const { help, title } = metricText(name);
    expect(title, name).not.toBe(name);
    expect(help.match(/[.:](?= |$)/g)!.length, name).toBeGreaterThanOrEqual(2);
  }
});

test('chosen and rejected share a chart, and an unknown metric has its own', () => {
  const sections = chartSections(['loss', 'logps/rejected', 'logps/chosen', 'mine']);
  expect(sections.map(({ title, charts }) => [title, charts.map(({ metrics }) => metrics)])).toEqual([
    ['Objective', [['loss'], ['logps/chosen', 'logps/rejected']]],
    ['More', [['mine']]],
  ]);
});

test('recipes differ where a value is another one, or missing', () => {
  const [a, b] = [
    { method: 'dpo', reference: { update: 'hard', tau: 4 }, data: { train: ['x', 'y'] } },
    { method: 'dpo', reference: { update: 'soft' }, data: { train: ['x'] } },
  ];
  expect(flat(a)).toContainEqual(['data.train', '["x","y"]']);
  expect(differences([a, b]).map(({ key, values }) => [key, ...values])).toEqual([
    ['reference.update', 'hard', 'soft'],
    ['reference.tau', '4', undefined],
    ['data.train', '["x","y"]', '["x"]'],
  ]);
});

test('names leave out what says nothing', () => {
  const paths = ['runs/a/final', 'runs/a/checkpoints/step-000512', 'models/m', 'final', ''];
  expect(paths.map(modelName)).toEqual(['a', 'a, step 512', 'm', 'final', '']);
  expect(shortNames(['q/a', 'q/b/c'])).toEqual(['a', 'b/c']);
  expect(shortNames(['q/a'])).toEqual(['q/a']);
  expect(shortNames(['a', 'a/b'])).toEqual(['a', 'a/b']);
});

test('numbers and times are short', () => {
  expect([0, Math.LN2, 1234.5, 12_345.6, -464.21, 1.2e-7, 2.5e9, null, Number.NaN].map(number)).toEqual([
    '0',
    '0.6931',
    '1,235',
    '12,350',
    '-464.2',
    '1.2e-7',
    '2.5 G',
    '–',
    'NaN',
  ]);
  expect([5, 65, 7500].map(duration)).toEqual(['5 s', '1 min 5 s', '2 h 5 min']);
  const now = Date.parse('2026-01-02T00:00:00Z');
  expect(ago('2026-01-01T23:57:00Z', now)).toBe('3 minutes ago');
  expect(ago('2025-01-01T10:20:00Z', now)).toBe('2025-01-01 10:20 UTC');
});
