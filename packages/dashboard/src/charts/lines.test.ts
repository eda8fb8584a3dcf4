import { expect, test } from 'vitest';
import { describe as inWords, type Line, lineOf, smoothed, toCsv, valueAt } from './lines.js';
import { ticks, toSvg } from './svg.js';

const line: Line = { name: 'a, "b"', color: 0, steps: [1, 2, 5], mean: [1, null, -3], notFinite: 1 };
const ranged: Line = { name: '=c', color: 1, steps: [2, 5], mean: [10, 20], min: [9, 19], max: [11, 21] };
const chart = {
  title: 'T <&>',
  xLabel: 'step',
  lines: [line, ranged],
  marks: [
    { step: 4, count: 1 },
    { step: 5, count: 3 },
  ],
};

test('CSV has every step, an empty cell where a line has no value, and no formula', () => {
  expect(toCsv(chart).split('\n')).toEqual([
    `step,"a, ""b""",'=c mean,'=c min,'=c max,reference updates`,
    '1,1,,,,0',
    '2,,10,9,11,0',
    '4,,,,,1',
    '5,-3,20,19,21,3',
    '',
  ]);
});

test('words say where each line begins, ends and what it stays between, and every update', () => {
  expect(inWords({ ...chart, lines: [ranged], marks: [{ step: 4, count: 1 }] })).toBe(
    '=c: 10 at step 2, 20 at step 5, between 9 and 21. 1 reference update at step 4.',
  );
  expect(inWords(chart)).toContain('4 reference updates');
});

test('the value at a step is that of the last step that has one', () => {
  expect([0, 1, 4, 5, 9].map((step) => valueAt(line, step))).toEqual(['–', '1', '1', '-3', '-3']);
});

test('the running mean keeps a constant, gaps and the values, and begins anew where they jump', () => {
  const flat = smoothed({ ...line, mean: [2, 2, 2] }, 0.9).smooth!;
  for (const value of flat) expect(value).toBeCloseTo(2, 12);
  const { mean, smooth } = smoothed(line, 0.5);
  expect(mean).toEqual([1, null, -3]);
  expect(smooth).toEqual([1, null, expect.closeTo((0.25 * 1 + 0.5 * -3) / 0.75, 12)]);
  // The step of an update is measured before it.
  const steps = { name: '', color: 0, steps: [1, 2, 3, 4], mean: [8, 6, 1, 3] };
  expect(smoothed(steps, 0.5, [2]).smooth).toEqual([
    8,
    expect.closeTo((0.25 * 8 + 0.5 * 6) / 0.75, 12),
    1,
    expect.closeTo((0.25 * 1 + 0.5 * 3) / 0.75, 12),
  ]);
  expect(smoothed(line, 0)).toBe(line);
});

test('a standard error is the band of its metric, stands beside its value and is a column of the CSV', () => {
  const points = { notFinite: 0, first: undefined, last: null };
  const metrics = {
    'kl/initial': { mean: [0, 4.731], ...points },
    'kl/initial_error': { mean: [0, 0.312], ...points },
  };
  const kl = lineOf('KL', 0, { width: 1, steps: [0, 12], metrics }, 'kl/initial');
  expect(kl).toMatchObject({ min: [0, expect.closeTo(4.419, 12)], max: [0, expect.closeTo(5.043, 12)] });
  expect(valueAt(kl, 12)).toBe('4.731 ± 0.31');
  expect(toCsv({ title: 'KL', xLabel: 'step', lines: [kl] })).toBe(
    'step,KL,KL standard error\n0,0,0\n12,4.731,0.312\n',
  );
});

test('SVG draws a dashed line for every update and escapes what is text', () => {
  const svg = toSvg(chart);
  expect(svg.match(/stroke-dasharray/g)).toHaveLength(2);
  expect(svg).toContain('<title>T &lt;&amp;&gt;</title>');
  expect(svg).toContain('a, &quot;b&quot;');
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  expect(toSvg({ title: 'Empty', xLabel: 'step', lines: [] })).not.toMatch(/NaN|undefined|Infinity/);
});

test('ticks are round and cover the range', () => {
  expect(ticks(0.13, 0.97, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  expect(ticks(-464, -62, 4)).toEqual([-600, -400, -200, 0]);
  expect(ticks(7, 7, 5).length).toBeGreaterThan(1);
});
