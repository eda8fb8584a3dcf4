/** Rows of data files of any supported form. */
import { access } from 'node:fs/promises';
import { FormatError, UserError, unreadable } from '../errors.js';
import { readJson } from './json.js';
import { readJsonl } from './jsonl.js';
import { readParquet } from './parquet.js';

/** A row as it is in its file. */
export interface RawRecord {
  file: string;
  /** Its line in a JSONL file, its number in others, from 1. */
  line: number;
  /** The same, for messages. */
  where: number;
  value: unknown;
}

/**
 * The rows of a data file in order, by the end of its name: `.parquet`; `.json` or `.json.gz`, one array of rows; any
 * other is JSONL, gzipped or not. Errors: UserError for a file that cannot be read; FormatError with file and place.
 */
export async function* readRecords(file: string): AsyncGenerator<RawRecord> {
  await access(file).catch((cause) => {
    const allowed = 'name a file of rows (.jsonl, .json, .parquet; the first two also .gz)';
    throw new UserError(`${unreadable(file, cause)}: ${allowed}`, { cause });
  });
  const rows = /\.parquet$/i.test(file)
    ? readParquet(file)
    : /\.json(\.gz)?$/i.test(file)
      ? await readJsonArray(file)
      : readJsonl(file);
  for await (const { line, value } of rows) yield { file, line, where: line, value };
}

async function readJsonArray(file: string): Promise<{ line: number; value: unknown }[]> {
  const value = await readJson(file);
  if (!Array.isArray(value)) throw new FormatError('not a list of rows', { file });
  return value.map((row, i) => ({ line: i + 1, value: row as unknown }));
}
