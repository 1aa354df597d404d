import type { Attempt as AttemptJson, Delivery } from '../contract/deliveries.js';
import type { ResyncMessage } from '../contract/resyncs.js';
import { DEFAULT_LIMIT } from '../contract/schema.js';
import { badCursor } from '../errors.js';
import type { Attempt } from '../model.js';
import type { DeliveryView } from '../store/deliveries.js';
import type { Page, PageRequest } from '../store/paging.js';
import { shown } from './schema-words.js';
import { invalidField } from './validation-errors.js';
import type { ResyncMessageView } from '../store/resyncs.js';

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

export function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : iso(ms);
}

const TIME = 'an ISO 8601 time with a zone';
const ISO_8601 = /^(\d{4}-\d\d-\d\d)T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

/** From when on and until when, in milliseconds. @throws GatewayError GW_BAD_REQUEST */
export function timesOf({ since, until }: { since?: string; until?: string }) {
  return { since: timeOf(since, '/since'), until: timeOf(until, '/until') };
}

/** A time of a request's body or query as milliseconds. @throws GatewayError GW_BAD_REQUEST */
function timeOf(text: string | undefined, path: string): number | undefined {
  if (text === undefined) return undefined;
  const day = ISO_8601.exec(text)?.[1];
  // Date.parse takes a 30 February for the 2 March.
  const isDay = day !== undefined && !Number.isNaN(Date.parse(day)) && iso(Date.parse(day)).startsWith(day);
  const ms = isDay ? Date.parse(text) : NaN;
  if (Number.isNaN(ms))
    throw invalidField(
      path,
      `"${path.slice(1)}" is ${shown(text)}; expected ${TIME}, for example 2026-01-31T12:00:00Z`,
      {
        name: 'time',
      },
    );
  return ms;
}

export function pageRequest(query: { limit?: number; cursor?: string }): PageRequest {
  return { limit: query.limit ?? DEFAULT_LIMIT, cursor: query.cursor ?? null };
}

/**
 * One page of a list that is in memory, ordered by keys that never change.
 * @throws GatewayError GW_BAD_REQUEST (invalid cursor)
 */
export function pageOfAll<T>(all: readonly T[], keyOf: (item: T) => string, { limit, cursor }: PageRequest): Page<T> {
  const after = cursor === null ? '' : decodedKey(cursor);
  const rest = all
    .map((item) => ({ key: keyOf(item), item }))
    .filter(({ key }) => key > after)
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const last = rest[limit - 1];
  return {
    data: rest.slice(0, limit).map(({ item }) => item),
    nextCursor: rest.length > limit && last ? Buffer.from(`${KEY_CURSOR}${last.key}`).toString('base64url') : null,
  };
}

const KEY_CURSOR = 'after:';

function decodedKey(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  if (!text.startsWith(KEY_CURSOR)) throw badCursor();
  return text.slice(KEY_CURSOR.length);
}

export function pageJson<View, Json>(
  page: Page<View>,
  json: (view: View) => Json,
): { data: Json[]; next_cursor: string | null } {
  return { data: page.data.map(json), next_cursor: page.nextCursor };
}

export function attemptJson(attempt: Attempt): AttemptJson {
  return {
    started_at: iso(attempt.startedAt),
    duration_ms: attempt.durationMs,
    status: attempt.status,
    error: attempt.error,
    response: attempt.response ?? null,
  };
}

export function deliveryJson(view: DeliveryView): Delivery {
  return {
    id: view.id,
    status: view.status,
    target: view.target,
    channel: view.channel,
    event: view.event,
    verdicts: [...view.verdicts],
    attempts: view.attempts,
    created_at: iso(view.createdAt),
    next_attempt_at: isoOrNull(view.nextAttemptAt),
    waits_for: view.waitsFor,
    settled_at: isoOrNull(view.settledAt),
    last_error: view.lastError,
    released: view.released,
    webhook: view.webhookId,
    positions: [...view.positions],
    bytes: view.bytes,
    lanes: view.lanes,
    waits_for_delivery: view.waitsForDelivery,
    expires_at: isoOrNull(view.expiresAt),
  };
}

export function resyncMessageJson(view: ResyncMessageView): ResyncMessage {
  return {
    resync: view.resyncId,
    message_id: view.messageId,
    status: view.status,
    calls: view.calls,
    polls: view.polls,
    registered_at: iso(view.registeredAt),
    asked_at: isoOrNull(view.askedAt),
    restored_at: isoOrNull(view.restoredAt),
    proof: view.proof,
    known_before: view.known,
    held: view.held,
    window_closes_at: isoOrNull(view.windowClosesAt),
    error: view.error,
  };
}
