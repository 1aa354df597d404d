import { GatewayError } from '../../errors.js';
import { decode } from '../../intake/decode.js';
import { subscribes } from '../../intake/route.js';
import type { Channel, EventName, IncomingWebhook, Target } from '../../model.js';
import { noSuchAudit } from './audits.js';
import type { Place } from './audits.js';
import type { Db } from './database.js';
import type { Recovery, SqliteIntake } from './intake.js';
import type { SqliteRegistry } from './registry.js';

interface AuditRow {
  number: number;
  kind: string;
  channel: string;
  status: string;
}

interface FoundRow {
  number: number;
  sentAt: number;
  json: Buffer;
  isSeen: number;
}

interface Released {
  readonly messages: number;
  readonly cameMeanwhile: number;
  readonly deliveries: number;
  /** The last one looked at; null: there are no more. */
  readonly last: Place | null;
}

const EVENT: EventName = { type: 'messages', method: 'post' };

/**
 * Recording what never came, as if a webhook had brought it: a body as Whapi's webhooks have it around the element's own
 * bytes, one message each, judged and routed on the way that every webhook takes. For use inside a transaction.
 */
export class SqliteAuditRelease {
  readonly #registry: SqliteRegistry;
  readonly #intake: SqliteIntake;
  readonly #audit;
  readonly #found;
  readonly #lastForm;
  readonly #mark;
  readonly #count;

  constructor(db: Db, registry: SqliteRegistry, intake: SqliteIntake) {
    this.#registry = registry;
    this.#intake = intake;
    this.#audit = db.prepare<[string], AuditRow>('SELECT number, kind, channel, status FROM audits WHERE id = ?');
    this.#found = db.prepare<unknown[], FoundRow>(
      `SELECT m.number, m.sent_at AS sentAt, m.json,
         EXISTS (SELECT 1 FROM ledger l WHERE l.key = m.key AND l.first_seen_at IS NOT NULL) AS isSeen
       FROM audit_messages m
       WHERE m.audit = ? AND (m.sent_at, m.number) > (?, ?) AND m.released_at IS NULL
       ORDER BY m.sent_at, m.number LIMIT ?`,
    );
    // Among the newest ones: where there is none, the search through all webhooks would take long.
    this.#lastForm = db.prepare<[string], Pick<IncomingWebhook, 'method' | 'suffix'>>(
      `SELECT method, suffix FROM (SELECT * FROM webhooks ORDER BY id DESC LIMIT 10000)
       WHERE channel = ? AND event = 'messages.post' AND audit IS NULL LIMIT 1`,
    );
    this.#mark = db.prepare('UPDATE audit_messages SET released_at = ? WHERE number = ?');
    this.#count = db.prepare('UPDATE audits SET released = released + ? WHERE number = ?');
  }

  /** The messages behind `after`, `limit` at most. @throws GatewayError GW_NOT_FOUND, GW_CONFLICT */
  some(
    id: string,
    targetIds: readonly string[] | null,
    { dryRun, after, limit }: { dryRun: boolean; after: Place; limit: number },
    now: number,
  ): Released {
    const audit = this.#releasable(id);
    const recovery = { auditId: id, targetIds: this.#receivers(audit.channel, targetIds) };
    const rows = this.#found.all(audit.number, after.sentAt, after.number, limit);
    const owed = rows.filter(({ isSeen }) => isSeen === 0);
    const channel = this.#registry.mustHaveChannel(audit.channel);
    const deliveries = dryRun ? 0 : this.#record(owed, channel, recovery, now);
    if (!dryRun) this.#count.run(owed.length, audit.number);
    const last = rows.length === limit ? (rows.at(-1) ?? null) : null;
    return { messages: owed.length, cameMeanwhile: rows.length - owed.length, deliveries, last };
  }

  #releasable(id: string): AuditRow {
    const audit = this.#audit.get(id);
    if (!audit) throw noSuchAudit(id);
    if (audit.kind !== 'audit') throw new GatewayError('GW_CONFLICT', 'A seeding finds nothing to release.');
    if (audit.status === 'running') {
      throw new GatewayError('GW_CONFLICT', 'This audit is still running. Wait until it is over, or cancel it.');
    }
    return audit;
  }

  /** @throws GatewayError GW_NOT_FOUND, GW_CONFLICT */
  #receivers(channel: string, targetIds: readonly string[] | null): ReadonlySet<string> {
    const wants = (target: Target): boolean => subscribes(target, channel, EVENT) && target.deliver.includes('late');
    const everyone = [...this.#registry.targets().values()].map(({ target }) => target);
    const chosen = targetIds ? targetIds.map((id) => this.#registry.mustHaveTarget(id).target) : everyone.filter(wants);
    const unwilling = chosen.find((target) => !wants(target));
    if (unwilling) {
      throw new GatewayError(
        'GW_CONFLICT',
        `Target "${unwilling.id}" does not want late messages of this channel. Add "late" to its "deliver", and see its ` +
          '"channels" and "events"; or leave it out.',
      );
    }
    if (chosen.length === 0) {
      throw new GatewayError(
        'GW_CONFLICT',
        'No target wants late messages of this channel. Add "late" to the "deliver" of one.',
      );
    }
    return new Set(chosen.map(({ id }) => id));
  }

  #record(rows: readonly FoundRow[], channel: Channel, recovery: Recovery, now: number): number {
    const form = this.#lastForm.get(channel.name) ?? { method: 'POST', suffix: '' };
    let deliveries = 0;
    for (const { number, json } of rows) {
      const body = webhookOf(json, channel.channelId);
      const webhook: IncomingWebhook = { ...form, channel: channel.name, contentType: 'application/json', body };
      deliveries += this.#intake.record(webhook, decode(body, webhook), now, recovery).deliveries;
      this.#mark.run(now, number);
    }
    return deliveries;
  }
}

/** A webhook's body around one element of the list, whose bytes stay as Whapi gave them. */
function webhookOf(json: Buffer, channelId: string | null): Buffer {
  const channel = channelId === null ? '' : `,"channel_id":${JSON.stringify(channelId)}`;
  const after = `],"event":{"type":"messages","event":"post"}${channel}}`;
  return Buffer.concat([Buffer.from('{"messages":['), json, Buffer.from(after)]);
}
