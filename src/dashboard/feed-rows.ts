import { signal } from '@preact/signals';
import type { ReadonlySignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { FeedWebhook } from '../contract/feed.js';
import type { WebhookSummary } from '../contract/items.js';
import { get, wordsOf } from './api.js';
import type { Page, QueryValues } from './api.js';
import { onFeed } from './feed.js';
import type { FeedItem } from './feed.js';
import { MAX_ROWS } from './loading.js';

/** A webhook as a row of the live page, from the list or from the feed. */
export interface LiveRow {
  readonly id: string;
  readonly at: string;
  readonly channel: string;
  readonly event: string;
  readonly items: readonly FeedItem[];
  /** Items of the webhook; more than `items` has where there are many. */
  readonly total: number;
  /** It came by the feed while the page was open. */
  readonly isFresh: boolean;
}

export interface LiveRows {
  readonly rows: ReadonlySignal<readonly LiveRow[]>;
  /** Webhooks that came while the feed was paused. */
  readonly waiting: ReadonlySignal<number>;
  readonly skipped: ReadonlySignal<number>;
  readonly error: ReadonlySignal<string | null>;
  readonly older: ReadonlySignal<boolean>;
  /** The first rows have come, or failed to. */
  readonly loaded: ReadonlySignal<boolean>;
  readonly hold: (on: boolean) => void;
  readonly show: () => void;
  readonly loadOlder: () => void;
}

export type LiveFilter = (row: LiveRow) => boolean;

/**
 * The rows of the live page: the newest of the list, then what the feed brings. While it is held (paused, hovered,
 * scrolled) new rows are kept aside and counted. Every row is there once, whatever was sent twice.
 */
export function useLiveRows(query: QueryValues, verdict: string, passes: LiveFilter): LiveRows {
  const live = useMemo(() => createRows(query, passes), [JSON.stringify(query), verdict]);
  useEffect(() => live.start(), [live]);
  return live;
}

function createRows(query: QueryValues, passes: LiveFilter): LiveRows & { start: () => () => void } {
  const rows = signal<readonly LiveRow[]>([]);
  const kept = signal<readonly LiveRow[]>([]);
  const waiting = signal(0);
  const skipped = signal(0);
  const error = signal<string | null>(null);
  const older = signal(false);
  const loaded = signal(false);
  let cursor: string | null = null;
  let isHeld = false;

  const load = async (isOlder: boolean): Promise<void> => {
    const page = await get<Page<WebhookSummary>>('v1/webhooks', {
      ...query,
      limit: 50,
      ...(isOlder && cursor !== null && { cursor }),
    });
    ({ next_cursor: cursor } = page);
    older.value = cursor !== null;
    const listed = page.data.map(rowOf).filter(passes);
    rows.value = isOlder
      ? merged(rows.peek(), listed).slice(-MAX_ROWS)
      : merged(listed, rows.peek()).slice(0, MAX_ROWS);
    error.value = null;
  };
  const tryLoad = (isOlder: boolean): void => {
    load(isOlder)
      .catch((reason: unknown) => (error.value = wordsOf(reason)))
      .finally(() => (loaded.value = true));
  };
  const show = (): void => {
    rows.value = merged(kept.peek(), rows.peek()).slice(0, MAX_ROWS);
    kept.value = [];
    waiting.value = 0;
    skipped.value = 0;
  };
  const start = (): (() => void) => {
    tryLoad(false);
    return onFeed(({ webhooks, skipped: left, gap }) => {
      if (gap) tryLoad(false);
      skipped.value += left;
      const fresh = webhooks.map(freshRow).filter(passes).reverse();
      if (fresh.length === 0) return;
      kept.value = merged(fresh, kept.peek()).slice(0, MAX_ROWS);
      waiting.value += fresh.length;
      if (!isHeld) show();
    });
  };
  const hold = (on: boolean): void => {
    isHeld = on;
    if (!on && waiting.peek() > 0) show();
  };
  return { rows, waiting, skipped, error, older, loaded, hold, show, loadOlder: () => tryLoad(true), start };
}

/** Both lists, newest first as they are, each webhook once. */
function merged(first: readonly LiveRow[], second: readonly LiveRow[]): readonly LiveRow[] {
  const known = new Set(first.map(({ id }) => id));
  return [...first, ...second.filter(({ id }) => !known.has(id))].sort((a, b) =>
    a.at < b.at ? 1 : a.at > b.at ? -1 : 0,
  );
}

const freshRow = ({ id, at, channel, event, items, total }: FeedWebhook): LiveRow => ({
  ...{ id, at, channel, event, items, total },
  isFresh: true,
});

const rowOf = ({ id, received_at: at, channel, event, items, verdicts, held }: WebhookSummary): LiveRow => ({
  ...{ id, at, channel, event },
  items: listedItems(verdicts, held),
  total: items,
  isFresh: false,
});

/** The list has counts by verdict only: one entry for each, without its rule. */
function listedItems(verdicts: WebhookSummary['verdicts'], held: number): FeedItem[] {
  const all = Object.entries(verdicts) as [FeedItem['verdict'], number][];
  let left = held;
  return all.flatMap(([verdict, count]) =>
    Array.from({ length: Math.min(count, 50) }, (_, position) => ({ position, verdict, rule: 0, held: left-- > 0 })),
  );
}
