import type { ReferenceMark, SeriesPoints } from 'reanchor/serve';
import { estimate, number } from '../format.js';
import { errorName } from '../metrics.js';

type Values = readonly (number | null)[];

/** A curve: values over steps; null where there is none. */
export interface Line {
  name: string;
  /** Place in the palette. */
  color: number;
  steps: readonly number[];
  mean: Values;
  /** What is drawn over a faint line of the values themselves: their running mean. */
  smooth?: Values;
  /** The standard errors of the values. */
  error?: Values | undefined;
  /** The band around the curve: of the values that a point stands for, or one standard error to each side. */
  min?: Values | undefined;
  max?: Values | undefined;
  notFinite?: number;
}

export interface ChartData {
  title: string;
  unit?: string | undefined;
  xLabel: string;
  lines: readonly Line[];
  /** Reference updates. */
  marks?: readonly ReferenceMark[];
}

export const paletteSize = 8;

/** The curve of a metric among those of a series; its band is its standard error where the series has one. */
export function lineOf(name: string, color: number, { steps, metrics }: SeriesPoints, metric: string): Line {
  const { mean, min, max, notFinite } = metrics[metric]!;
  const error = metrics[errorName(metric)]?.mean;
  if (error === undefined) return { name, color, steps, mean, min, max, notFinite };
  const edge = (sign: number) => mean.map((value, i) => (value === null ? null : value + sign * (error[i] ?? 0)));
  return { name, color, steps, mean, error, min: edge(-1), max: edge(1), notFinite };
}

/** The index of the last entry of ascending `steps` that is at most `step`; -1 if none is. */
function indexAt(steps: readonly number[], step: number): number {
  let [low, high] = [0, steps.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle]! <= step) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** A line's value at a step, or the last one before it, as the page writes it. */
export function valueAt({ steps, mean, error }: Line, step: number): string {
  for (let i = indexAt(steps, step); i >= 0; i--) if (mean[i] !== null) return estimate(mean[i]!, error?.[i]);
  return number(null);
}

/**
 * The line with its running mean, in which each value keeps `weight` of what was before it; the first values are not
 * drawn towards 0. It begins anew behind the steps of `restarts`, where what is measured jumps.
 */
export function smoothed(line: Line, weight: number, restarts: readonly number[] = []): Line {
  if (weight === 0 || line.mean.length < 3) return line;
  let [sum, weights, next] = [0, 0, 0];
  const smooth = line.mean.map((value, i) => {
    const before = next;
    while (next < restarts.length && restarts[next]! < line.steps[i]!) next += 1;
    if (next > before) [sum, weights] = [0, 0];
    if (value === null) return null;
    sum = weight * sum + (1 - weight) * value;
    weights = weight * weights + (1 - weight);
    return sum / weights;
  });
  return { ...line, smooth };
}

/** What a chart shows, in words. */
export function describe({ lines, marks = [], xLabel }: ChartData): string {
  const texts = lines.map(({ name, steps, mean, min = mean, max = mean }) => {
    const known = steps.map((_, i) => i).filter((i) => mean[i] !== null);
    const [first, last] = [known[0], known.at(-1)];
    if (first === undefined || last === undefined) return `${name}: no value.`;
    const low = known.reduce((least, i) => Math.min(least, min[i] ?? least), Number.POSITIVE_INFINITY);
    const high = known.reduce((most, i) => Math.max(most, max[i] ?? most), Number.NEGATIVE_INFINITY);
    return `${name}: ${number(mean[first]!)} at ${xLabel} ${steps[first]}, ${number(mean[last]!)} at ${xLabel} ${steps[last]}, between ${number(low)} and ${number(high)}.`;
  });
  const updates = marks.reduce((sum, { count }) => sum + count, 0);
  if (updates > 0) {
    const named = updates <= 8 ? ` at ${xLabel} ${marks.map(({ step }) => step).join(', ')}` : '';
    texts.push(`${updates} reference update${updates === 1 ? '' : 's'}${named}.`);
  }
  return texts.join(' ');
}

/** Steps and values of all lines as CSV; a column for the least and the largest value where a point stands for many. */
export function toCsv({ lines, marks, xLabel }: ChartData): string {
  const steps = [...new Set(lines.flatMap((line) => line.steps))].sort((a, b) => a - b);
  const places = lines.map((line) => new Map(line.steps.map((step, i) => [step, i])));
  const columns = lines.flatMap((line, i) => {
    const at = (values: Values) => (step: number) => {
      const place = places[i]!.get(step);
      return place === undefined ? '' : String(values[place] ?? '');
    };
    const column = (name: string, values: Values) => ({ name, at: at(values) });
    if (line.error) return [column(line.name, line.mean), column(`${line.name} standard error`, line.error)];
    if (!line.min || !line.max) return [column(line.name, line.mean)];
    return [
      column(`${line.name} mean`, line.mean),
      column(`${line.name} min`, line.min),
      column(`${line.name} max`, line.max),
    ];
  });
  const updates = new Map((marks ?? []).map(({ step, count }) => [step, count]));
  if (marks && marks.length > 0) {
    columns.push({ name: 'reference updates', at: (step) => String(updates.get(step) ?? 0) });
    for (const { step } of marks) if (!steps.includes(step)) steps.push(step);
    steps.sort((a, b) => a - b);
  }
  const rows = steps.map((step) => [String(step), ...columns.map((column) => column.at(step))]);
  return `${[[xLabel, ...columns.map(({ name }) => name)], ...rows].map((row) => row.map(cell).join(',')).join('\n')}\n`;
}

/** A cell of a CSV file; what a spreadsheet would compute is kept as text. */
function cell(text: string): string {
  const safe = /^[=+@]|^-(?!\d)/.test(text) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
