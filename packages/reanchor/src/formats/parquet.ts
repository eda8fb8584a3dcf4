/** Parquet files as rows of plain values; besides `parquet-limits.ts` the only file that knows hyparquet. */
import type { FileHandle } from 'node:fs/promises';
import { type AsyncBuffer, parquetMetadataAsync, parquetReadObjects, parquetSchema, type SchemaTree } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { FormatError, NotReadable } from '../errors.js';
import { Float } from './exact-json.js';
import { checkedRows, checkPages } from './parquet-limits.js';
import { open } from './regular-file.js';

/** Rows that are decoded at once. */
const chunk = 1000;

/**
 * The rows of a Parquet file in order, each an object of its columns; lists and structs become arrays and objects,
 * 64-bit integers numbers where these are exact, else text. With `exactNumbers` numbers are those of `parseExactJson`:
 * a column of floats has floats. Read in chunks. Errors: FormatError for a file that is not Parquet or broken, or that
 * says of itself what cannot be.
 */
export async function* readParquet(
  file: string,
  { exactNumbers = false }: { exactNumbers?: boolean | undefined } = {},
): AsyncGenerator<{ line: number; value: unknown }> {
  let row = 0;
  let handle: FileHandle | undefined;
  try {
    handle = await open(file);
    const buffer = bufferOf(handle, (await handle.stat()).size);
    const metadata = await parquetMetadataAsync(buffer, { geoparquet: false });
    const schema = exactNumbers ? parquetSchema(metadata) : undefined;
    const rows = checkedRows(metadata, buffer.byteLength);
    let [group, checked] = [0, 0];
    for (; row < rows; row += chunk) {
      const rowEnd = Math.min(row + chunk, rows);
      for (; checked < rowEnd; group++) {
        await checkPages(metadata.row_groups[group]!, buffer);
        checked += Number(metadata.row_groups[group]!.num_rows);
      }
      const values = await parquetReadObjects({ file: buffer, metadata, compressors, rowStart: row, rowEnd });
      if (values.length !== rowEnd - row) throw new Error(`${values.length} rows, and ${rowEnd - row} should be there`);
      for (const [i, value] of values.entries())
        yield { line: row + i + 1, value: schema ? exact(value, schema) : plain(value) };
    }
  } catch (cause) {
    if (cause instanceof NotReadable) throw cause;
    throw new FormatError(`not a readable Parquet file (${(cause as Error).message}): fetch or make the file again`, {
      file,
      where: row === 0 ? undefined : `rows from ${row + 1}`,
      cause,
    });
  } finally {
    await handle?.close();
  }
}

/** A file as hyparquet reads it. What lies behind its end is left out. */
const bufferOf = (handle: FileHandle, byteLength: number): AsyncBuffer => ({
  byteLength,
  slice: async (start, end = byteLength) => {
    const bytes = new Uint8Array(Math.max(0, Math.min(end, byteLength) - start));
    let done = 0;
    while (done < bytes.length) {
      const { bytesRead } = await handle.read(bytes, done, bytes.length - done, start + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return bytes.buffer.slice(0, done);
  },
});

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

/** A value with the numbers that Python has: floats where the schema says so, and integers of any size. */
function exact(value: unknown, schema: SchemaTree | undefined): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (typeof value === 'number') return isFloat(schema) && Number.isInteger(value) ? new Float(value) : value;
  if (Array.isArray(value)) {
    const element = elementOf(schema);
    return value.map((one) => exact(one, element));
  }
  if (typeof value !== 'object' || value === null || value instanceof Date || ArrayBuffer.isView(value)) return value;
  const isMap = schema?.element.converted_type === 'MAP';
  const fields = new Map(schema?.children.map((child) => [child.element.name, child]));
  const fieldOf = (name: string) => (isMap ? schema.children[0]?.children[1] : fields.get(name));
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, exact(one, fieldOf(name))]));
}

const isFloat = (schema: SchemaTree | undefined) =>
  schema?.element.type === 'FLOAT' ||
  schema?.element.type === 'DOUBLE' ||
  schema?.element.logical_type?.type === 'FLOAT16';

/** The schema of a list's elements, which lie one or two levels below it, or of what is repeated itself. */
function elementOf(schema: SchemaTree | undefined): SchemaTree | undefined {
  if (schema?.element.converted_type !== 'LIST') return schema;
  const repeated = schema.children[0];
  return repeated?.children.length === 1 ? repeated.children[0] : repeated;
}
