import { computed, signal } from '@preact/signals';

/** Where the page is: `#/deliveries/dlv_1?status=dead`. Filters live in the address, so a link opens the same view. */
export interface Route {
  readonly page: string;
  /** What follows the page's name: ids. */
  readonly rest: readonly string[];
  readonly query: URLSearchParams;
}

export type Query = Readonly<Record<string, string | undefined>>;

export const PAGES = [
  { key: 'o', page: 'overview', title: 'Overview' },
  { key: 'l', page: 'live', title: 'Live' },
  { key: 'e', page: 'explain', title: 'Explain' },
  { key: 'h', page: 'held', title: 'Held' },
  { key: 'r', page: 'resyncs', title: 'Resyncs' },
  { key: 't', page: 'targets', title: 'Targets' },
  { key: 'd', page: 'deliveries', title: 'Deliveries' },
  { key: 'c', page: 'channels', title: 'Channels' },
  { key: 'a', page: 'audits', title: 'Audits' },
  { key: 'y', page: 'dry-run', title: 'Dry run' },
] as const;
export type PageName = (typeof PAGES)[number]['page'] | 'webhooks' | 'jobs';

const hash = signal(location.hash);
window.addEventListener('hashchange', () => (hash.value = location.hash));

export const route = computed(() => parse(hash.value));

function parse(text: string): Route {
  const [path = '', query = ''] = text.replace(/^#\/?/, '').split('?', 2);
  const [page = '', ...rest] = path.split('/').filter((part) => part !== '');
  return { page: page === '' ? 'overview' : page, rest: rest.map(decoded), query: new URLSearchParams(query) };
}

/** A part of an address that someone typed may not be decodable. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function href(page: PageName, rest: readonly string[] = [], query: Query = {}): string {
  const path = [page, ...rest.map(encodeURIComponent)].join('/');
  return `#/${path}${queryText(query)}`;
}

export function queryText(query: Query): string {
  const pairs = Object.entries(query).filter(
    (pair): pair is [string, string] => pair[1] !== undefined && pair[1] !== '',
  );
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`;
}

export function go(to: string): void {
  location.hash = to;
}

/** Changes filters of the page at hand: an empty value removes one. No new entry in the browser's history. */
export function setQuery(changes: Query): void {
  const { page, rest, query } = route.peek();
  const next = { ...Object.fromEntries(query), ...changes };
  history.replaceState(null, '', href(page as PageName, rest, next));
  hash.value = location.hash;
}

/** The filters that the address has, of the given names. */
export const queryOf = (names: readonly string[]): Query =>
  Object.fromEntries(
    names.flatMap((name) => {
      const value = route.value.query.get(name);
      return value === null || value === '' ? [] : [[name, value]];
    }),
  );
