import { GatewayError } from '../../errors.js';
import { inSlices } from '../../event-loop.js';
import { decodeRecordedInSlices } from '../../intake/decode.js';
import { cutter } from '../../intake/route.js';
import type { WebhookHttpMethod } from '../../model.js';
import type { DecodedWebhook } from '../rules/release.js';
import type { Queries } from './queries.js';

interface WebhookRow {
  readonly id: number;
  readonly method: WebhookHttpMethod;
  readonly suffix: string;
  readonly body: Buffer;
}

/** The first ones by id, up to the one whose body exceeds the limit. */
const WEBHOOKS = `SELECT w.id, w.method, w.suffix, w.body FROM gateway.webhooks w WHERE w.id = ANY(ARRAY(
    SELECT b.id FROM (
      SELECT o.id, sum(octet_length(o.body)) OVER (ORDER BY o.id) - octet_length(o.body) AS before
      FROM gateway.webhooks o WHERE o.id = ANY($1::bigint[])
    ) b WHERE b.before < $2::bigint
  ))`;

/** The webhooks whose items a release sends, each read and decoded once. */
export class ReleasedWebhooks {
  readonly #decoded = new Map<number, DecodedWebhook>();
  #bytesRead = 0;

  get bytesRead(): number {
    return this.#bytesRead;
  }

  has(id: number): boolean {
    return this.#decoded.has(id);
  }

  /** Reads the first ones of these, at least one, before any channel is locked: bodies do not change. */
  async load(queries: Queries, ids: readonly number[], maxBytes: number): Promise<void> {
    const rows = await queries.all<WebhookRow>(WEBHOOKS, [...new Set(ids)], maxBytes);
    for (const row of rows) await this.#add(row);
  }

  async get(queries: Queries, id: number): Promise<DecodedWebhook> {
    if (!this.#decoded.has(id)) await this.load(queries, [id], 1);
    const webhook = this.#decoded.get(id);
    if (!webhook) throw new GatewayError('GW_INTERNAL', `Webhook ${id} is missing.`);
    return webhook;
  }

  async #add({ id, body, ...hint }: WebhookRow): Promise<void> {
    const document = await inSlices(decodeRecordedInSlices(body, hint));
    this.#decoded.set(id, { document, cut: cutter(document).cut });
    this.#bytesRead += body.length;
  }
}
