import { useEffect, useRef } from 'preact/hooks';
import { onFeed } from './feed.js';
import type { FeedBatch } from './feed.js';
import type { List } from './loading.js';

const MIN_PAUSE_MS = 3000;

/**
 * Loads something again when the feed says that it changed, at most every three seconds, and not while a person has gone
 * to older rows or has a dialog open: a list must not move under their hand.
 */
export function useFeedReload(
  list: Pick<List<unknown>, 'reload'> & { trimmed?: boolean; rows?: readonly unknown[] },
  concerns: (batch: FeedBatch) => boolean,
): void {
  const latest = useRef(list);
  latest.current = list;
  const test = useRef(concerns);
  test.current = concerns;
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const reload = (): void => {
      timer = undefined;
      const { rows = [], trimmed = false } = latest.current;
      const isBusy = trimmed || rows.length > 50 || document.querySelector('dialog[open]') !== null;
      if (!isBusy && document.visibilityState === 'visible') latest.current.reload();
    };
    const stop = onFeed((batch) => {
      if (batch.gap || test.current(batch)) timer ??= setTimeout(reload, MIN_PAUSE_MS);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, []);
}
