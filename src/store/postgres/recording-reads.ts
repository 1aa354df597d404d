import { inSlices } from '../../event-loop.js';
import type { Document } from '../../intake/decode.js';
import { nameOf } from '../../intake/event.js';
import { isEndOfSlice } from '../../slices.js';
import type { Sliced } from '../../slices.js';
import { contentKeys } from '../rules/content-keys.js';
import { chatKey, fingerprintKey, messageKey } from '../rules/keys.js';
import type { LedgerFacts } from '../rules/ledger-facts.js';
import { objectKeysIn } from '../rules/object-repetitions.js';
import { mayBeShown } from '../rules/shown-messages.js';
import type { LastOfObject, NewestInChat, RegistrationWindow } from '../rules/recording.js';
import type { Queries } from './queries.js';
import { fingerprintOf, plainUuid, uuidOf } from './keys.js';
import { blocksFor } from './numbers.js';
import type { Loaded, ShownRow } from './recording-state.js';

/** Keys of everything that may be known of the items of some webhooks. */
export interface Keys {
  readonly ids: Set<string>;
  readonly fingerprints: Set<string>;
  readonly chats: Set<string>;
  readonly objects: Set<string>;
}

export interface ToRecord {
  readonly channel: string;
  readonly document: Document;
}

/**
 * What one statement reads before webhooks are recorded. The columns by kind:
 * - meta: `a` version of the registry, `x` time of the newest shown message
 * - block: `a` value of the sequence
 * - id: `other` fingerprint, `a` first_seen_at, `b` last_seen_at, `c` webhook_id, `d` seeded_at, `yes` unposted
 * - window: `a` closes_at, `yes` refused, `also` deliver_unseen
 * - fingerprint: `a` recorded_at
 * - chat: `a` received_at, `x` newest_at
 */
interface ReadRow {
  readonly kind: 'meta' | 'block' | 'id' | 'window' | 'fingerprint' | 'chat';
  readonly key: string | null;
  readonly other: string | null;
  readonly a: number | null;
  readonly b: number | null;
  readonly c: number | null;
  readonly d: number | null;
  readonly x: number | null;
  readonly place: number | null;
  readonly rule: number | null;
  readonly yes: boolean | null;
  readonly also: boolean | null;
}

/**
 * One statement for the usual case, after the locks: registry version, blocks of numbers, ledger, open registrations,
 * fingerprints and chats.
 */
const READ = `
  SELECT 'meta' AS kind, NULL::uuid AS key, NULL::uuid AS other,
    coalesce((SELECT value::bigint FROM gateway.meta WHERE key = 'registry_version'), 0) AS a, NULL::bigint AS b, NULL::bigint AS c,
    NULL::bigint AS d, (SELECT max(sent_at) FROM gateway.content_fingerprints) AS x, NULL::integer AS place, NULL::smallint AS rule,
    NULL::boolean AS yes, NULL::boolean AS also
  UNION ALL SELECT 'block', NULL, NULL, nextval('gateway.blocks'), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM generate_series(1, $1)
  UNION ALL SELECT 'id', key, fingerprint, first_seen_at, last_seen_at, webhook_id, seeded_at, NULL, position, rule, unposted, NULL
    FROM gateway.ledger WHERE key = ANY($2::uuid[])
  UNION ALL SELECT 'window', m.key, NULL, m.closes_at, NULL, NULL, NULL, NULL, NULL, NULL, m.refused, r.deliver_unseen
    FROM gateway.resync_messages m JOIN gateway.resyncs r ON r.number = m.resync WHERE m.key = ANY($2::uuid[]) AND NOT m.closed
  UNION ALL SELECT 'fingerprint', key, NULL, recorded_at, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM gateway.fingerprints WHERE key = ANY($3::uuid[])
  UNION ALL SELECT 'chat', key, NULL, received_at, NULL, NULL, NULL, newest_at, NULL, NULL, NULL, NULL
    FROM gateway.chats WHERE key = ANY($4::uuid[])`;

/** What was read, with what the transaction needs for its writes. */
export interface Read {
  readonly loaded: Loaded;
  readonly registryVersion: number;
  readonly blocks: readonly number[];
}

/** The keys of what may be known of these items. */
export function* keysOf(all: readonly ToRecord[]): Sliced<Keys> {
  const keys = {
    ids: new Set<string>(),
    fingerprints: new Set<string>(),
    chats: new Set<string>(),
    objects: new Set<string>(),
  };
  for (const { channel, document } of all) {
    for (const [at, item] of document.items.entries()) {
      if (isEndOfSlice(at)) yield;
      if (item.messageId !== null) keys.ids.add(uuidOf(messageKey(channel, item.messageId)));
      if (item.kind === 'message') keys.fingerprints.add(uuidOf(fingerprintKey(channel, item, document.body)));
      if (item.chatId !== null) keys.chats.add(uuidOf(chatKey(channel, item.chatId)));
    }
    for (const { key, removedChat } of yield* objectKeysIn(document, channel, nameOf(document.event))) {
      keys.objects.add(uuidOf(key));
      if (removedChat) keys.chats.add(uuidOf(removedChat));
    }
  }
  return keys;
}

/** Reads what is known of these webhooks. @param numbers how many numbers the transaction takes at most */
export async function readKnown(
  queries: Queries,
  all: readonly ToRecord[],
  { ids, fingerprints, chats, objects }: Keys,
  numbers: number,
): Promise<Read> {
  const [rows, objectRows] = await Promise.all([
    queries.all<ReadRow>(READ, numbers === 0 ? 0 : blocksFor(numbers), [...ids], [...fingerprints], [...chats]),
    objects.size === 0 ? [] : readObjects(queries, objects),
  ]);
  const found = sorted(rows);
  const shown = await readShown(queries, all, found);
  return {
    loaded: { ...found, shown, objects: new Map(objectRows) },
    registryVersion: found.registryVersion,
    blocks: found.blocks,
  };
}

interface Sorted extends Omit<Loaded, 'objects' | 'shown'> {
  registryVersion: number;
  readonly blocks: number[];
}

function sorted(rows: readonly ReadRow[]): Sorted {
  const ids = new Map<string, LedgerFacts>();
  const windows = new Map<string, RegistrationWindow[]>();
  const fingerprints = new Map<string, number>();
  const chats = new Map<string, NewestInChat>();
  const blocks: number[] = [];
  let newestShownAt: number | null = null;
  let registryVersion = 0;
  for (const row of rows) {
    const key = row.key === null ? '' : plainUuid(row.key);
    if (row.kind === 'meta') [registryVersion, newestShownAt] = [row.a ?? 0, row.x];
    else if (row.kind === 'block') blocks.push(row.a ?? 0);
    else if (row.kind === 'id') ids.set(key, factsOf(row));
    else if (row.kind === 'window') windows.set(key, [...(windows.get(key) ?? []), windowOf(row)]);
    else if (row.kind === 'fingerprint') fingerprints.set(key, row.a ?? 0);
    else chats.set(key, { timestamp: row.x ?? 0, receivedAt: row.a ?? 0 });
  }
  return {
    ids,
    windows,
    fingerprints,
    chats,
    newestShownAt,
    registryVersion,
    blocks: blocks.sort((one, other) => one - other),
  };
}

function factsOf(row: ReadRow): LedgerFacts {
  return {
    fingerprint: row.other === null ? null : fingerprintOf(row.other),
    firstSeenAt: row.a,
    lastSeenAt: row.b ?? 0,
    webhookId: row.c,
    seededAt: row.d,
    position: row.place,
    rule: row.rule,
    unposted: row.yes === true,
  };
}

function windowOf({ a: closesAt, yes, also }: ReadRow): RegistrationWindow {
  return { closesAt, isRefused: yes === true, deliverUnseen: also === true };
}

async function readObjects(queries: Queries, keys: ReadonlySet<string>): Promise<[string, LastOfObject][]> {
  const rows = await queries.all<{ key: string; last: Buffer; recorded_at: number }>(
    'SELECT key, last, recorded_at FROM gateway.objects WHERE key = ANY($1::uuid[])',
    [...keys],
  );
  return rows.map(({ key, last, recorded_at: recordedAt }) => [plainUuid(key), { last, recordedAt }]);
}

/**
 * The registered messages that one of these may be under another id (rule 18), and what is known of them. Only messages that
 * are as old as one of them are looked up, so this reads nothing for live messages.
 */
async function readShown(queries: Queries, all: readonly ToRecord[], found: Sorted): Promise<ShownRow[]> {
  const { newestShownAt, ids, windows } = found;
  if (newestShownAt === null) return [];
  const keys = await inSlices(shownKeys(all, newestShownAt));
  if (keys.size === 0) return [];
  const rows = await queries.all<ShownRow>(
    `SELECT f.key, f.message_key, m.message_id, f.came_as FROM gateway.content_fingerprints f
       JOIN LATERAL (SELECT message_id FROM gateway.resync_messages WHERE key = f.message_key AND NOT closed LIMIT 1) m ON true
     WHERE f.key = ANY($1::uuid[])`,
    [...keys],
  );
  const shown = rows.map((row) => ({
    key: plainUuid(row.key),
    message_key: plainUuid(row.message_key),
    message_id: row.message_id,
    came_as: row.came_as === null ? null : plainUuid(row.came_as),
  }));
  const originals = [...new Set(shown.map(({ message_key: key }) => key))].filter((key) => !windows.has(key));
  if (originals.length > 0) {
    const more = sorted(await queries.all<ReadRow>(READ, 0, originals, [], []));
    for (const [key, facts] of more.ids) ids.set(key, facts);
    for (const [key, list] of more.windows) windows.set(key, list);
  }
  return shown;
}

function* shownKeys(all: readonly ToRecord[], newestShownAt: number): Sliced<Set<string>> {
  const keys = new Set<string>();
  for (const { channel, document } of all) {
    for (const [at, item] of document.items.entries()) {
      if (isEndOfSlice(at)) yield;
      if (item.kind !== 'message' || item.messageId === null || !mayBeShown(item.timestamp, newestShownAt)) continue;
      const message: unknown = JSON.parse(document.body.toString('utf8', item.span.start, item.span.end));
      for (const key of [messageKey(channel, item.messageId), ...contentKeys(channel, message)]) keys.add(uuidOf(key));
    }
  }
  return keys;
}
