import { decode } from '../../intake/decode.js';
import type { Channel, IncomingWebhook } from '../../model.js';
import { recoveredWebhookBody } from '../rules/recovered-webhook.js';
import { receiversOf, requireReleasable } from '../rules/audits.js';
import type { AuditCursor, AuditRow } from '../rules/audits.js';
import type { Db } from './database.js';
import type { Recovery, WebhookRecorder } from '../rules/recorder.js';
import type { RegistryTables } from './registry-tables.js';
import type { RememberedIds } from './remembered-ids.js';

type StoredRow = Pick<AuditRow, 'number' | 'kind' | 'channel' | 'status'>;

interface FoundRow {
  number: number;
  key: Buffer;
  sentAt: number;
  json: Buffer;
}

interface ReleaseStep {
  readonly messages: number;
  readonly cameMeanwhile: number;
  readonly deliveries: number;
  /** Where the next step begins; null: none are left. */
  readonly next: AuditCursor | null;
}

/**
 * Records messages that never came as if webhooks had brought them: one webhook for each message, judged and routed like
 * every webhook. For use inside a transaction.
 */
export class AuditMessageRelease {
  readonly #registry: RegistryTables;
  readonly #ids: RememberedIds;
  readonly #recorder: WebhookRecorder;
  readonly #audit;
  readonly #unreleased;
  readonly #lastForm;
  readonly #markReleased;
  readonly #addReleased;

  constructor(db: Db, registry: RegistryTables, ids: RememberedIds, recorder: WebhookRecorder) {
    this.#registry = registry;
    this.#ids = ids;
    this.#recorder = recorder;
    this.#audit = db.prepare<[string], StoredRow>('SELECT number, kind, channel, status FROM audits WHERE id = ?');
    this.#unreleased = db.prepare<unknown[], FoundRow>(
      `SELECT m.number, m.key, m.sent_at AS sentAt, m.json
       FROM audit_messages m
       WHERE m.audit = ? AND (m.sent_at, m.number) > (?, ?) AND m.released_at IS NULL
       ORDER BY m.sent_at, m.number LIMIT ?`,
    );
    // Only the newest webhooks are searched: a search through all of them would take long when none matches.
    this.#lastForm = db.prepare<[string], Pick<IncomingWebhook, 'method' | 'suffix'>>(
      `SELECT method, suffix FROM (SELECT * FROM webhooks ORDER BY id DESC LIMIT 10000)
       WHERE channel = ? AND event = 'messages.post' AND audit IS NULL LIMIT 1`,
    );
    this.#markReleased = db.prepare('UPDATE audit_messages SET released_at = ? WHERE number = ?');
    this.#addReleased = db.prepare('UPDATE audits SET released = released + ? WHERE number = ?');
  }

  /** Releases the next `limit` messages, or counts them with `dryRun`. @throws GatewayError GW_NOT_FOUND, GW_CONFLICT */
  step(
    id: string,
    targetIds: readonly string[] | null,
    { dryRun, after, limit }: { dryRun: boolean; after: AuditCursor; limit: number },
    now: number,
  ): ReleaseStep {
    const audit = requireReleasable(id, this.#audit.get(id));
    const receivers = receiversOf(audit.channel, targetIds, {
      targets: this.#registry.targets().values(),
      requireTarget: (target) => this.#registry.requireTarget(target),
    });
    const recovery = { auditId: id, targetIds: receivers };
    const rows = this.#unreleased.all(audit.number, after.sentAt, after.number, limit);
    const missing = rows.filter(({ key }) => !this.#ids.wasSeen(key));
    const channel = this.#registry.requireChannel(audit.channel);
    const deliveries = dryRun ? 0 : this.#record(missing, channel, recovery, now);
    if (!dryRun) this.#addReleased.run(missing.length, audit.number);
    const next = rows.length === limit ? (rows.at(-1) ?? null) : null;
    return { messages: missing.length, cameMeanwhile: rows.length - missing.length, deliveries, next };
  }

  #record(rows: readonly FoundRow[], channel: Channel, recovery: Recovery, now: number): number {
    const form = this.#lastForm.get(channel.name) ?? { method: 'POST', suffix: '' };
    let deliveries = 0;
    for (const { number, json } of rows) {
      const body = recoveredWebhookBody(json, channel.channelId);
      const webhook: IncomingWebhook = { ...form, channel: channel.name, contentType: 'application/json', body };
      deliveries += this.#recorder.record(webhook, decode(body, webhook), now, recovery).deliveries;
      this.#markReleased.run(now, number);
    }
    return deliveries;
  }
}
