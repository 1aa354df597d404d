import type { Effects } from './effects.js';
import type { Feed } from './feed.js';
import { nameOf } from './intake/event.js';
import type { Observer, RecordedWebhook } from './observer.js';
import { printable } from './printable.js';
import type { Delivery, Settlement } from './store/outbox.js';

/** Items of a webhook, or verdicts of a delivery, that one event names. */
const MOST_NAMED = 50;

/** Publishes what happens. Without a subscriber each call is one `if`. */
export function publishTo(feed: Feed, effects: Pick<Effects, 'now'>): Observer {
  return {
    onRecorded: (webhook) => {
      if (feed.isOn) publishWebhook(feed, webhook, effects.now());
    },
    onRefused: () => undefined,
    onSettled: (delivery, settlement) => {
      if (feed.isOn) publishDelivery(feed, delivery, settlement, effects.now());
    },
    onBreaker: (target, { state, consecutiveFailures, nextProbeAt }) => {
      if (!feed.isOn) return;
      const at = iso(effects.now());
      const next_probe_at = isoOrNull(nextProbeAt);
      const data = () => ({ at, target, state, consecutive_failures: consecutiveFailures, next_probe_at });
      feed.publish({ kind: 'breaker', channel: null, target, verdicts: [], data });
    },
  };
}

function publishWebhook(feed: Feed, { channel, event, recorded }: RecordedWebhook, at: number): void {
  const { webhook, judgements, held, verdicts, deliveries } = recorded;
  const items = judgements
    .slice(0, MOST_NAMED)
    .map(({ verdict, rule }, position) => ({ position, verdict, rule, held: held.has(position) }));
  const data = () => ({
    id: webhook,
    at: iso(at),
    ...{ channel, event: printable(nameOf(event)), deliveries, items, total: verdicts.length },
  });
  feed.publish({ kind: 'webhook', channel, target: null, verdicts, data });
}

function publishDelivery(feed: Feed, delivery: Delivery, settlement: Settlement, at: number): void {
  const { id, channel, event, verdicts } = delivery;
  const { status, attempt, dueAt } = settlement;
  const target = delivery.target.id;
  const attempts = delivery.attempts + (attempt === null || delivery.besideSchedule ? 0 : 1);
  const data = () => ({
    ...{ id, at: iso(at), target, channel, event: printable(nameOf(event)) },
    ...{ verdicts: verdicts.slice(0, MOST_NAMED), status, attempts },
    ...{ http_status: attempt?.status ?? null, duration_ms: attempt?.durationMs ?? null },
    next_attempt_at: status === 'pending' ? isoOrNull(dueAt ?? null) : null,
  });
  feed.publish({ kind: 'delivery', channel, target, verdicts, data });
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : iso(ms);
}
