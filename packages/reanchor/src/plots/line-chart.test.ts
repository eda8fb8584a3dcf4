import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lineChart } from './line-chart.js';
import { ticks } from './ticks.js';

test('ticks are round, equally spaced, and hold the range', () => {
  expect(ticks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  expect(ticks(0.07, 0.93, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  expect(ticks(-3, 12, 4)).toEqual([-5, 0, 5, 10, 15]);
  const number = fc.double({ min: -1e6, max: 1e6, noNaN: true });
  fc.assert(
    fc.property(number, number, fc.integer({ min: 1, max: 12 }), (a, b, count) => {
      const [low, high] = [Math.min(a, b), Math.max(a, b)];
      fc.pre(high - low > 1e-6);
      const axis = ticks(low, high, count);
      const slack = 1e-6 * (high - low);
      expect(axis[0]).toBeLessThanOrEqual(low + slack);
      expect(axis.at(-1)).toBeGreaterThanOrEqual(high - slack);
      expect(axis.length).toBeLessThan(2 * count + 4);
    }),
  );
});

test('a value alone gets an axis around it', () => {
  expect(ticks(3, 3, 5)).toContain(3);
  expect(ticks(0, 0, 5).length).toBeGreaterThan(1);
});

const chart = (name: string) =>
  lineChart({
    title: 'A & B <c>',
    xLabel: 'x',
    yLabel: 'y',
    series: [
      {
        name,
        points: [
          [0, 0],
          [10, 1],
          [20, Number.NaN],
          [30, 0.5],
        ],
        band: [
          [0, 0, 0.1],
          [30, 0.4, 0.6],
        ],
        dots: true,
      },
      {
        name: 'dashed',
        points: [
          [0, 1],
          [30, 0],
        ],
        dashed: true,
      },
    ],
  });

test('names are escaped, points without a number are left out, and every element is closed', () => {
  const svg = chart('<script>"');
  expect(svg).toContain('A &amp; B &lt;c&gt;');
  expect(svg).not.toContain('<script>');
  expect(svg).not.toContain('NaN');
  expect(svg.match(/<circle/g)).toHaveLength(3);
  const open = [...svg.matchAll(/<(svg|title|desc|style|text)\b/g)].length;
  expect([...svg.matchAll(/<\/(svg|title|desc|style|text)>/g)].length).toBe(open);
});

test('the corners of the data lie at the corners of the plot', () => {
  const svg = lineChart({
    title: 't',
    xLabel: 'x',
    yLabel: 'y',
    series: [
      {
        name: 's',
        points: [
          [0, 0],
          [10, 10],
        ],
      },
    ],
  });
  const [, from, to] = /<polyline points="([\d.]+,[\d.]+) ([\d.]+,[\d.]+)"/.exec(svg)!;
  expect(from).toBe('60,352');
  expect(to).toBe('624,62');
});

test('a label stands above the dot of its point, and a point that is left out takes its label along', () => {
  const points = [[0, 0], [5, Number.NaN], [10, 10]] as const; // biome-ignore format: short
  const series = [{ name: 's', points, dots: true, labels: ['a < b', 'gone', ''] }];
  const svg = lineChart({ title: 't', xLabel: 'x', yLabel: 'y', series });
  expect(svg).toContain(
    'r="3.5" fill="#0072b2"/><text x="60" y="344" text-anchor="middle" font-size="10">a &lt; b</text>',
  );
  expect(svg.match(/font-size="10"/g)).toHaveLength(1);
});

test('a chart without a point is refused', () => {
  expect(() => lineChart({ title: 't', xLabel: 'x', yLabel: 'y', series: [{ name: 's', points: [] }] })).toThrow(
    RangeError,
  );
});
