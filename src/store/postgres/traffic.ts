import { MINUTE_MS } from '../../durations.js';
import { nameOf } from '../../intake/event.js';
import type { EventName } from '../../model.js';
import { utcDay } from '../rules/days.js';
import { parseEventName } from '../rules/event-names.js';
import type { Base } from './base.js';
import type { Database } from './database.js';
import type { IntakeObserver } from './intake.js';
import { readReplays } from './recording.js';
import type { ChannelTraffic, Traffic, WebhookForm } from '../traffic.js';

/** How many of the newest webhooks `lastForm` searches. */
const SEARCHED_WEBHOOKS = 10_000;
/** How many of the newest webhooks `recentEvents` reads. */
const RECENT_WEBHOOKS = 1000;
/** How far the stored row may be behind the last webhook. */
const SAVE_ACCEPTED_EVERY_MS = 10_000;
/** A crash loses the refusals of the last minute, because a flood of refusals must not cause a flood of writes. */
const SAVE_REFUSED_EVERY_MS = MINUTE_MS;

interface TrafficRow {
  readonly last_at: number | null;
  readonly refused_day: number | null;
  readonly refused: number;
  readonly refused_at: number | null;
  readonly refused_code: string | null;
}

/** What this replica has seen and not saved yet. */
interface Unsaved {
  lastAt: number | null;
  /** On the day of the last of them. */
  refused: number;
  last: { readonly at: number; readonly code: string } | null;
}

const SAVE = `INSERT INTO gateway.channel_webhooks AS w (channel, last_at, refused_day, refused, refused_at, refused_code)
  SELECT c.name, $2::bigint, $3::int, $4::int, $5::bigint, $6::text FROM gateway.channels c WHERE c.name = $1 FOR KEY SHARE
  ON CONFLICT (channel) DO UPDATE SET last_at = coalesce(excluded.last_at, w.last_at),
    refused = CASE WHEN excluded.refused_day IS NULL THEN w.refused
      WHEN excluded.refused_day = w.refused_day THEN w.refused + excluded.refused ELSE excluded.refused END,
    refused_day = coalesce(excluded.refused_day, w.refused_day), refused_at = coalesce(excluded.refused_at, w.refused_at),
    refused_code = coalesce(excluded.refused_code, w.refused_code)`;

const LAST_FORM = `SELECT w.event, w.method, w.suffix
  FROM (SELECT id, channel, event, method, suffix FROM gateway.webhooks ORDER BY id DESC LIMIT ${SEARCHED_WEBHOOKS}) w
  WHERE $1::text[] IS NULL OR w.channel = ANY($1::text[]) ORDER BY (w.event = $2) DESC, w.id DESC LIMIT 1`;

/**
 * When the last webhook of each channel came, and how many were refused today. Each replica saves what it has seen from time
 * to time and at close, so that webhooks cost no extra writes; the others see it after that.
 */
export class PostgresTraffic implements Traffic, IntakeObserver {
  readonly #db: Database;
  readonly #now: () => number;
  readonly #unsaved = new Map<string, Unsaved>();
  /** When each channel was saved last. */
  readonly #savedAt = new Map<string, number>();
  readonly #saving = new Set<Promise<void>>();

  constructor({ db, now }: Pick<Base, 'db' | 'now'>) {
    this.#db = db;
    this.#now = now;
  }

  accepted(channel: string, at: number): void {
    this.#of(channel).lastAt = at;
    this.#saveWhenDue(channel, at, SAVE_ACCEPTED_EVERY_MS);
  }

  countRefusal(channel: string, code: string): void {
    const now = this.#now();
    const unsaved = this.#of(channel);
    const isSameDay = unsaved.last !== null && utcDay(unsaved.last.at) === utcDay(now);
    unsaved.refused = (isSameDay ? unsaved.refused : 0) + 1;
    unsaved.last = { at: now, code };
    this.#saveWhenDue(channel, now, SAVE_REFUSED_EVERY_MS);
  }

  /** The channel was removed. */
  readonly forget = async (channel: string): Promise<void> => {
    this.#unsaved.delete(channel);
    this.#savedAt.delete(channel);
    await Promise.all(this.#saving); // an added channel of that name would get it
  };

  async of(channel: string): Promise<ChannelTraffic> {
    await Promise.all(this.#saving); // values being saved are neither in memory nor in the table
    const [row, replays] = await Promise.all([
      this.#db.one<TrafficRow>(
        'SELECT last_at, refused_day, refused, refused_at, refused_code FROM gateway.channel_webhooks WHERE channel = $1',
        channel,
      ),
      readReplays(this.#db, [channel]),
    ]);
    const { lastAt = null, refused = 0, last = null } = this.#unsaved.get(channel) ?? {};
    const today = utcDay(this.#now());
    return {
      lastWebhookAt: lastAt ?? row?.last_at ?? null,
      refused: {
        lastAt: last?.at ?? row?.refused_at ?? null,
        lastCode: last?.code ?? row?.refused_code ?? null,
        today: (row?.refused_day === today ? row.refused : 0) + (last && utcDay(last.at) === today ? refused : 0),
      },
      lastReplay: replays.last(channel),
    };
  }

  async lastWebhookAt(channel: string, since: number): Promise<number | null> {
    const { lastWebhookAt } = await this.of(channel);
    return lastWebhookAt !== null && lastWebhookAt >= since ? lastWebhookAt : null;
  }

  async recentEvents(): Promise<ReadonlyMap<string, readonly EventName[]>> {
    const rows = await this.#db.all<{ channel: string; event: string }>(
      `SELECT DISTINCT w.channel, w.event
       FROM (SELECT channel, event FROM gateway.webhooks ORDER BY id DESC LIMIT ${RECENT_WEBHOOKS}) w`,
    );
    const events = new Map<string, EventName[]>();
    for (const { channel, event } of rows) events.set(channel, [...(events.get(channel) ?? []), parseEventName(event)]);
    return events;
  }

  async lastForm(event: EventName, channels: readonly string[] | null): Promise<WebhookForm | null> {
    const row = await this.#db.one<Omit<WebhookForm, 'event'> & { event: string }>(LAST_FORM, channels, nameOf(event));
    return row ? { ...row, event: parseEventName(row.event) } : null;
  }

  /** Saves what has waited long enough: no other event may come, and other processes would never see it. */
  readonly saveDue = (): void => {
    for (const [channel, { lastAt }] of this.#unsaved)
      this.#saveWhenDue(channel, this.#now(), lastAt === null ? SAVE_REFUSED_EVERY_MS : SAVE_ACCEPTED_EVERY_MS);
  };

  /** Saves everything. If the database takes no writes, it is lost, like after a crash. */
  async flush(): Promise<void> {
    for (const channel of this.#unsaved.keys()) this.#save(channel);
    await Promise.all(this.#saving);
  }

  #saveWhenDue(channel: string, now: number, everyMs: number): void {
    if (Math.abs(now - (this.#savedAt.get(channel) ?? -Infinity)) < everyMs) return;
    this.#savedAt.set(channel, now);
    this.#save(channel);
  }

  /** What cannot be saved is counted again, for the next save. */
  #save(channel: string): void {
    const unsaved = this.#unsaved.get(channel);
    if (!unsaved) return;
    this.#unsaved.delete(channel);
    const { lastAt, refused, last } = unsaved;
    const day = last && utcDay(last.at);
    const saving = this.#db
      .run(SAVE, channel, lastAt, day, refused, last?.at ?? null, last?.code ?? null)
      .then(() => undefined)
      .catch(() => this.#countAgain(channel, unsaved))
      .finally(() => this.#saving.delete(saving));
    this.#saving.add(saving);
  }

  #countAgain(channel: string, { lastAt, refused, last }: Unsaved): void {
    const since = this.#of(channel);
    since.lastAt ??= lastAt;
    const isSameDay = since.last === null || (last !== null && utcDay(last.at) === utcDay(since.last.at));
    if (isSameDay) since.refused += refused;
    since.last ??= last;
  }

  #of(channel: string): Unsaved {
    const known = this.#unsaved.get(channel);
    if (known) return known;
    const unsaved = { lastAt: null, refused: 0, last: null };
    this.#unsaved.set(channel, unsaved);
    return unsaved;
  }
}
