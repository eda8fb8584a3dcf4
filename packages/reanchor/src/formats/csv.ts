/** Values separated by commas or tabs, with a header, after RFC 4180. */
import { FormatError, shown } from '../errors.js';
import { readText } from './json.js';

/** A row: its line in the file, from 1, and its cells by column. */
export interface CsvRow {
  line: number;
  cells: Record<string, string>;
}

/** The form that {@link readCsv} expects. */
export interface CsvOptions {
  /** Columns that must be there. */
  required?: readonly string[] | undefined;
  separator?: ',' | '\t' | undefined;
}

/**
 * The rows of a CSV file (also gzipped) whose first line names the columns. Cells may be quoted, with "" for a quote
 * and line breaks inside; in other cells a quote that is not the first character is one. Errors: UserError for a file
 * that cannot be read; FormatError with the line for a row of another width, an open quote, a column that is missing or
 * named twice.
 */
export async function readCsv(file: string, { required = [], separator = ',' }: CsvOptions = {}): Promise<CsvRow[]> {
  const [head, ...rows] = splitCells(await readText(file), file, separator);
  if (!head) throw new FormatError('no header: the first line names the columns', { file });
  const missing = required.filter((name) => !head.cells.includes(name));
  if (missing.length > 0) {
    throw new FormatError(`no column ${missing.join(', ')}; its columns are ${head.cells.join(', ')}`, { file });
  }
  const twice = head.cells.find((name, i) => head.cells.indexOf(name) !== i);
  if (twice !== undefined) throw new FormatError(`two columns are called ${shown(twice)}`, { file, where: '1' });
  return rows.map(({ line, cells }) => {
    if (cells.length !== head.cells.length) {
      const message = `${cells.length} cells, the header has ${head.cells.length}`;
      throw new FormatError(message, { file, where: String(line) });
    }
    return { line, cells: Object.fromEntries(head.cells.map((name, i) => [name, cells[i]!])) };
  });
}

function splitCells(text: string, file: string, separator: string): { line: number; cells: string[] }[] {
  const rows: { line: number; cells: string[] }[] = [];
  const cell = new RegExp(`(?:"([^"]*(?:""[^"]*)*)"|((?!")[^${separator}\\r\\n]*))(${separator}|\\r?\\n|$)`, 'y');
  let line = 1;
  let start = 1;
  let cells: string[] = [];
  while (cell.lastIndex < text.length || cells.length > 0) {
    const match = cell.exec(text);
    if (!match)
      throw new FormatError('a quote that is not closed, or something behind one', { file, where: String(line) });
    const [whole, quoted, plain, end] = match;
    cells.push(quoted === undefined ? plain! : quoted.replaceAll('""', '"'));
    line += whole.split('\n').length - 1;
    if (end === separator) continue;
    if (cells.length > 1 || cells[0] !== '') rows.push({ line: start, cells });
    cells = [];
    start = line;
  }
  return rows;
}

/** Rows of cells as CSV that {@link readCsv} reads back, the first one being the header. */
export const csvText = (rows: readonly (readonly string[])[]): string =>
  rows.map((row) => `${row.map(quoted).join(',')}\n`).join('');

const quoted = (cell: string) => (/[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
