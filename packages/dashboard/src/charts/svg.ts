/** A chart as an SVG text of its own, for papers and slides. */
import { number, whole } from '../format.js';
import type { ChartData, Line } from './lines.js';

const colors = ['#0b63b0', '#c2410c', '#0f766e', '#8b3fa8', '#a16207', '#0284a8', '#57534e', '#be185d'];
const [width, height] = [720, 400];
const margin = { top: 64, right: 20, bottom: 46, left: 70 };

export function toSvg(chart: ChartData): string {
  const { title, unit, xLabel, lines, marks = [] } = chart;
  const values = lines.flatMap(({ mean, min = mean, max = mean }) => [...min, ...max]).filter((v) => v !== null);
  const steps = lines.flatMap((line) => [line.steps[0] ?? [], line.steps.at(-1) ?? []].flat());
  const xTicks = ticks(Math.min(...steps), Math.max(...steps), 8);
  const yTicks = ticks(least(values), most(values), 6);
  const x = scale(
    steps.length > 0 ? [Math.min(...steps), Math.max(...steps)] : [0, 1],
    margin.left,
    width - margin.right,
  );
  const y = scale([yTicks[0]!, yTicks.at(-1)!], height - margin.bottom, margin.top);
  const parts = [
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${margin.left}" y="24" font-size="16" font-weight="600">${escaped(title)}</text>`,
    ...yTicks.map(
      (tick) =>
        `${rule(margin.left, width - margin.right, y(tick), y(tick))}${label(margin.left - 8, y(tick) + 4, 'end', number(tick))}`,
    ),
    ...xTicks.map((tick) => label(x(tick), height - margin.bottom + 18, 'middle', whole(tick))),
    ...marks.map(
      ({ step }) =>
        `<line x1="${round(x(step))}" x2="${round(x(step))}" y1="${margin.top}" y2="${height - margin.bottom}" stroke="#78716c" stroke-dasharray="2 3"/>`,
    ),
    ...lines.map((line) => curve(line, x, y)),
    ...legend(lines),
    label((margin.left + width - margin.right) / 2, height - 10, 'middle', xLabel),
    unit
      ? `<text transform="translate(16 ${(margin.top + height - margin.bottom) / 2}) rotate(-90)" text-anchor="middle">${escaped(unit)}</text>`
      : '',
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="12" fill="#292524"><title>${escaped(title)}</title>\n${parts.filter(Boolean).join('\n')}\n</svg>\n`;
}

export type Scale = (value: number) => number;

function curve({ steps, mean, smooth, min, max, color }: Line, x: Scale, y: Scale): string {
  const stroke = colors[color % colors.length]!;
  const pieces: number[][] = [[]];
  for (const [i, value] of mean.entries()) {
    if (value === null) pieces.push([]);
    else pieces.at(-1)!.push(i);
  }
  return pieces
    .filter((piece) => piece.length > 0)
    .map((piece) => {
      const at = (values: readonly (number | null)[]) => (i: number) =>
        `${round(x(steps[i]!))},${round(y(values[i] ?? mean[i]!))}`;
      const band =
        min && max
          ? `<polygon points="${[...piece.map(at(max)), ...[...piece].reverse().map(at(min))].join(' ')}" fill="${stroke}" opacity="0.15"/>`
          : '';
      const [only] = piece;
      if (piece.length === 1)
        return `${band}<circle cx="${round(x(steps[only!]!))}" cy="${round(y(mean[only!]!))}" r="2.5" fill="${stroke}"/>`;
      const drawn = (values: readonly (number | null)[], style: string) =>
        `<polyline points="${piece.map(at(values)).join(' ')}" fill="none" stroke="${stroke}" ${style} stroke-linejoin="round"/>`;
      if (!smooth) return band + drawn(mean, 'stroke-width="1.75"');
      return band + drawn(mean, 'stroke-width="1" opacity="0.35"') + drawn(smooth, 'stroke-width="2"');
    })
    .join('');
}

function legend(lines: readonly Line[]): string[] {
  let left = margin.left;
  return lines.map(({ name, color }) => {
    const text = `<line x1="${left}" x2="${left + 18}" y1="44" y2="44" stroke="${colors[color % colors.length]}" stroke-width="2.5"/>${label(left + 24, 48, 'start', name)}`;
    left += 44 + 6.5 * name.length;
    return text;
  });
}

/** Round numbers from at most `low` to at least `high`, about `count` of them. */
export function ticks(low: number, high: number, count: number): number[] {
  if (!Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  const span = high - low || Math.abs(high) || 1;
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough)!;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

export function scale([low, high]: readonly [number, number], from: number, to: number): Scale {
  return (value) => from + ((value - low) / (high - low || 1)) * (to - from);
}

const least = (values: readonly number[]) => values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
const most = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
const rule = (x1: number, x2: number, y1: number, y2: number) =>
  `<line x1="${x1}" x2="${x2}" y1="${round(y1)}" y2="${round(y2)}" stroke="#e7e5e4"/>`;
const label = (x: number, y: number, anchor: string, text: string) =>
  `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escaped(text)}</text>`;
const round = (value: number) => Math.round(value * 10) / 10;
const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
