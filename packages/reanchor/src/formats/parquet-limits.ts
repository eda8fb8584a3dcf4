/** What a Parquet file says of itself, checked before its pages are unpacked: the library believes it. */
import { type AsyncBuffer, type ColumnMetaData, type FileMetaData, parquetSchema, type RowGroup } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { getTreePath } from 'hyparquet/src/schema.js';

/**
 * Values of all columns that a file may have whatever its size, and more for each of its bytes: repeated ones take
 * none.
 */
const freeValues = 1 << 22;
const valuesPerByte = 64;
/** Bytes that a column of a row group may unpack to whatever its size, and more for each packed byte. */
const freeBytes = 1 << 26;
const bytesPerByte = 256;

/**
 * The rows of a file. Errors: Error where its numbers contradict each other or its size, and its columns its schema.
 */
export function checkedRows(metadata: FileMetaData, fileBytes: number): number {
  const { num_rows, row_groups } = metadata;
  const rows = count(num_rows, 'a number of rows');
  const inGroups = row_groups.reduce((sum, group) => sum + count(group.num_rows, 'a number of rows in a group'), 0);
  if (rows !== inGroups) throw new Error(`${rows} rows, and ${inGroups} in its row groups`);
  const values = row_groups
    .flatMap(columnsOf)
    .reduce((sum, column) => sum + count(column.num_values, 'a number of values'), 0);
  const most = freeValues + valuesPerByte * fileBytes;
  if (values + rows > most) throw new Error(`${values} values in ${fileBytes} bytes; ${most} are read`);
  for (const group of row_groups) checkPaths(metadata, group);
  return rows;
}

/**
 * Makes sure that the columns are leaves of the schema, each there once: of others the library begins to read, forgets
 * that it does, and so ends the process where they cannot be read.
 */
function checkPaths(metadata: FileMetaData, group: RowGroup): void {
  const schema = parquetSchema(metadata);
  const paths = columnsOf(group).map(({ path_in_schema: path }) => path);
  const names = paths.map((path) => JSON.stringify(path));
  if (new Set(names).size < names.length) throw new Error('a column that is there twice');
  for (const path of paths) {
    const siblings = getTreePath(schema, path).map(({ children }) => children.map(({ element }) => element.name));
    if (siblings.at(-1)!.length > 0) throw new Error(`a column ${path} that is no leaf of the schema`);
    if (siblings.some((all) => new Set(all).size < all.length)) throw new Error('columns of the same name');
  }
}

/**
 * Walks over the pages of a row group. Errors: Error for pages that lie outside of their column, and for those that
 * would unpack to more values or bytes than the column says or a column may have.
 */
export async function checkPages(group: RowGroup, file: AsyncBuffer): Promise<void> {
  for (const column of columnsOf(group)) {
    const { dictionary_page_offset: dictionary, data_page_offset: data, total_compressed_size: size } = column;
    const start = count(dictionary || data, 'an offset');
    const end = start + count(size, 'a size');
    if (end > file.byteLength) throw new Error(`a column ends at byte ${end} of ${file.byteLength}`);
    checkColumn(new DataView(await file.slice(start, end)), Number(column.num_values));
  }
}

function checkColumn(view: DataView<ArrayBuffer>, columnValues: number): void {
  const mostBytes = freeBytes + bytesPerByte * view.byteLength;
  const reader = { view, offset: 0 };
  let [values, bytes] = [0, 0];
  // As the library does, up to the last byte but one.
  while (reader.offset < view.byteLength - 1) {
    const header = parquetHeader(reader);
    const dictionary = header.dictionary_page_header;
    const page = header.data_page_header ?? header.data_page_header_v2;
    reader.offset += count(header.compressed_page_size, 'a page size');
    if (reader.offset > view.byteLength) throw new Error('a page ends after its column');
    bytes += count(header.uncompressed_page_size, 'a page size');
    if (bytes > mostBytes)
      throw new Error(`a column of ${view.byteLength} bytes that unpacks to more than ${mostBytes}`);
    if (page) values += count(page.num_values, 'a number of values');
    if (header.data_page_header_v2) count(header.data_page_header_v2.num_rows, 'a number of rows');
    if (values > columnValues) throw new Error(`a column of ${columnValues} values with pages of more`);
    // An entry has a bit at least.
    const entries = dictionary ? count(dictionary.num_values, 'a number of values') : 0;
    if (entries > 8 * header.uncompressed_page_size)
      throw new Error(`a dictionary of ${entries} entries without their bytes`);
  }
}

function columnsOf({ columns }: RowGroup): ColumnMetaData[] {
  return columns.map(({ meta_data: column }) => {
    if (!column) throw new Error('a column without a description');
    return column;
  });
}

/** A number that counts something. Errors: Error for one that does not. */
function count(value: number | bigint | undefined, what: string): number {
  const number = Number(value);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new Error(`${value} as ${what}`);
}
