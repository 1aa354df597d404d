import { dayOf } from './channel-calls.js';
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

/** A row in memory, and when it was last written. */
interface Kept {
  row: TrafficRow;
  writtenAt: number;
  isDirty: boolean;
}

/** How far the row may be behind the last webhook; it goes along with a commit that is made anyway. */
const ACCEPTED_EVERY_MS = 10_000;
/** Refusals lost by a crash are those of the last minute: a flood of them must not write each time. */
const REFUSED_EVERY_MS = 60_000;
/** Read once, at the start. Releases of audits are no webhooks of Whapi. */
const NEWEST = `
  SELECT w.channel, max(w.received_at) AS at
  FROM (SELECT channel, received_at FROM webhooks WHERE audit IS NULL ORDER BY id DESC LIMIT 10000) w
  JOIN channels c ON c.name = w.channel GROUP BY w.channel`;

/**
 * When the last webhook of each channel came, and how many were refused today. Read from memory; written now and then and
 * at the close, so that neither costs a write for each webhook.
 */
export class SqliteTraffic {
  readonly #commit: GroupCommit;
  readonly #kept = new Map<string, Kept>();
  readonly #write;
  readonly #remove;

  constructor(db: Db, commit: GroupCommit) {
    this.#commit = commit;
    const rows = db.prepare<[], TrafficRow>('SELECT * FROM channel_webhooks').all();
    for (const row of rows) this.#kept.set(row.channel, { row, writtenAt: 0, isDirty: false });
    // After a crash the row may be some seconds behind its webhooks.
    for (const { channel, at } of db.prepare<[], { channel: string; at: number }>(NEWEST).all()) {
      const { row } = this.#of(channel);
      if (at > (row.last_at ?? 0))
        this.#kept.set(channel, { row: { ...row, last_at: at }, writtenAt: 0, isDirty: true });
    }
    this.#write = db.prepare<[TrafficRow]>(
      `INSERT INTO channel_webhooks (channel, last_at, refused_day, refused, refused_at, refused_code)
       VALUES (@channel, @last_at, @refused_day, @refused, @refused_at, @refused_code)
       ON CONFLICT (channel) DO UPDATE SET last_at = excluded.last_at, refused_day = excluded.refused_day,
         refused = excluded.refused, refused_at = excluded.refused_at, refused_code = excluded.refused_code`,
    );
    this.#remove = db.prepare<[string]>('DELETE FROM channel_webhooks WHERE channel = ?');
  }

  /** Inside the transaction that records a webhook. */
  recording(channel: string, now: number): void {
    const kept = this.#of(channel);
    if (Math.abs(now - kept.writtenAt) < ACCEPTED_EVERY_MS) return;
    this.#write.run({ ...kept.row, last_at: now });
    kept.writtenAt = now;
  }

  /** After its commit. */
  accepted(channel: string, at: number): void {
    const kept = this.#kept.get(channel);
    if (!kept) return; // the channel was removed meanwhile
    kept.row = { ...kept.row, last_at: at };
    kept.isDirty = true;
  }

  refused(channel: string, code: string, now: number): void {
    const kept = this.#of(channel);
    const day = dayOf(now);
    const before = kept.row.refused_day === day ? kept.row.refused : 0;
    kept.row = { ...kept.row, refused_day: day, refused: before + 1, refused_at: now, refused_code: code };
    kept.isDirty = true;
    if (Math.abs(now - kept.writtenAt) < REFUSED_EVERY_MS) return;
    kept.writtenAt = now;
    // Where the store takes no writes, the next refusal after a minute tries again.
    void this.#commit.run(() => this.#writeAll([kept])).catch(() => undefined);
  }

  of(channel: string, now: number): ChannelTraffic {
    const row = this.#kept.get(channel)?.row;
    const isToday = row?.refused_day === dayOf(now);
    return {
      lastWebhookAt: row?.last_at ?? null,
      refused: {
        lastAt: row?.refused_at ?? null,
        lastCode: row?.refused_code ?? null,
        today: isToday ? row.refused : 0,
      },
    };
  }

  /** Inside the transaction that removes the channel. */
  forget(channel: string): void {
    this.#kept.delete(channel);
    this.#remove.run(channel);
  }

  /** What was not written yet; a store that takes no writes has nothing to keep. */
  async flush(): Promise<void> {
    const dirty = [...this.#kept.values()].filter(({ isDirty }) => isDirty);
    if (dirty.length > 0) await this.#commit.run(() => this.#writeAll(dirty)).catch(() => undefined);
  }

  #writeAll(all: readonly Kept[]): void {
    for (const kept of all) {
      if (this.#kept.get(kept.row.channel) !== kept) continue; // the channel was removed meanwhile
      this.#write.run(kept.row);
      kept.isDirty = false;
    }
  }

  #of(channel: string): Kept {
    const known = this.#kept.get(channel);
    if (known) return known;
    const row = { channel, last_at: null, refused_day: null, refused: 0, refused_at: null, refused_code: null };
    const made = { row, writtenAt: 0, isDirty: false };
    this.#kept.set(channel, made);
    return made;
  }
}
