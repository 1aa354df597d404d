import type { ComponentChildren } from 'preact';
import { useMemo } from 'preact/hooks';
import { ProblemNotice } from './notice.js';
import type { List } from './loading.js';

export interface Column<T> {
  readonly head: string;
  /** Width and alignment; a class of the stylesheet. */
  readonly kind?: 'id' | 'time' | 'num' | 'badge' | 'short' | 'text' | 'actions';
  readonly cell: (row: T) => ComponentChildren;
}

interface TableProps<T> {
  readonly caption: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
  readonly isNew?: (row: T) => boolean;
}

/**
 * Rows with a caption for screen readers. On narrow screens each row becomes a card (style.css); the explicit roles keep
 * the table a table there. The first link of each row is where the keys j and k go.
 */
export function Table<T>({ caption, columns, rows, keyOf, isNew }: TableProps<T>) {
  return (
    <table role="table">
      <caption class="visually-hidden">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(({ head, kind = 'text' }) => (
            <th key={head} role="columnheader" scope="col" class={`col-${kind}`}>
              {kind === 'actions' ? <span class="visually-hidden">{head}</span> : head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <Row key={keyOf(row)} row={row} columns={columns} isNew={isNew?.(row) === true} />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps<T> {
  readonly row: T;
  readonly columns: readonly Column<T>[];
  readonly isNew: boolean;
}

/**
 * Rendered again only when its row is another object: the live page adds rows four times a second and keeps 200. So a cell
 * reads signals in a component of its own, never directly.
 */
function Row<T>({ row, columns, isNew }: RowProps<T>) {
  return useMemo(
    () => (
      <tr role="row" class={isNew ? 'fresh' : undefined}>
        {columns.map(({ head, kind = 'text', cell }) => (
          <td key={head} role="cell" class={`col-${kind}`} data-head={head}>
            <div class="cell">{cell(row)}</div>
          </td>
        ))}
      </tr>
    ),
    [row, columns, isNew],
  );
}

interface ListTableProps<T> extends Omit<TableProps<T>, 'rows'> {
  readonly list: List<T>;
  readonly empty: ComponentChildren;
}

/** A list of the API as a table: loading, errors, what to do when it is empty, and older rows on request. */
export function ListTable<T>({ list, empty, ...table }: ListTableProps<T>) {
  const { rows, error, loading, hasMore, trimmed, more, reload } = list;
  return (
    <section aria-label={table.caption} aria-busy={loading}>
      <ProblemNotice error={error} retry={reload} />
      {trimmed && (
        <p class="dim">
          Newer rows are not shown.{' '}
          <button type="button" class="small" onClick={reload}>
            Back to the newest
          </button>
        </p>
      )}
      {rows.length > 0 && <Table {...table} rows={rows} />}
      {rows.length === 0 && !loading && error === null && empty}
      {rows.length === 0 && loading && <p class="dim loading">Loading …</p>}
      {hasMore && (
        <p class="more">
          <button type="button" onClick={more} disabled={loading}>
            Load older
          </button>
        </p>
      )}
    </section>
  );
}
