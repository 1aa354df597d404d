import { decode } from '../../intake/decode.js';
import type { Channel, IncomingWebhook } from '../../model.js';
import { receiversOf, requireReleasable } from '../rules/audits.js';
import type { AuditCursor, AuditRow } from '../rules/audits.js';
import { recoveredWebhookBody } from '../rules/recovered-webhook.js';
import { findAudit } from './audit-rows.js';
import type { Base } from './base.js';
import type { Database } from './database.js';
import type { Queries, Transaction } from './queries.js';
import type { Incoming, Recording } from './recording.js';
import type { RegistryCache, RegistryState } from './registry-cache.js';

type Form = Pick<IncomingWebhook, 'method' | 'suffix'>;

interface FoundRow {
  readonly number: number;
  readonly sent_at: number;
  readonly json: Buffer;
  readonly seen: boolean;
}

export interface ReleaseStep {
  readonly messages: number;
  readonly cameMeanwhile: number;
  readonly deliveries: number;
  /** Where the next step begins; null: none are left. */
  readonly next: AuditCursor | null;
}

export interface ReleaseRequest {
  readonly id: string;
  readonly targetIds: readonly string[] | null;
  readonly dryRun: boolean;
}

/** Keeps the channel's lock short: each message is recorded like a webhook. */
const MESSAGES_PER_STEP = 100;

const UNRELEASED = `SELECT m.number, m.sent_at, m.json, l.first_seen_at IS NOT NULL AS seen
  FROM gateway.audit_messages m LEFT JOIN gateway.ledger l ON l.key = m.key
  WHERE m.audit = $1 AND (m.sent_at, m.number) > ($2::double precision, $3::bigint) AND m.released_at IS NULL
  ORDER BY m.sent_at, m.number LIMIT ${MESSAGES_PER_STEP}`;

// Searches only the newest webhooks, because a search through all of them takes long if none matches.
const LAST_FORM = `SELECT w.method, w.suffix
  FROM (SELECT id, channel, event, audit, method, suffix FROM gateway.webhooks ORDER BY id DESC LIMIT 10000) w
  WHERE w.channel = $1 AND w.event = 'messages.post' AND w.audit IS NULL ORDER BY w.id DESC LIMIT 1`;

/** Records messages that no webhook has carried, as one webhook each, which is judged and routed as usual. */
export class AuditMessageRelease {
  readonly #db: Database;
  readonly #registry: RegistryCache;
  readonly #recording: Recording;
  readonly #now: () => number;

  constructor({ db, registry, now }: Base, recording: Recording) {
    this.#db = db;
    this.#registry = registry;
    this.#recording = recording;
    this.#now = now;
  }

  /**
   * The method and path suffix of the channel's newest webhook with messages, for the webhooks to record.
   * @throws GatewayError GW_NOT_FOUND, GW_CONFLICT
   */
  async formFor(id: string): Promise<Form> {
    const { channel } = requireReleasable(id, await findAudit(this.#db, id));
    return (await this.#db.one<Form>(LAST_FORM, channel)) ?? { method: 'POST', suffix: '' };
  }

  /** Releases the next messages, or counts them with `dryRun`. @throws GatewayError GW_NOT_FOUND, GW_CONFLICT */
  async step(request: ReleaseRequest, form: Form, after: AuditCursor): Promise<ReleaseStep> {
    const audit = requireReleasable(request.id, await findAudit(this.#db, request.id));
    if (request.dryRun) {
      const registry = await this.#registry.current();
      receiversIn(registry, audit, request);
      registry.requireChannel(audit.channel);
      return stepOf(await unreleased(this.#db, audit, after), 0);
    }
    let rows: readonly FoundRow[] = [];
    const outcomes = await this.#recording.recordChosen(audit.channel, async (tx, registry) => {
      const recovery = { auditId: audit.id, targetIds: receiversIn(registry, audit, request) };
      const channel = registry.requireChannel(audit.channel);
      rows = await unreleased(tx, audit, after);
      const missing = rows.filter(({ seen }) => !seen);
      const batch = missing.map(({ json }) => ({ ...incoming(json, channel, form), recovery }));
      return { batch, write: (write) => this.#markReleased(write, audit, missing) };
    });
    let deliveries = 0;
    for (const outcome of outcomes) {
      if ('refusal' in outcome) throw outcome.refusal;
      deliveries += outcome.result.deliveries;
    }
    return stepOf(rows, deliveries);
  }

  #markReleased(tx: Transaction, { number }: AuditRow, missing: readonly FoundRow[]): Promise<unknown>[] {
    return [
      tx.run(
        'UPDATE gateway.audit_messages SET released_at = $1 WHERE number = ANY($2::bigint[])',
        this.#now(),
        missing.map((row) => row.number),
      ),
      tx.run('UPDATE gateway.audits SET released = released + $1 WHERE number = $2', missing.length, number),
    ];
  }
}

async function unreleased(queries: Queries, { number }: AuditRow, after: AuditCursor): Promise<FoundRow[]> {
  return await queries.all<FoundRow>(UNRELEASED, number, after.sentAt, after.number);
}

function receiversIn(registry: RegistryState, { channel }: AuditRow, { targetIds }: ReleaseRequest) {
  return receiversOf(channel, targetIds, {
    targets: registry.targets.values(),
    requireTarget: (id) => registry.requireTarget(id),
  });
}

function incoming(json: Buffer, channel: Channel, form: Form): Incoming {
  const body = recoveredWebhookBody(json, channel.channelId);
  const webhook: IncomingWebhook = { ...form, channel: channel.name, contentType: 'application/json', body };
  return { webhook, document: decode(body, webhook) };
}

function stepOf(rows: readonly FoundRow[], deliveries: number): ReleaseStep {
  const messages = rows.filter(({ seen }) => !seen).length;
  const last = rows.length === MESSAGES_PER_STEP ? rows.at(-1) : undefined;
  return {
    ...{ messages, deliveries, cameMeanwhile: rows.length - messages },
    next: last ? { sentAt: last.sent_at, number: last.number } : null,
  };
}
