/** Rows of data files of any supported form. */
import { readFile, stat } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { FormatError, UserError } from '../errors.js';
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

/** A JSON file is read as a whole; a larger one has to become JSONL, which is read row by row. */
const maxJsonBytes = 512 * 2 ** 20;

/**
 * The rows of a data file in order, by the end of its name: `.parquet`; `.json` or `.json.gz`, one array of rows; any
 * other is JSONL, gzipped or not. Errors: UserError for a file that cannot be read; FormatError with file and place.
 */
export async function* readRecords(file: string): AsyncGenerator<RawRecord> {
  const rows = /\.parquet$/i.test(file)
    ? readParquet(file)
    : /\.json(\.gz)?$/i.test(file)
      ? await readJsonArray(file)
      : readJsonl(file);
  for await (const { line, value } of rows) yield { file, line, where: line, value };
}

async function readJsonArray(file: string): Promise<{ line: number; value: unknown }[]> {
  let bytes: Buffer;
  try {
    const { size } = await stat(file);
    if (size > maxJsonBytes) {
      throw new UserError(
        `${file} has ${size} bytes; a JSON file of rows may have ${maxJsonBytes}: make it JSONL, one row a line`,
      );
    }
    bytes = await readFile(file);
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = gunzipSync(bytes, { maxOutputLength: maxJsonBytes });
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new FormatError('not JSON; a file with one row a line is named .jsonl', { file, cause });
  }
  if (!Array.isArray(value)) throw new FormatError('not a list of rows', { file });
  return value.map((row, i) => ({ line: i + 1, value: row as unknown }));
}
