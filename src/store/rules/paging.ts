import type { Page } from '../paging.js';

/** Builds a page. `rows` has one more row than `limit` when there is a next page. */
export function paged<Row, View>(
  rows: readonly Row[],
  limit: number,
  view: (row: Row) => View,
  cursor: (row: Row) => string,
): Page<View> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { data: shown.map(view), nextCursor: rows.length > limit && last ? cursor(last) : null };
}
