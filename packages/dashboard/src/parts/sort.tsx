/** Tables whose rows are sorted by what a column says. */

export interface Column<Row> {
  key: string;
  title: string;
  /** What rows are sorted by. */
  value(row: Row): string | number | null;
  isNumber?: boolean;
  /** What its numbers are of. */
  of?: string;
}

export interface Sort {
  key: string;
  isDown: boolean;
}

interface HeadingProps {
  column: Omit<Column<never>, 'value'>;
  sort: Sort;
  onSort: (sort: Sort) => void;
}

export function Heading({ column: { key, title, isNumber = false, of }, sort, onSort }: HeadingProps) {
  const isSorted = sort.key === key;
  const direction = isSorted ? (sort.isDown ? 'descending' : 'ascending') : undefined;
  return (
    <th scope="col" aria-sort={direction} class={isNumber ? 'number' : undefined}>
      <button
        type="button"
        class="sort"
        title={of}
        onClick={() => onSort({ key, isDown: isSorted ? !sort.isDown : isNumber })}
      >
        {title}
        <span aria-hidden="true">{isSorted ? (sort.isDown ? ' ↓' : ' ↑') : ''}</span>
      </button>
    </th>
  );
}

/** Rows in the order of a column; what is not known comes last, whichever way. */
export function sorted<Row>(rows: readonly Row[], columns: readonly Column<Row>[], { key, isDown }: Sort): Row[] {
  const { value } = columns.find((column) => column.key === key)!;
  const sign = isDown ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
    return sign * (typeof x === 'number' ? x - (y as number) : x.localeCompare(y as string, 'en', { numeric: true }));
  });
}
