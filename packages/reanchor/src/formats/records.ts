/** Rows of data files of any supported form. */
import { access } from 'node:fs/promises';
import { FormatError, shown, UserError, unreadable } from '../errors.js';
import { readCsv } from './csv.js';
import { readJson } from './json.js';
import { firstCharacter, type JsonLine, readJsonl } from './jsonl.js';
import { fileSize } from './regular-file.js';

/** A row as it is in its file. */
export interface RawRecord {
  file: string;
  /** Its line in a JSONL or CSV file, its number in others, from 1. */
  line: number;
  /** The same, for messages. */
  where: number;
  value: unknown;
  /** Whether all of its values are text, whatever they stand for: a row of a CSV file. */
  isText?: boolean | undefined;
}

export interface RecordOptions {
  /** Reads numbers of JSON and Parquet as Python has them: see `parseExactJson`. */
  exactNumbers?: boolean | undefined;
  /** Hears how many bytes of the file were read, of all of it as it goes. */
  onRead?: ((bytes: number) => void) | undefined;
}

/** Makes sure that a data file can be read. Errors: UserError. */
export async function requireRecords(file: string): Promise<void> {
  try {
    await access(file);
  } catch (cause) {
    const allowed = 'name a file of rows (.jsonl, .json, .csv, .tsv, .parquet; all but the last also .gz)';
    throw new UserError(`${unreadable(file, cause)}: ${allowed}`, { cause });
  }
}

/**
 * The rows of a data file in order, by the end of its name: `.parquet`; `.csv` and `.tsv`, gzipped or not; any other is
 * JSON, gzipped or not, of whatever name: one list of rows where it begins with a bracket, else a row a line. Errors:
 * UserError for a file that cannot be read; FormatError with file and place.
 */
export async function* readRecords(file: string, options: RecordOptions = {}): AsyncGenerator<RawRecord> {
  await requireRecords(file);
  const [, end] = /\.(parquet|csv|tsv)(?:\.gz)?$/i.exec(file.toLowerCase()) ?? [];
  if (end === 'csv' || end === 'tsv') yield* csvRecords(file, end === 'csv' ? ',' : '\t', options);
  else
    for await (const { line, value } of end ? parquetRows(file, options) : jsonRows(file, options))
      yield { file, line, where: line, value };
}

async function* csvRecords(file: string, separator: ',' | '\t', options: RecordOptions): AsyncGenerator<RawRecord> {
  for (const { line, cells } of heard(await readCsv(file, { separator }), file, options)) {
    const chat = Object.entries(cells).find(([, cell]) => isWrittenChat(cell));
    if (chat) {
      throw new FormatError(
        `column ${shown(chat[0])} holds messages written as text, which would be trained on as it stands: make the file JSONL, with lists of messages`,
        { file, where: String(line) },
      );
    }
    yield { file, line, where: line, value: cells, isText: true };
  }
}

/** The rows of a file that was read as a whole, of whose bytes each has an equal part. */
function* heard<Row>(rows: readonly Row[], file: string, { onRead }: RecordOptions): Generator<Row> {
  const bytes = fileSize(file) / rows.length;
  for (const row of rows) {
    yield row;
    onRead?.(bytes);
  }
}

/** Whether a text is a list of messages as Python or JSON writes it. */
const isWrittenChat = (cell: string) => /^\s*\[\s*\{.*['"](role|from)['"]\s*:.*\}\s*\]\s*$/s.test(cell);

/** Its library is loaded where a file needs it: most runs read no Parquet, and it reserves 10 GB of addresses. */
async function* parquetRows(file: string, options: RecordOptions): AsyncGenerator<JsonLine> {
  const { readParquet } = await import('./parquet.js');
  yield* readParquet(file, options);
  options.onRead?.(fileSize(file));
}

async function* jsonRows(file: string, options: RecordOptions): AsyncGenerator<JsonLine> {
  if ((await firstCharacter(file)) !== '[') {
    yield* readJsonl(file, options);
    return;
  }
  const rows = (await readJson(file, options)) as unknown[];
  yield* heard(
    rows.map((value, i) => ({ line: i + 1, value })),
    file,
    options,
  );
}
