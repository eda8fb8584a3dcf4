/** What a Parquet file says of itself, checked before its pages are unpacked: the library believes it. */
import type { AsyncBuffer, ColumnMetaData, FileMetaData, RowGroup } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';

/** Values of all columns that a file may have whatever its size, and more for each of its bytes: repeated ones take none. */
const freeValues = 1 << 22;
const valuesPerByte = 64;
/** Bytes that a column of a row group may unpack to whatever its size, and more for each packed byte. */
const freeBytes = 1 << 26;
const bytesPerByte = 256;

/** The rows of a file. Errors: Error where its numbers contradict each other or its size. */
export function checkedRows({ num_rows, row_groups }: FileMetaData, fileBytes: number): number {
  const rows = count(num_rows, 'a number of rows');
  const inGroups = row_groups.reduce((sum, group) => sum + count(group.num_rows, 'a number of rows in a group'), 0);
  if (rows !== inGroups) throw new Error(`${rows} rows, and ${inGroups} in its row groups`);
  const values = row_groups
    .flatMap(columnsOf)
    .reduce((sum, column) => sum + count(column.num_values, 'a number of values'), 0);
  const most = freeValues + valuesPerByte * fileBytes;
  if (values + rows > most) throw new Error(`${values} values in ${fileBytes} bytes; ${most} are read`);
  return rows;
}

/**
 * Walks over the pages of a row group. Errors: Error for pages that lie outside of their column, and for those that would
 * unpack to more values or bytes than the column says or a column may have.
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
