import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Verdict } from '../model.js';
import { VerdictBadge } from './badge.js';
import { CurlButton } from './copy.js';
import type { FeedItem } from './feed.js';
import { useLiveRows } from './feed-rows.js';
import type { LiveRow } from './feed-rows.js';
import { channelFilter, eventFilter, FilterBar, rangeFilters, verdictFilter } from './filters.js';
import { ChannelLink, IdLink } from './links.js';
import { channels } from './names.js';
import { Empty } from './notice.js';
import { href, queryOf, queryText, route } from './routes.js';
import type { Query } from './routes.js';
import { PageHead } from './shell.js';
import { Table } from './table.js';
import type { Column } from './table.js';
import { Time } from './time.js';

const FILTERS = ['channel', 'verdict', 'event', 'since', 'until'];
const SCROLLED_PX = 200;

const COLUMNS: readonly Column<LiveRow>[] = [
  { head: 'Received', kind: 'time', cell: ({ at }) => <Time at={at} /> },
  { head: 'Webhook', kind: 'id', cell: ({ id }) => <IdLink page="webhooks" id={id} /> },
  { head: 'Channel', kind: 'short', cell: ({ channel }) => <ChannelLink name={channel} /> },
  { head: 'Event', kind: 'short', cell: ({ event }) => event },
  { head: 'Verdicts', cell: ({ items, total }) => <Judged items={items} total={total} /> },
];

/** Items with the same verdict, rule and fate as one badge. */
function Judged({ items, total }: Pick<LiveRow, 'items' | 'total'>) {
  const groups = new Map<string, FeedItem & { readonly count: number }>();
  for (const item of items) {
    const key = `${item.verdict} ${item.rule} ${item.held}`;
    groups.set(key, { ...item, count: (groups.get(key)?.count ?? 0) + 1 });
  }
  return (
    <span class="badges">
      {[...groups].map(([key, { verdict, rule, held, count }]) => (
        <VerdictBadge key={key} verdict={verdict} rule={rule === 0 ? null : rule} held={held} count={count} />
      ))}
      {total > items.length && <span class="dim">and {total - items.length} more</span>}
    </span>
  );
}

export function Live() {
  const query = queryOf(FILTERS);
  const listed = { ...query, verdict: undefined };
  const live = useLiveRows(listed, query['verdict'] ?? '', passesOf(query));
  const paused = useSignal(false);
  const hovered = useSignal(false);
  const scrolled = useSignal(false);
  const isHeld = paused.value || hovered.value || scrolled.value;
  useEffect(() => live.hold(isHeld), [live, isHeld]);
  useEffect(() => {
    const look = (): void => void (scrolled.value = window.scrollY > SCROLLED_PX);
    window.addEventListener('scroll', look, { passive: true });
    return () => window.removeEventListener('scroll', look);
  }, []);
  const rows = live.rows.value;
  const showNew = (): void => {
    live.show();
    window.scrollTo(0, 0);
  };
  return (
    <>
      <PageHead title="Live">
        <CurlButton path={`v1/webhooks${queryText(listed)}`} />
        <button type="button" data-key="p" aria-pressed={paused.value} onClick={() => (paused.value = !paused.value)}>
          {paused.value ? 'Resume' : 'Pause'}
        </button>
      </PageHead>
      <FilterBar filters={[channelFilter(), verdictFilter, eventFilter, ...rangeFilters]} />
      {live.error.value !== null && (
        <p class="notice bad" role="alert">
          {live.error.value}
        </p>
      )}
      <p class="pill-place" role="status">
        {live.waiting.value > 0 && (
          <button type="button" class="pill" onClick={showNew}>
            {live.waiting.value} new
          </button>
        )}
        {live.skipped.value > 0 && (
          <span class="dim">{live.skipped.value} more came too fast to show; the list has them after a reload.</span>
        )}
      </p>
      <div
        class="live-rows"
        onMouseEnter={() => (hovered.value = true)}
        onMouseLeave={() => (hovered.value = false)}
        data-held={isHeld}
        aria-busy={!live.loaded.value}
      >
        {rows.length > 0 && (
          <Table
            caption="Webhooks, newest first"
            columns={COLUMNS}
            rows={rows}
            keyOf={({ id }) => id}
            isNew={({ isFresh }) => isFresh}
          />
        )}
      </div>
      {rows.length === 0 && live.loaded.value && live.error.value === null && <NoWebhooks />}
      {live.older.value && (
        <p class="more">
          <button type="button" onClick={live.loadOlder}>
            Load older
          </button>
        </p>
      )}
    </>
  );
}

/** The filter by verdict is the page's own; the others are the list's, for what the feed brings. */
function passesOf({ channel, verdict, event, until }: Query): (row: LiveRow) => boolean {
  return (webhook) =>
    !(webhook.isFresh && until !== undefined) && // a range that ends has no new rows
    (channel === undefined || webhook.channel === channel) &&
    (verdict === undefined || webhook.items.some((item) => item.verdict === (verdict as Verdict))) &&
    (event === undefined || webhook.event === event || webhook.event.startsWith(`${event.replace(/\.\*$/, '')}.`));
}

function NoWebhooks() {
  if (channels.value?.length === 0) {
    return (
      <Empty title="No webhooks: there is no channel yet.">
        <a href={href('channels')}>Add a channel</a>
      </Empty>
    );
  }
  if (route.value.query.size > 0) return <Empty title="No webhook matches these filters." />;
  return (
    <Empty title="No webhook yet.">
      <p>
        Webhooks appear here as they are stored. If none arrive, connect the channel:{' '}
        <a href={href('channels')}>channels</a>.
      </p>
    </Empty>
  );
}
