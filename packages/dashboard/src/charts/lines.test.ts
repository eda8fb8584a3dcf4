import { expect, test } from 'vitest';
import { describe as inWords, type Line, smoothed, toCsv, valueAt } from './lines.js';
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
  expect([0, 1, 4, 5, 9].map((step) => valueAt(line, step))).toEqual([null, 1, 1, -3, -3]);
});

test('smoothing keeps a constant, gaps and the number of values', () => {
  const flat = smoothed({ ...line, mean: [2, 2, 2] }, 0.9).mean;
  for (const value of flat) expect(value).toBeCloseTo(2, 12);
  expect(smoothed(line, 0.5).mean).toEqual([1, null, expect.closeTo((0.25 * 1 + 0.5 * -3) / 0.75, 12)]);
  expect(smoothed(line, 0)).toBe(line);
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
