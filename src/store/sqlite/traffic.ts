import type { Effects } from '../../effects.js';
import { nameOf } from '../../intake/event.js';
import type { EventName } from '../../model.js';
import { parseEventName } from '../rules/event-names.js';
import type { Db } from './database.js';
import { read } from './reads.js';
import type { TrafficCounts } from './traffic-counts.js';
import type { ChannelTraffic, Traffic, WebhookForm } from '../traffic.js';

/** How many of the newest webhooks `lastForm` searches: about 20 MB, read in some milliseconds. */
const SEARCHED_WEBHOOKS = 10_000;
/** How many of the newest webhooks `recentEvents` reads: a millisecond or two. */
const RECENT_WEBHOOKS = 1000;

export class SqliteTraffic implements Traffic {
  readonly #counts: TrafficCounts;
  readonly #now: Effects['now'];
  readonly #recentEvents;
  readonly #lastForm;

  constructor(db: Db, counts: TrafficCounts, now: Effects['now']) {
    this.#counts = counts;
    this.#now = now;
    this.#recentEvents = db.prepare<[], { channel: string; event: string }>(
      `SELECT DISTINCT channel, event FROM (SELECT channel, event FROM webhooks ORDER BY id DESC LIMIT ${RECENT_WEBHOOKS})`,
    );
    this.#lastForm = db.prepare<unknown[], Omit<WebhookForm, 'event'> & { event: string }>(
      `SELECT event, method, suffix
       FROM (SELECT id, channel, event, method, suffix FROM webhooks ORDER BY id DESC LIMIT ${SEARCHED_WEBHOOKS})
       WHERE ? IS NULL OR channel IN (SELECT value FROM json_each(?)) ORDER BY event = ? DESC, id DESC LIMIT 1`,
    );
  }

  countRefusal(channel: string, code: string): void {
    this.#counts.countRefused(channel, code, this.#now());
  }

  async of(channel: string): Promise<ChannelTraffic> {
    return await read(() => this.#counts.of(channel, this.#now()));
  }

  async lastWebhookAt(channel: string, since: number): Promise<number | null> {
    return await read(() => {
      const { lastWebhookAt } = this.#counts.of(channel, this.#now());
      return lastWebhookAt !== null && lastWebhookAt >= since ? lastWebhookAt : null;
    });
  }

  async recentEvents(): Promise<ReadonlyMap<string, readonly EventName[]>> {
    return await read(() => {
      const events = new Map<string, EventName[]>();
      for (const { channel, event } of this.#recentEvents.all()) {
        events.set(channel, [...(events.get(channel) ?? []), parseEventName(event)]);
      }
      return events;
    });
  }

  async lastForm(event: EventName, channels: readonly string[] | null): Promise<WebhookForm | null> {
    return await read(() => {
      const names = channels && JSON.stringify(channels);
      const row = this.#lastForm.get(names, names, nameOf(event));
      return row ? { ...row, event: parseEventName(row.event) } : null;
    });
  }
}
