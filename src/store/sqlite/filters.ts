import { leastIdSince } from '../rules/ids.js';
import type { DeliveryFilter } from '../deliveries.js';
import type { ItemConditions, ReleaseFilter } from '../items.js';

export type Condition = readonly [sql: string, ...values: unknown[]];

/** Rows that one look goes through at most, about a millisecond, whether or not they are what is looked for. */
export const ROWS_PER_SLICE = 1000;
/** More turns of the event loop than a commit waits for: one slice holds a webhook up, not one in each of its turns. */
const TURNS_BETWEEN_SLICES = 10;

/** Greater than every number that a cursor can hold. */
export const BEYOND = Number.MAX_SAFE_INTEGER;

/** Lets webhooks through between two slices of a long look. */
export async function letOthersRun(): Promise<void> {
  for (let turn = 0; turn < TURNS_BETWEEN_SLICES; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

export function allOf(conditions: readonly (Condition | false)[]): { where: string; values: unknown[] } {
  const used = conditions.filter((condition) => condition !== false);
  return { where: used.map(([sql]) => sql).join(' AND '), values: used.flatMap(([, ...values]) => values) };
}

/** No row of `deliveries d` that the filter names has a lesser id. */
export function leastIdNamed({ since }: DeliveryFilter): number {
  return since === undefined ? 0 : leastIdSince(since);
}

/**
 * Which rows of `deliveries d` are gone through at all: an index has them in the order of their ids. (One lower bound:
 * of two SQLite would begin, or end, at the first one.)
 */
export function deliveriesInReach({ status, target }: DeliveryFilter, from: number, to: number): (Condition | false)[] {
  const inOrder: Condition = ['d.id >= ? AND d.id < ?', from, to];
  // Pending ones have an index by target.
  if (status === 'pending')
    return [["d.status = 'pending'"], ...(target === undefined ? [] : [ofTarget(target)]), inOrder];
  return [
    inOrder,
    status !== undefined && ['d.status = ?', status],
    // Lets SQLite use the index of what ended otherwise than delivered.
    status !== undefined && status !== 'delivered' && ["d.status <> 'delivered' AND d.status <> 'pending'"],
  ];
}

function ofTarget(id: string): Condition {
  return ['d.target = (SELECT number FROM targets WHERE id = ?)', id];
}

/** What a row of `deliveries d` in reach has to be like besides. */
export function deliveryConditions({ target, channel, event, since, until }: DeliveryFilter): (Condition | false)[] {
  return [
    target !== undefined && ofTarget(target),
    channel !== undefined && ['d.channel = ?', channel],
    event !== undefined && eventCondition(event),
    since !== undefined && ['d.created_at >= ?', since],
    until !== undefined && ['d.created_at < ?', until],
  ];
}

/** `messages.post`; `messages` and `messages.*` for every method. */
function eventCondition(event: string): Condition {
  return ['(SELECT event FROM webhooks WHERE id = d.webhook_id) GLOB ?', globOf(event)];
}

function globOf(event: string): string {
  const [type = '', method = '*'] = event.split('.');
  return `${type}.${method}`;
}

/**
 * What a row of `sightings s`, with its webhook as `w`, has to be like.
 * @param keys of the message id that the filter names; null where it names none
 */
export function itemConditions(filter: ItemConditions, keys: readonly Buffer[] | null): (Condition | false)[] {
  const { channel, verdict, event, since, until, resync, messagesOnly } = filter;
  return [
    messagesOnly === true && ["s.carrier = 'messages' AND s.message_id IS NOT NULL"],
    keys !== null && [`s.message_key IN (${keys.map(() => '?').join()})`, ...keys],
    channel !== undefined && ['w.channel = ?', channel],
    verdict !== undefined && ['s.verdict = ?', verdict],
    event !== undefined && ['w.event GLOB ?', globOf(event)],
    since !== undefined && ['w.received_at >= ?', since],
    until !== undefined && ['w.received_at < ?', until],
    resync !== undefined && [
      `EXISTS (SELECT 1 FROM resync_messages m JOIN resyncs r ON r.number = m.resync
         WHERE m.key = s.message_key AND r.id = ?)`,
      resync,
    ],
  ];
}

/** What a held row of `sightings s`, with its webhook as `w`, has to be like to be released. */
export function releaseConditions(filter: ReleaseFilter, keys: readonly Buffer[] | null): (Condition | false)[] {
  return [filter.verdict === undefined && ["s.verdict <> 'duplicate'"], ...itemConditions(filter, keys)];
}
