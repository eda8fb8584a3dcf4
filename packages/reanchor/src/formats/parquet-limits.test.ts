// Parquet files that say of themselves what cannot be: the library would make arrays of billions, or turn in a circle.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FileMetaData, parquetMetadata } from 'hyparquet';
import { describe, expect, test } from 'vitest';
import { fixtures } from '../../../../tests/support/repository.js';
import { readParquet } from './parquet.js';
import { checkedRows, checkPages } from './parquet-limits.js';

const folder = join(fixtures, 'parquet');
const names = readdirSync(folder).filter((name) => name !== 'nested.parquet');
const rowsOf = async (file: string) => {
  const rows: Record<string, unknown>[] = [];
  for await (const { value } of readParquet(file)) rows.push(value as Record<string, unknown>);
  return rows;
};

test.each(names)('%s has the rows that were written', async (name) => {
  const rows = await rowsOf(join(folder, name));
  expect(rows).toHaveLength(40);
  expect(rows[7]).toMatchObject({ prompt: 'How many legs have 7 spiders?', rejected: ['7'], index: 7, label: false });
  expect(rows[8]!.chosen).toEqual([
    { role: 'user', content: 'x' },
    { role: 'assistant', content: '64' },
  ]);
  expect(rows[5]!.score ?? null).toBeNull();
  expect(rows[6]!.score).toBe(1.5);
});

describe('is refused', () => {
  const bytes = readFileSync(join(folder, 'gzip-v2.parquet'));
  const file = (content: Uint8Array) => ({
    byteLength: content.length,
    slice: (start: number, end?: number) => Uint8Array.from(content.subarray(start, end)).buffer,
  });
  const metadata = () => parquetMetadata(new Uint8Array(bytes));
  const withColumn = (
    change: (column: NonNullable<FileMetaData['row_groups'][0]['columns'][0]['meta_data']>) => void,
  ) => {
    const changed = metadata();
    change(changed.row_groups[0]!.columns[0]!.meta_data!);
    return changed;
  };

  test.each([
    [{ ...metadata(), num_rows: 2n ** 53n - 1n }, /rows, and 40 in its row groups/],
    [{ ...metadata(), num_rows: -1n }, /-1 as a number of rows/],
    [withColumn((column) => (column.num_values = 2n ** 40n)), /values in \d+ bytes/],
    [withColumn((column) => (column.num_values = -5n)), /-5 as a number of values/],
  ])('a file whose counts cannot be: %#', (changed, message) => {
    expect(() => checkedRows(changed, bytes.length)).toThrow(message);
    expect(checkedRows(metadata(), bytes.length)).toBe(40);
  });

  test('a file whose columns are not those of its schema', () => {
    const twice = metadata();
    twice.row_groups[0]!.columns[1] = twice.row_groups[0]!.columns[0]!;
    const unknown = withColumn((column) => (column.path_in_schema = ['nobody']));
    const inner = withColumn((column) => (column.path_in_schema = ['chosen']));
    for (const [changed, message] of [
      [twice, /a column that is there twice/],
      [unknown, /schema element not found: nobody/],
      [inner, /a column chosen that is no leaf/],
    ] as const)
      expect(() => checkedRows(changed, bytes.length)).toThrow(message);
  });

  test.each([
    [
      (column: { total_compressed_size: bigint }) => (column.total_compressed_size = 2n ** 40n),
      /a column ends at byte/,
    ],
    [(column: { total_compressed_size: bigint }) => (column.total_compressed_size = -1n), /-1 as a size/],
    [(column: { num_values: bigint }) => (column.num_values = 3n), /a column of 3 values with pages of more/],
  ])('a column whose description cannot be: %#', async (change, message) => {
    await expect(checkPages(withColumn(change as never).row_groups[0]!, file(bytes))).rejects.toThrow(message);
    await expect(checkPages(metadata().row_groups[0]!, file(bytes))).resolves.toBeUndefined();
  });

  // A page header: type, unpacked size, packed size, values; numbers are zigzag varints of Thrift's compact protocol.
  const varint = (value: number): number[] => {
    const zigzag = value >= 0 ? 2 * value : -2 * value - 1;
    const groups: number[] = [];
    for (let rest = zigzag; ; rest = Math.floor(rest / 128)) {
      groups.push((rest % 128) + (rest >= 128 ? 128 : 0));
      if (rest < 128) return groups;
    }
  };
  const page = (unpacked: number, packed: number, values: number) =>
    Uint8Array.from([
      0x15,
      0,
      0x15,
      ...varint(unpacked),
      0x15,
      ...varint(packed),
      0x2c,
      0x15,
      ...varint(values),
      0x15,
      0,
      0x15,
      6,
      0x15,
      6,
      0,
      0,
      ...new Uint8Array(40),
    ]);
  test.each([
    [page(10, -20, 1), /-20 as a page size/],
    [page(10, 1000, 1), /a page ends after its column/],
    [page(-1, 10, 1), /-1 as a page size/],
    [page(2 ** 30, 10, 1), /unpacks to more than/],
    [page(10, 10, 2 ** 30), /values with pages of more/],
    [page(10, 10, -7), /-7 as a number of values/],
  ])('a page whose header cannot be: %#', async (content, message) => {
    const changed = withColumn((column) => {
      column.data_page_offset = 0n;
      delete column.dictionary_page_offset;
      column.total_compressed_size = BigInt(content.length);
    });
    const group = { ...changed.row_groups[0]!, columns: changed.row_groups[0]!.columns.slice(0, 1) };
    await expect(checkPages(group, file(content))).rejects.toThrow(message);
  });
});
