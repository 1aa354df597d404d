import type { Channel } from '../../model.js';
import type { Db } from './database.js';
import type { RegistryTables } from './registry-tables.js';
import type { RememberedIds } from './remembered-ids.js';
import type { ShownMessages } from './shown-messages.js';
import type { LedgerFacts } from '../rules/ledger-facts.js';
import type { EvidenceColumns, RecordingRows, SightingColumns, WebhookColumns } from '../rules/recording.js';
import type { Replay } from '../traffic.js';

interface ReplayRow {
  channel: string;
  began_at: number;
  last_at: number;
  messages: number;
  held: number;
  oldest_sent_at: number;
}

/** Writes the rows of a recorded webhook, each at once. For use inside a transaction. */
export class RecordingTables implements RecordingRows {
  readonly #registry: RegistryTables;
  readonly #ids: RememberedIds;
  readonly #shown: ShownMessages;
  readonly #insertWebhook;
  readonly #insertSighting;
  readonly #insertEvidence;
  readonly #saveNewestInChat;
  readonly #saveAnswerInChat;
  readonly #saveFingerprint;
  readonly #saveLastOfObject;
  readonly #markRestored;
  readonly #saveReplay;

  constructor(db: Db, registry: RegistryTables, ids: RememberedIds, shown: ShownMessages) {
    this.#registry = registry;
    this.#ids = ids;
    this.#shown = shown;
    this.#insertWebhook = db.prepare(
      `INSERT INTO webhooks (id, channel, received_at, method, suffix, content_type, event, body, audit, via) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#insertSighting = db.prepare(
      `INSERT INTO sightings (webhook_id, position, carrier, message_key, message_id, verdict, rule, held, placeholder)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#insertEvidence = db.prepare(
      `INSERT INTO evidence (webhook_id, position, recorded_at, newest_sent_at, newest_received_at, sent_at, late_after_seconds,
         same_as, replay_began_at, replay_after_seconds)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#saveNewestInChat = db.prepare(
      `INSERT INTO chats (key, newest_at, received_at) VALUES (?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET newest_at = excluded.newest_at, received_at = excluded.received_at
       WHERE excluded.newest_at > newest_at`,
    );
    this.#saveAnswerInChat = db.prepare<{ chat: Buffer; sentAt: number; now: number }>(
      `INSERT INTO chats (key, newest_at, received_at, own_at) VALUES (@chat, @sentAt, @now, @sentAt)
       ON CONFLICT (key) DO UPDATE SET newest_at = max(newest_at, @sentAt),
         received_at = CASE WHEN @sentAt > newest_at THEN @now ELSE received_at END,
         own_at = max(coalesce(own_at, @sentAt), @sentAt)`,
    );
    this.#saveFingerprint = db.prepare(
      `INSERT INTO fingerprints (key, recorded_at) VALUES (?, ?)
       ON CONFLICT (key) DO UPDATE SET recorded_at = excluded.recorded_at`,
    );
    this.#saveLastOfObject = db.prepare<[Buffer, Buffer, number]>(
      `INSERT INTO objects (key, last, recorded_at) VALUES (?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET last = excluded.last, recorded_at = excluded.recorded_at`,
    );
    // A message that came before the call to Whapi needs no call any more, so its window starts now.
    this.#markRestored = db.prepare<{ now: number; key: Buffer }>(
      `UPDATE resync_messages SET status = 'restored', restored_at = @now, settled_at = @now, proof = 'webhook',
         next_at = NULL, error = NULL,
         closes_at = coalesce(closes_at, @now + 1000 * (SELECT window_seconds FROM resyncs WHERE number = resync))
       WHERE key = @key AND closed = 0 AND status IN ('queued', 'requesting', 'waiting', 'failed')`,
    );
    this.#saveReplay = db.prepare<[ReplayRow]>(
      `INSERT OR REPLACE INTO replays (channel, began_at, last_at, messages, held, oldest_sent_at)
       VALUES (@channel, @began_at, @last_at, @messages, @held, @oldest_sent_at)`,
    );
  }

  webhook({ id, receivedAt, webhook, event, body, audit }: WebhookColumns): void {
    this.#insertWebhook.run(
      id,
      webhook.channel,
      receivedAt,
      webhook.method,
      webhook.suffix,
      webhook.contentType,
      event,
      body,
      audit,
      webhook.via ?? null,
    );
  }

  sighting(row: SightingColumns): void {
    this.#insertSighting.run(
      row.webhookId,
      row.position,
      row.carrier,
      row.messageKey,
      row.messageId,
      row.verdict,
      row.rule,
      row.isHeld ? 1 : 0,
      row.isPlaceholder ? 1 : 0,
    );
  }

  evidence(row: EvidenceColumns): void {
    this.#insertEvidence.run(
      row.webhookId,
      row.position,
      row.recordedAt ?? null,
      row.newestSentAt ?? null,
      row.newestReceivedAt ?? null,
      row.sentAt ?? null,
      row.lateAfterSeconds ?? null,
      row.sameAs ?? null,
      row.replayBeganAt ?? null,
      row.replayAfterSeconds ?? null,
    );
  }

  newId(key: Buffer, facts: LedgerFacts): void {
    this.#ids.insert(key, facts);
  }

  knownId(key: Buffer, facts: LedgerFacts): void {
    const before = this.#ids.find(key);
    if (before) this.#ids.update(key, before, facts);
  }

  messageInChat(chat: Buffer, sentAt: number, now: number): void {
    this.#saveNewestInChat.run(chat, sentAt, now);
  }

  answerInChat(chat: Buffer, sentAt: number, now: number): void {
    this.#saveAnswerInChat.run({ chat, sentAt, now });
  }

  fingerprint(key: Buffer, now: number): void {
    this.#saveFingerprint.run(key, now);
  }

  saveLastOfObject(key: Buffer, last: Buffer, now: number): void {
    this.#saveLastOfObject.run(key, last, now);
  }

  restored(key: Buffer, now: number): void {
    this.#markRestored.run({ now, key });
  }

  shownCame(key: Buffer, cameAs: Buffer): void {
    this.#shown.came(key, cameAs);
  }

  replay(channel: string, { beganAt, lastAt, messages, held, oldestSentAt }: Replay): void {
    this.#saveReplay.run({
      ...{ channel, began_at: beganAt, last_at: lastAt, messages, held },
      oldest_sent_at: Math.floor(oldestSentAt),
    });
  }

  boundChannel(channel: Channel): void {
    this.#registry.updateChannel(channel);
  }
}

/** The last replay of each channel, as it was saved. */
export function savedReplays(db: Db): [channel: string, replay: Replay][] {
  const rows = db
    .prepare<[], ReplayRow>('SELECT channel, began_at, last_at, messages, held, oldest_sent_at FROM replays')
    .all();
  return rows.map(({ channel, began_at: beganAt, last_at: lastAt, messages, held, oldest_sent_at: oldestSentAt }) => [
    channel,
    { beganAt, lastAt, messages, held, oldestSentAt },
  ]);
}
