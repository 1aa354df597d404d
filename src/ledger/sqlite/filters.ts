import { leastIdSince } from '../ids.js';
import type { DeliveryFilter, ReleaseFilter } from '../views.js';

export type Condition = readonly [sql: string, ...values: unknown[]];

/** Rows that one look goes through at most, a few milliseconds, whether or not they are what is looked for. */
export const ROWS_PER_SLICE = 5000;

/** Greater than every number that a cursor can hold. */
export const BEYOND = Number.MAX_SAFE_INTEGER;

/** Lets webhooks through between two slices of a long look. */
export async function letOthersRun(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

export function allOf(conditions: readonly (Condition | false)[]): { where: string; values: unknown[] } {
  const used = conditions.filter((condition) => condition !== false);
  return { where: used.map(([sql]) => sql).join(' AND '), values: used.flatMap(([, ...values]) => values) };
}

/** What decides which rows of `deliveries d` are gone through at all: an index has them in the order of their ids. */
export function deliveriesInReach({ status, since }: DeliveryFilter): Condition[] {
  const reach: Condition[] = [['d.id >= ?', leastIdSince(since ?? 0)]];
  if (status !== undefined) reach.push(['d.status = ?', status]);
  // Lets SQLite use the index of what was not delivered.
  if (status !== undefined && status !== 'delivered') reach.push(["d.status <> 'delivered'"]);
  return reach;
}

/** What a row of `deliveries d` in reach has to be like besides. */
export function deliveryConditions({ target, channel, event, since, until }: DeliveryFilter): (Condition | false)[] {
  return [
    target !== undefined && ['d.target = (SELECT number FROM targets WHERE id = ?)', target],
    channel !== undefined && ['d.channel = ?', channel],
    event !== undefined && eventCondition(event),
    since !== undefined && ['d.created_at >= ?', since],
    until !== undefined && ['d.created_at < ?', until],
  ];
}

/** `messages.post`; `messages` and `messages.*` for every method. */
function eventCondition(event: string): Condition {
  const [type = '', method = '*'] = event.split('.');
  return ['(SELECT event FROM webhooks WHERE id = d.webhook_id) GLOB ?', `${type}.${method}`];
}

/** What a held row of `sightings s`, with its webhook as `w`, has to be like to be released. */
export function releaseConditions({ channel, verdict, since, until, resync }: ReleaseFilter): (Condition | false)[] {
  return [
    ["s.carrier = 'messages' AND s.message_id IS NOT NULL"],
    channel !== undefined && ['w.channel = ?', channel],
    verdict === undefined ? ["s.verdict <> 'duplicate'"] : ['s.verdict = ?', verdict],
    since !== undefined && ['w.received_at >= ?', since],
    until !== undefined && ['w.received_at < ?', until],
    resync !== undefined && [
      `EXISTS (SELECT 1 FROM resync_messages m JOIN resyncs r ON r.number = m.resync
         WHERE m.key = s.message_key AND r.id = ?)`,
      resync,
    ],
  ];
}
