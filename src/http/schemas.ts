import { Type } from 'typebox';
import type { Static, TSchema } from 'typebox';
import { badCursor } from '../errors.js';
import {
  DELIVERY_STATUSES,
  DELIVERY_WAITS,
  PROOFS,
  RESYNC_MESSAGE_STATUSES,
  RESYNC_STATUSES,
  TARGET_MODES,
  TARGET_SPLITS,
  VERDICTS,
} from '../model.js';
import type { Attempt } from '../model.js';
import type { DeliveryView } from '../store/deliveries.js';
import type { Page, PageRequest } from '../store/paging.js';
import { shown } from './schema-words.js';
import { invalidField } from './validation-errors.js';
import type { ResyncMessageView } from '../store/resyncs.js';

/** Schemas that several resources share. One schema gives validation, type and `/openapi.json`. */

export const oneOf = <const T extends readonly string[]>(words: T) =>
  Type.Unsafe<T[number]>(Type.String({ enum: [...words] }));
export const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
/** ISO 8601, UTC. */
export const Time = Type.String({ description: 'ISO 8601, UTC' });

export const VerdictSchema = oneOf(VERDICTS);
export const ModeSchema = oneOf(TARGET_MODES);
export const SplitSchema = oneOf(TARGET_SPLITS);
export const DeliveryStatusSchema = oneOf(DELIVERY_STATUSES);
const DeliveryWaitSchema = oneOf(DELIVERY_WAITS);
export const ResyncStatusSchema = oneOf(RESYNC_STATUSES);
export const ResyncMessageStatusSchema = oneOf(RESYNC_MESSAGE_STATUSES);

export const CHANNEL_NAME = '^[a-z0-9][a-z0-9-]{0,62}$';
export const CHANNEL_NAME_WORDS = 'a channel name: lower-case letters, digits and "-", at most 63 characters';
export const ChannelName = Type.String({
  pattern: CHANNEL_NAME,
  description: 'Name of a channel',
  'x-expected': CHANNEL_NAME_WORDS,
  examples: ['shop'],
});

/** How targets and webhooks name events: `*`, `messages`, `messages.post`, `statuses.*` … */
export const EVENT_PATTERN = '^(\\*|[A-Za-z_]{1,64}(\\.(\\*|post|put|patch|delete))?)$';

export const EventFilter = Type.String({
  pattern: EVENT_PATTERN,
  'x-expected': 'an event of Whapi, with or without its method',
  examples: ['messages.post'],
  description: '`messages.post`; `messages` or `messages.*` for every method',
});

const page = {
  limit: Type.Integer({ minimum: 1, maximum: 500, default: 50 }),
  cursor: Type.Optional(Type.String({ maxLength: 200 })),
};

/** The query of a list: its filters, `limit` and `cursor`. */
export const pageQuery = <T extends Record<string, TSchema>>(filters: T) =>
  Type.Object({ ...filters, ...page }, { additionalProperties: false });

export const pageOf = <T extends TSchema>(item: T) =>
  Type.Object({ data: Type.Array(item), next_cursor: orNull(Type.String()) });

export const Problem = Type.Object(
  {
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String({ description: 'Stable: GW_…' }),
    errors: Type.Optional(Type.Array(Type.Object({ path: Type.String(), message: Type.String() }))),
  },
  { description: 'RFC 9457 problem details' },
);

export const AttemptSchema = Type.Object({
  started_at: Time,
  duration_ms: Type.Integer(),
  status: orNull(Type.Integer()),
  error: orNull(Type.String()),
  response: orNull(Type.String({ description: "The beginning of the target's answer, where it was a failure" })),
});

const delivery = {
  id: Type.String(),
  status: DeliveryStatusSchema,
  target: Type.String(),
  channel: Type.String(),
  event: Type.String(),
  verdicts: Type.Array(VerdictSchema),
  attempts: Type.Integer(),
  created_at: Time,
  next_attempt_at: orNull(Time),
  waits_for: orNull(DeliveryWaitSchema),
  settled_at: orNull(Time),
  last_error: orNull(Type.String()),
  released: Type.Boolean({ description: 'A manual release made it; it is sent however old its message is' }),
};
export const DeliverySchema = Type.Object(delivery);
export const DeliveryWithLogSchema = Type.Object({ ...delivery, log: Type.Array(AttemptSchema) });
export const DeliveryDetailSchema = Type.Object({ ...delivery, log: Type.Array(AttemptSchema), body: Type.String() });

export const ResyncMessageSchema = Type.Object({
  resync: Type.String(),
  message_id: Type.String(),
  status: ResyncMessageStatusSchema,
  calls: Type.Integer({ description: 'Calls with resync=true' }),
  polls: Type.Integer({ description: 'Plain GETs that looked whether it is back' }),
  registered_at: Time,
  asked_at: orNull(Time),
  restored_at: orNull(Time),
  proof: orNull(oneOf(PROOFS)),
  known_before: Type.Boolean({ description: 'A webhook had carried it before it was registered' }),
  held: Type.Boolean({ description: 'A release of its resync would send it now' }),
  window_closes_at: orNull(Time),
  error: orNull(Type.String()),
});

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

export function pageRequest(query: { limit: number; cursor?: string }): PageRequest {
  return { limit: query.limit, cursor: query.cursor ?? null };
}

/**
 * One page of a list that is in memory as a whole, in the order of its keys, each of which stays what it was.
 * @throws GatewayError GW_BAD_REQUEST (a cursor that is none)
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

export type Json<T extends TSchema> = Static<T>;

/** What every route of `/v1` may answer besides its success. */
const problem = { description: 'A problem', content: { 'application/problem+json': { schema: Problem } } };
export const problems = { '4xx': problem, '5xx': problem };

export function attemptJson(attempt: Attempt): Json<typeof AttemptSchema> {
  return {
    started_at: iso(attempt.startedAt),
    duration_ms: attempt.durationMs,
    status: attempt.status,
    error: attempt.error,
    response: attempt.response ?? null,
  };
}

export function deliveryJson(view: DeliveryView): Json<typeof DeliverySchema> {
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
  };
}

export function resyncMessageJson(view: ResyncMessageView): Json<typeof ResyncMessageSchema> {
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
