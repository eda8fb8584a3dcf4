/** Line charts as SVG texts: axes with round numbers, a legend, readable on light and dark pages. No browser needed. */
import { ticks } from './ticks.js';

type Point = readonly [x: number, y: number];

export interface Series {
  /** Its entry in the legend; without one it has none. */
  name: string | undefined;
  points: readonly Point[];
  /** A shaded range around the line: x, lower and upper y. */
  band?: readonly (readonly [x: number, low: number, high: number])[] | undefined;
  /** Whether the points are shown as dots; for few points. */
  dots?: boolean | undefined;
  /** A text above each dot, in the order of points. */
  labels?: readonly string[] | undefined;
  /** A dashed line. */
  dashed?: boolean | undefined;
  /** Which colour, so that several series can share one. Default: its own place among the series. */
  color?: number | undefined;
  /** Of the line, in pixels. Default: 2. */
  width?: number | undefined;
}

export interface ChartOptions {
  title: string;
  /** What the chart shows, for people who cannot see it. */
  description?: string | undefined;
  xLabel: string;
  yLabel: string;
  series: readonly Series[];
  /** Default: 640 x 400. */
  width?: number | undefined;
  height?: number | undefined;
  /** The range of y; that of the points when left out. */
  yRange?: readonly [number, number] | undefined;
}

// Okabe and Ito's palette without yellow: told apart by people with any colour vision, on white and on black.
const colors = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#999999'];
const margin = { top: 44, right: 16, bottom: 48, left: 60 };
const legendLine = 18;

/** The SVG text of a chart. Points that are not finite are left out. Errors: RangeError for a chart without a point. */
export function lineChart(options: ChartOptions): string {
  const { title, xLabel, yLabel, description = title, width = 640, height = 400 } = options;
  const series = options.series.map((one) => ({
    ...one,
    points: one.points.filter((point) => point.every(Number.isFinite)),
    labels: one.labels?.filter((_, i) => one.points[i]?.every(Number.isFinite)),
  }));
  const points = series.flatMap((one) => [
    ...one.points,
    ...(one.band ?? []).flatMap(([x, a, b]): Point[] => [
      [x, a],
      [x, b],
    ]),
  ]);
  if (points.length === 0) throw new RangeError(`the chart ${JSON.stringify(title)} has no point to show`);
  const colorOf = (i: number) => colors[(series[i]!.color ?? i) % colors.length]!;
  const legend = legendRows(series, width - margin.left - margin.right);
  const top = margin.top + legend.length * legendLine;
  const xTicks = ticks(...extent(points.map(([x]) => x)), Math.floor(width / 90));
  const yTicks = ticks(...(options.yRange ?? extent(points.map(([, y]) => y))), Math.floor(height / 55));
  const x = scale(xTicks, margin.left, width - margin.right);
  const y = scale(yTicks, height - margin.bottom, top);
  const at = ([px, py]: Point) => `${round(x(px))},${round(y(py))}`;

  const grid = [
    ...yTicks.map((tick) => {
      const line = `<line x1="${margin.left}" x2="${width - margin.right}" y1="${round(y(tick))}" y2="${round(y(tick))}" class="grid"/>`;
      return `${line}<text x="${margin.left - 8}" y="${round(y(tick) + 4)}" text-anchor="end">${number(tick)}</text>`;
    }),
    ...xTicks.map((tick) => {
      const text = `<text x="${round(x(tick))}" y="${height - margin.bottom + 18}" text-anchor="middle">${number(tick)}</text>`;
      return `<line x1="${round(x(tick))}" x2="${round(x(tick))}" y1="${top}" y2="${height - margin.bottom}" class="grid"/>${text}`;
    }),
  ];
  const lines = series.map(({ points, band, dots, labels = [], dashed, width: stroke = 2 }, i) => {
    const color = colorOf(i);
    const area = band && [
      ...band.map(([px, , high]) => at([px, high])),
      ...[...band].reverse().map(([px, low]) => at([px, low])),
    ];
    return [
      area ? `<polygon points="${area.join(' ')}" fill="${color}" opacity="0.15"/>` : '',
      `<polyline points="${points.map(at).join(' ')}" fill="none" stroke="${color}" stroke-width="${stroke}"${dashed ? ' stroke-dasharray="6 4"' : ''}/>`,
      ...(dots ? points.map(([px, py], i) => dot([x(px), y(py)], color, labels[i])) : []),
    ].join('');
  });
  const entries = legend.flatMap((row, line) =>
    row.map(({ index, offset }) => {
      const [left, middle] = [margin.left + offset, margin.top + line * legendLine];
      const stroke = `stroke="${colorOf(index)}" stroke-width="3"${series[index]!.dashed ? ' stroke-dasharray="6 4"' : ''}`;
      return `<line x1="${left}" x2="${left + 20}" y1="${middle}" y2="${middle}" ${stroke}/><text x="${left + 26}" y="${middle + 4}">${escaped(series[index]!.name!)}</text>`;
    }),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}" font-family="system-ui, sans-serif" font-size="12">`,
    `<title>${escaped(title)}</title><desc>${escaped(description)}</desc>`,
    style,
    `<rect width="${width}" height="${height}" class="page"/>`,
    `<text x="${margin.left}" y="22" font-size="15" font-weight="600">${escaped(title)}</text>`,
    ...entries,
    ...grid,
    ...lines,
    `<text x="${round((margin.left + width - margin.right) / 2)}" y="${height - 8}" text-anchor="middle">${escaped(xLabel)}</text>`,
    `<text transform="translate(14 ${round((top + height - margin.bottom) / 2)}) rotate(-90)" text-anchor="middle">${escaped(yLabel)}</text>`,
    '</svg>',
    '',
  ].join('\n');
}

function dot([x, y]: Point, color: string, label = ''): string {
  const circle = `<circle cx="${round(x)}" cy="${round(y)}" r="3.5" fill="${color}"/>`;
  const text = `<text x="${round(x)}" y="${round(y - 8)}" text-anchor="middle" font-size="10">${escaped(label)}</text>`;
  return label === '' ? circle : circle + text;
}

const style =
  '<style>.page{fill:#fff}text{fill:#222}.grid{stroke:#8884;stroke-width:1}@media(prefers-color-scheme:dark){.page{fill:#111}text{fill:#ddd}}</style>';

/** The entries of the legend in rows that fit the width: the index of each series and its offset from the left. */
function legendRows(series: readonly Series[], width: number): { index: number; offset: number }[][] {
  const rows: { index: number; offset: number }[][] = [];
  let end = Number.POSITIVE_INFINITY;
  for (const [index, { name }] of series.entries()) {
    if (name === undefined) continue;
    // A character takes about 7 units.
    const needed = 44 + 7 * name.length;
    if (end + needed > width) {
      rows.push([]);
      end = 0;
    }
    rows.at(-1)!.push({ index, offset: end });
    end += needed;
  }
  return rows;
}

function scale(axis: readonly number[], from: number, to: number): (value: number) => number {
  const [low, high] = [axis[0]!, axis.at(-1)!];
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

const extent = (values: readonly number[]): [number, number] =>
  values.reduce<[number, number]>(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);
const round = (value: number) => Math.round(value * 10) / 10;
const number = (value: number) =>
  Math.abs(value) >= 10_000 ? value.toExponential() : `${Number(value.toPrecision(6))}`;
const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
