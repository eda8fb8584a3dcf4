import type { MetricPoints, ReferenceMark } from 'reanchor/serve';
import { number } from '../format.js';

/** A curve: values over steps; null where there is none. */
export interface Line {
  name: string;
  /** Place in the palette. */
  color: number;
  steps: readonly number[];
  mean: readonly (number | null)[];
  /** Range of the values that a point stands for. */
  min?: readonly (number | null)[] | undefined;
  max?: readonly (number | null)[] | undefined;
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

export function lineOf(name: string, color: number, steps: readonly number[], points: MetricPoints): Line {
  const { mean, min, max, notFinite } = points;
  return { name, color, steps, mean, min, max, notFinite };
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

/** A line's value at a step, or the last one before it. */
export function valueAt({ steps, mean }: Line, step: number): number | null {
  for (let i = indexAt(steps, step); i >= 0; i--) if (mean[i] !== null) return mean[i]!;
  return null;
}

/**
 * The line as its running mean, in which each value keeps `weight` of what was before it; the first values are not
 * drawn towards 0. It has no range: that is of the values themselves.
 */
export function smoothed(line: Line, weight: number): Line {
  if (weight === 0 || line.mean.length < 3) return line;
  let [sum, weights] = [0, 0];
  const mean = line.mean.map((value) => {
    if (value === null) return null;
    sum = weight * sum + (1 - weight) * value;
    weights = weight * weights + (1 - weight);
    return sum / weights;
  });
  const { name, color, steps, notFinite } = line;
  return { name, color, steps, mean, ...(notFinite === undefined ? {} : { notFinite }) };
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
    const at = (values: readonly (number | null)[]) => (step: number) => {
      const place = places[i]!.get(step);
      return place === undefined ? '' : String(values[place] ?? '');
    };
    const column = (name: string, values: readonly (number | null)[]) => ({ name, at: at(values) });
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
