/** What became of rows: how many were kept, and why the others were not. */
import type { RowPlace, SkipReason } from './row.js';

/** What became of the rows of an input. */
export interface SkipReport {
  total: number;
  kept: number;
  /** The rows that were left out. */
  byReason: Map<SkipReason, RowPlace[]>;
  /** The rows that were kept although a token straddles the border of their prompt. */
  boundaryMismatches: RowPlace[];
}

/** The rows that `use` keeps, in order, and a report on all. */
export function keepUsable<Row extends RowPlace, Kept extends { boundaryMismatch: boolean }>(
  rows: Iterable<Row>,
  use: (row: Row) => Kept | { skipped: SkipReason },
): { rows: Kept[]; report: SkipReport } {
  const kept: Kept[] = [];
  const report: SkipReport = { total: 0, kept: 0, byReason: new Map(), boundaryMismatches: [] };
  for (const row of rows) {
    report.total++;
    const used = use(row);
    const place = { index: row.index, line: row.line, file: row.file };
    if ('skipped' in used) {
      const places = report.byReason.get(used.skipped) ?? [];
      places.push(place);
      report.byReason.set(used.skipped, places);
    } else {
      kept.push(used);
      if (used.boundaryMismatch) report.boundaryMismatches.push(place);
    }
  }
  report.kept = kept.length;
  return { rows: kept, report };
}

/**
 * A report in lines for people: how many rows were left out, why, and where the first of them are; empty if all is
 * well.
 */
export function describeSkips(report: SkipReport): string[] {
  const { total, byReason } = report;
  const skips = [...byReason].map(
    ([reason, rows]) => `skipped ${rows.length} of ${total} rows, ${reason}: ${places(rows)}`,
  );
  return [...skips, ...describeBoundaryMismatches(report)];
}

/** A line for people about the rows in which a token straddles the end of the prompt, if there are any. */
export function describeBoundaryMismatches({ kept, boundaryMismatches: rows }: SkipReport): string[] {
  if (rows.length === 0) return [];
  return [`kept ${rows.length} of ${kept} rows in which a token straddles the end of the prompt: ${places(rows)}`];
}

function places(rows: readonly RowPlace[]): string {
  const first = rows.slice(0, 3).map(({ file, line }) => `${file}:${line}`);
  return rows.length > first.length ? `${first.join(', ')} and ${rows.length - first.length} more` : first.join(', ');
}
