import { MINUTE_MS } from '../../durations.js';
import { utcDay } from '../rules/days.js';
import { ReplayWatch } from '../../intake/replays.js';
import type { Db } from './database.js';
import type { GroupCommit } from './group-commit.js';
import type { ChannelTraffic } from '../traffic.js';

interface TrafficRow {
  channel: string;
  last_at: number | null;
  refused_day: number | null;
  refused: number;
  refused_at: number | null;
  refused_code: string | null;
}

/** A row in memory, ahead of the stored one. */
interface CachedRow {
  row: TrafficRow;
  writtenAt: number;
  isDirty: boolean;
}

/** How far the stored row may be behind the last webhook. Writing it costs no commit of its own. */
const SAVE_ACCEPTED_EVERY_MS = 10_000;
/** A crash loses the refusals of the last minute, because a flood of refusals must not cause a flood of writes. */
const SAVE_REFUSED_EVERY_MS = MINUTE_MS;
/** Read once, at the start. A release of an audit records webhooks that did not come from Whapi: they do not count. */
const NEWEST_BY_CHANNEL = `
  SELECT w.channel, max(w.received_at) AS at
  FROM (SELECT channel, received_at FROM webhooks WHERE audit IS NULL ORDER BY id DESC LIMIT 10000) w
  JOIN channels c ON c.name = w.channel GROUP BY w.channel`;

/**
 * When the last webhook of each channel came, and how many were refused today. Reads use memory; rows are saved from time
 * to time and at close, so that webhooks cost no extra writes.
 */
export class TrafficCounts {
  readonly #commit: GroupCommit;
  readonly #replays: ReplayWatch;
  readonly #cache = new Map<string, CachedRow>();
  readonly #upsert;
  readonly #delete;
  readonly #deleteReplay;

  constructor(db: Db, commit: GroupCommit, replays = new ReplayWatch()) {
    this.#commit = commit;
    this.#replays = replays;
    const rows = db.prepare<[], TrafficRow>('SELECT * FROM channel_webhooks').all();
    for (const row of rows) this.#cache.set(row.channel, { row, writtenAt: 0, isDirty: false });
    // After a crash a row may be some seconds behind its webhooks.
    for (const { channel, at } of db.prepare<[], { channel: string; at: number }>(NEWEST_BY_CHANNEL).all()) {
      const { row } = this.#cached(channel);
      if (at > (row.last_at ?? 0))
        this.#cache.set(channel, { row: { ...row, last_at: at }, writtenAt: 0, isDirty: true });
    }
    this.#upsert = db.prepare<[TrafficRow]>(
      `INSERT INTO channel_webhooks (channel, last_at, refused_day, refused, refused_at, refused_code)
       VALUES (@channel, @last_at, @refused_day, @refused, @refused_at, @refused_code)
       ON CONFLICT (channel) DO UPDATE SET last_at = excluded.last_at, refused_day = excluded.refused_day,
         refused = excluded.refused, refused_at = excluded.refused_at, refused_code = excluded.refused_code`,
    );
    this.#deleteReplay = db.prepare<[string]>('DELETE FROM replays WHERE channel = ?');
    this.#delete = db.prepare<[string]>('DELETE FROM channel_webhooks WHERE channel = ?');
  }

  /** Saves the row when that is due. For use inside the transaction that records a webhook. */
  saveWhenDue(channel: string, now: number): void {
    const cached = this.#cached(channel);
    if (Math.abs(now - cached.writtenAt) < SAVE_ACCEPTED_EVERY_MS) return;
    this.#upsert.run({ ...cached.row, last_at: now });
    cached.writtenAt = now;
  }

  /** For use after the commit that recorded a webhook. */
  countAccepted(channel: string, at: number): void {
    const cached = this.#cache.get(channel);
    if (!cached) return; // the channel was removed meanwhile
    cached.row = { ...cached.row, last_at: at };
    cached.isDirty = true;
  }

  countRefused(channel: string, code: string, now: number): void {
    const cached = this.#cached(channel);
    const day = utcDay(now);
    const before = cached.row.refused_day === day ? cached.row.refused : 0;
    cached.row = { ...cached.row, refused_day: day, refused: before + 1, refused_at: now, refused_code: code };
    cached.isDirty = true;
    if (Math.abs(now - cached.writtenAt) < SAVE_REFUSED_EVERY_MS) return;
    cached.writtenAt = now;
    // If the store takes no writes, the next refusal after a minute tries again.
    void this.#commit.run(() => this.#saveAll([cached])).catch(() => undefined);
  }

  of(channel: string, now: number): ChannelTraffic {
    const row = this.#cache.get(channel)?.row;
    const isToday = row?.refused_day === utcDay(now);
    return {
      lastWebhookAt: row?.last_at ?? null,
      refused: {
        lastAt: row?.refused_at ?? null,
        lastCode: row?.refused_code ?? null,
        today: isToday ? row.refused : 0,
      },
      lastReplay: this.#replays.last(channel),
    };
  }

  /** For use inside the transaction that removes the channel. */
  remove(channel: string): void {
    this.#cache.delete(channel);
    this.#delete.run(channel);
    this.#replays.forget(channel);
    this.#deleteReplay.run(channel);
  }

  /** Saves all unsaved rows. If the store takes no writes, they are lost, like after a crash. */
  async flush(): Promise<void> {
    const dirty = [...this.#cache.values()].filter(({ isDirty }) => isDirty);
    if (dirty.length > 0) await this.#commit.run(() => this.#saveAll(dirty)).catch(() => undefined);
  }

  #saveAll(all: readonly CachedRow[]): void {
    for (const cached of all) {
      if (this.#cache.get(cached.row.channel) !== cached) continue; // the channel was removed meanwhile
      this.#upsert.run(cached.row);
      cached.isDirty = false;
    }
  }

  #cached(channel: string): CachedRow {
    const known = this.#cache.get(channel);
    if (known) return known;
    const row = { channel, last_at: null, refused_day: null, refused: 0, refused_at: null, refused_code: null };
    const made = { row, writtenAt: 0, isDirty: false };
    this.#cache.set(channel, made);
    return made;
  }
}
