import { useSignal } from '@preact/signals';
import { useCallback, useEffect, useRef } from 'preact/hooks';
import { ApiError, get, wordsOf } from './api.js';
import type { Page, QueryValues } from './api.js';
import { everyVisible } from './time.js';

/** Rows of a list in the document at most: beyond that, older rows take the place of newer ones. */
export const MAX_ROWS = 200;
const PAGE_ROWS = 50;

export interface Loaded<T> {
  readonly value: T | null;
  readonly error: ApiError | null;
  readonly loading: boolean;
  readonly reload: () => void;
}

export const asApiError = (error: unknown): ApiError =>
  error instanceof ApiError ? error : new ApiError({ status: 0, code: 'PAGE', detail: wordsOf(error) });

/**
 * Loads something for a component, again when `key` changes, and every `everyMs` while the page is visible. What was
 * loaded stays visible while the same key loads again, so that nothing jumps.
 */
export function useLoad<T>(key: string, load: () => Promise<T>, everyMs?: number): Loaded<T> {
  const state = useSignal<Omit<Loaded<T>, 'reload'> & { readonly key: string }>({ ...NOTHING, key });
  const latest = useRef(0);
  const loader = useRef(load);
  loader.current = load;
  const reload = useCallback(() => {
    const ticket = ++latest.current;
    const isLatest = (): boolean => ticket === latest.current;
    const before = state.peek();
    state.value = before.key === key ? { ...before, loading: true } : { ...NOTHING, key };
    loader.current().then(
      (value) => isLatest() && (state.value = { key, value, error: null, loading: false }),
      (error: unknown) => isLatest() && (state.value = { ...state.peek(), error: asApiError(error), loading: false }),
    );
  }, [key]);
  useEffect(() => {
    reload();
    const stop = everyMs === undefined ? undefined : everyVisible(everyMs, reload);
    return () => {
      latest.current++; // an answer that comes after the component is gone changes nothing
      stop?.();
    };
  }, [reload, everyMs]);
  const { value, error, loading } = state.value.key === key ? state.value : NOTHING;
  return { value, error, loading, reload };
}

/** Before the first answer. */
const NOTHING = { value: null, error: null, loading: true };

export interface List<T> {
  readonly rows: readonly T[];
  readonly error: ApiError | null;
  readonly loading: boolean;
  /** Whether older rows exist. */
  readonly hasMore: boolean;
  /** Whether newer rows were dropped to keep the document small. */
  readonly trimmed: boolean;
  readonly more: () => void;
  readonly reload: () => void;
}

type ListState<T> = Omit<List<T>, 'more' | 'reload' | 'hasMore'> & { readonly cursor: string | null };

/** A list of the API, page by page. `everyMs` reloads its first page, as long as no older one was asked for. */
export function useList<T>(path: string, query: QueryValues, everyMs?: number): List<T> {
  const key = `${path} ${JSON.stringify(query)}`;
  const state = useSignal<ListState<T>>({ rows: [], error: null, loading: true, trimmed: false, cursor: null });
  const ticket = useRef(0);
  const depth = useRef(0);
  const load = useCallback(
    (cursor: string | null) => {
      const mine = ++ticket.current;
      state.value = { ...state.peek(), loading: true };
      get<Page<T>>(path, { ...query, limit: PAGE_ROWS, ...(cursor !== null && { cursor }) }).then(
        (page) => mine === ticket.current && (state.value = joined(state.peek(), page, cursor !== null)),
        (error: unknown) =>
          mine === ticket.current && (state.value = { ...state.peek(), error: asApiError(error), loading: false }),
      );
    },
    [key],
  );
  const reload = useCallback(() => {
    depth.current = 0;
    load(null);
  }, [load]);
  useEffect(() => {
    state.value = { rows: [], error: null, loading: true, trimmed: false, cursor: null };
    reload();
    const stop = everyMs === undefined ? undefined : everyVisible(everyMs, () => depth.current === 0 && load(null));
    return () => {
      ticket.current++;
      stop?.();
    };
  }, [key, everyMs]);
  const more = useCallback(() => {
    depth.current++;
    load(state.peek().cursor);
  }, [load]);
  const { rows, error, loading, trimmed, cursor } = state.value;
  return { rows, error, loading, trimmed, hasMore: cursor !== null, more, reload };
}

function joined<T>(before: ListState<T>, page: Page<T>, older: boolean): ListState<T> {
  const rows = older ? [...before.rows, ...page.data] : page.data;
  const trimmed = rows.length > MAX_ROWS || (older && before.trimmed);
  return { rows: rows.slice(-MAX_ROWS), error: null, loading: false, trimmed, cursor: page.next_cursor };
}

/** All entries of a list that is short by nature, such as channels. At most 2,000. */
export async function all<T>(path: string, query: QueryValues = {}): Promise<readonly T[]> {
  let rows: readonly T[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<T> = await get<Page<T>>(path, { ...query, limit: 500, ...(cursor !== null && { cursor }) });
    rows = [...rows, ...page.data];
    cursor = page.next_cursor;
  } while (cursor !== null && rows.length < 2000);
  return rows;
}
