import { signal } from '@preact/signals';
import type { FeedDelivery, FeedSkipped, FeedWebhook } from '../contract/feed.js';
import { checkSession, loggedIn } from './api.js';

/**
 * The live feed. It is a hint: lists are the truth, and a gap makes pages load them again. One tab per browser keeps the
 * connection and hands events to the others, because HTTP/1.1 allows six connections per host. A tab that was hidden for
 * a minute gives it up.
 */

export type FeedItem = FeedWebhook['items'][number];

/** What came since the last flush. */
export interface FeedBatch {
  readonly webhooks: readonly FeedWebhook[];
  readonly deliveries: readonly FeedDelivery[];
  /** Breakers changed. */
  readonly breakers: boolean;
  /** Rows that were left out because too many came at once. */
  readonly skipped: number;
  /** Rows were missed: load lists again. */
  readonly gap: boolean;
}

interface FeedEvent {
  readonly kind: string;
  readonly data: string;
}

export type FeedState = 'off' | 'connecting' | 'live' | 'lost';
export const feedState = signal<FeedState>('off');

const KINDS = ['webhook', 'delivery', 'breaker', 'skipped', 'gap', 'hello'];
/** At most four flushes a second, whatever comes. */
const FLUSH_MS = 250;
const HIDDEN_MS = 60_000;
const RETRY_MS = 3000;

type Listener = (batch: FeedBatch) => void;
const listeners = new Set<Listener>();
let waiting: FeedEvent[] = [];
let flushTimer: ReturnType<typeof setTimeout> | undefined;
let source: EventSource | null = null;
let retryTimer: ReturnType<typeof setTimeout> | undefined;
let release: (() => void) | null = null;
let hiddenTimer: ReturnType<typeof setTimeout> | undefined;
const tabs = new BroadcastChannel('feed');

export function onFeed(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Follows the session and the visibility of the page. Called once. */
export function startFeed(): void {
  tabs.onmessage = ({ data }: MessageEvent<FeedEvent>) => take(data);
  loggedIn.subscribe(() => update());
  document.addEventListener('visibilitychange', () => {
    clearTimeout(hiddenTimer);
    if (document.visibilityState === 'hidden') hiddenTimer = setTimeout(leave, HIDDEN_MS);
    else update();
  });
  window.addEventListener('pagehide', leave);
}

function update(): void {
  if (loggedIn.value !== true) leave();
  else if (release === null) join();
}

/** Waits for its turn to keep the connection. Without locks (plain http) each tab keeps its own. */
function join(): void {
  feedState.value = 'connecting';
  let letGo = (): void => undefined;
  const left = new Promise<void>((resolve) => (letGo = resolve));
  release = letGo;
  const locks = navigator.locks as LockManager | undefined;
  if (locks === undefined) {
    open();
    return;
  }
  void locks.request('feed', async () => {
    if (release === null) return; // gave up while it waited
    open();
    await left;
  });
}

function leave(): void {
  release?.();
  release = null;
  clearTimeout(retryTimer);
  source?.close();
  source = null;
  feedState.value = 'off';
}

function open(): void {
  source?.close();
  const mine = new EventSource('v1/feed');
  source = mine;
  for (const kind of KINDS) mine.addEventListener(kind, ({ data }: MessageEvent<string>) => spread({ kind, data }));
  mine.onerror = () => {
    if (source !== mine) return;
    feedState.value = 'lost';
    // The browser tries again by itself unless the answer was an error, such as a proxy's while the gateway restarts.
    if (mine.readyState === EventSource.CLOSED) retryTimer = setTimeout(reopen, RETRY_MS);
  };
}

function reopen(): void {
  checkSession().then(
    () => {
      if (loggedIn.value !== true) return;
      open();
      spread({ kind: 'gap', data: '{}' });
    },
    () => (retryTimer = setTimeout(reopen, RETRY_MS)),
  );
}

/** To this tab and to the others. */
function spread(event: FeedEvent): void {
  tabs.postMessage(event);
  take(event);
}

function take(event: FeedEvent): void {
  feedState.value = 'live';
  if (event.kind === 'hello') return;
  waiting.push(event);
  flushTimer ??= setTimeout(flush, FLUSH_MS);
}

function flush(): void {
  flushTimer = undefined;
  const events = waiting;
  waiting = [];
  const of = <T>(kind: string): T[] =>
    events.filter((event) => event.kind === kind).map(({ data }) => JSON.parse(data) as T);
  const batch: FeedBatch = {
    webhooks: of<FeedWebhook>('webhook'),
    deliveries: of<FeedDelivery>('delivery'),
    breakers: events.some(({ kind }) => kind === 'breaker'),
    skipped: of<FeedSkipped>('skipped').reduce((sum, { count }) => sum + count, 0),
    gap: events.some(({ kind }) => kind === 'gap'),
  };
  for (const listener of listeners) listener(batch);
}
