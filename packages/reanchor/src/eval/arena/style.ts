/** The style of an answer, and the differences in style that Arena-Hard controls for. */
import { characters } from '../answers.js';

export interface Style {
  /** In tokens where the answer's file says so, else characters / 4. */
  length: number;
  headers: number;
  lists: number;
  bolds: number;
}

export const styleNames = ['length', 'headers', 'lists', 'bolds'] as const;

/** Length and Markdown counts of an answer; what stands in fenced code does not count as Markdown. */
export function styleOf(text: string): Style {
  const outside = text.replace(/```[^`]*```/g, '```');
  const count = (pattern: RegExp) => outside.match(pattern)?.length ?? 0;
  // A line begins after \n alone, as in Python; the m flag would have more ends of lines.
  return {
    length: characters(text) / 4,
    headers: count(/(?<![^\n])#{1,6}\s/g),
    // White space of the item's own line: with \s each of many empty lines would be looked through to the last.
    lists: count(/(?<![^\n])[^\S\n]*\d+\.\s/g) + count(/(?<![^\n])[^\S\n]*[-*+]\s/g),
    bolds: count(/\*\*[^*\n]+\*\*/g) + count(/__[^_\n]+__/g),
  };
}

/**
 * The difference in style between a model's answer and the baseline's, one number for each of {@link styleNames}: of
 * length (m - b) / (m + b), 0 for two empty answers; of headers, lists and bold text (m - b) / (m + b + 1), with each
 * count divided by its answer's length + 1 first. Source: arena-hard-auto 2.0, show_result.py, which does so with
 * answers to 0.1 as well.
 */
export function styleDifference(model: Style, baseline: Style): number[] {
  const [m, b] = [model.length, baseline.length];
  const density = (name: 'headers' | 'lists' | 'bolds') => {
    const [dm, db] = [model[name] / (m + 1), baseline[name] / (b + 1)];
    return (dm - db) / (dm + db + 1);
  };
  return [m + b === 0 ? 0 : (m - b) / (m + b), density('headers'), density('lists'), density('bolds')];
}

/**
 * Columns of numbers divided by their standard deviations over weighted rows (of sum of weights - 1), and if
 * `isCentered` less their means first; a column that does not vary becomes zeros.
 */
export function standardise(
  rows: readonly (readonly number[])[],
  weights: readonly number[],
  isCentered: boolean,
): number[][] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const columns = (rows[0] ?? []).map((_, j) => {
    const mean = rows.reduce((sum, row, i) => sum + weights[i]! * row[j]!, 0) / total;
    const squares = rows.reduce((sum, row, i) => sum + weights[i]! * (row[j]! - mean) ** 2, 0);
    return { mean: isCentered ? mean : 0, deviation: Math.sqrt(squares / (total - 1)) };
  });
  return rows.map((row) =>
    row.map((value, j) => {
      const { mean, deviation } = columns[j]!;
      return deviation > 1e-12 ? (value - mean) / deviation : 0;
    }),
  );
}
