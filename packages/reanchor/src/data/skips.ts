/** What became of rows: how many were kept, and why the others were not. */
import type { Remark, RowPlace, SkipReason } from './row.js';

/** What became of the rows of an input. */
export interface SkipReport {
  total: number;
  kept: number;
  /** The rows that were left out. */
  byReason: Map<SkipReason, RowPlace[]>;
  /** The rows that were kept although there is something to be said about them. */
  remarks: Map<Remark, RowPlace[]>;
}

/** The rows that `use` keeps, in order, and a report on all; `remarksOf` says what is worth a word about a kept one. */
export function keepUsable<Row extends RowPlace, Kept extends object>(
  rows: Iterable<Row>,
  use: (row: Row) => Kept | { skipped: SkipReason },
  remarksOf: (row: Row, kept: Kept) => readonly Remark[],
): { rows: Kept[]; report: SkipReport } {
  const kept: Kept[] = [];
  const report: SkipReport = { total: 0, kept: 0, byReason: new Map(), remarks: new Map() };
  for (const row of rows) {
    report.total++;
    const used = use(row);
    const place = { index: row.index, line: row.line, file: row.file };
    if ('skipped' in used) addPlace(report.byReason, used.skipped, place);
    else {
      kept.push(used);
      for (const remark of remarksOf(row, used)) addPlace(report.remarks, remark, place);
    }
  }
  report.kept = kept.length;
  return { rows: kept, report };
}

/** Notes a row under what is said of it. */
export function addPlace<Key>(places: Map<Key, RowPlace[]>, key: Key, place: RowPlace): void {
  const known = places.get(key);
  if (known) known.push(place);
  else places.set(key, [place]);
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
  return [...skips, ...describeRemarks(report)];
}

/** Lines for people about rows that are used, but perhaps not as it was meant. */
export function describeRemarks({ kept, remarks }: SkipReport): string[] {
  return [...remarks].map(
    ([remark, rows]) => `kept ${rows.length} of ${kept} rows in which ${remark}: ${places(rows)}`,
  );
}

function places(rows: readonly RowPlace[]): string {
  const first = rows.slice(0, 3).map(({ file, line }) => `${file}:${line}`);
  return rows.length > first.length ? `${first.join(', ')} and ${rows.length - first.length} more` : first.join(', ');
}
