import { valueAt } from '../intake/carriers.js';
import type { ItemDetail, Items, WebhookDetail } from '../store/items.js';
import type { ProbeCopy, ProbeFacts } from '../store/probes.js';
import { compare, isCopy, likenessOf, NOT_COMPARED } from './likeness.js';
import type { Comparison, Likeness } from './likeness.js';

/** A page of webhooks that one look reads at most. */
const MOST_PER_LOOK = 200;
/** More is not kept: Whapi would have to send one message dozens of times. */
export const MOST_COPIES = 50;
/** Webhooks from before the last look are read again, should one have been committed late. */
const OVERLAP_MS = 10_000;

/** Where each carrier has the message that it is judged by. Others only name it, such as receipts. */
const MESSAGE_IN: ReadonlyMap<string, readonly string[]> = new Map([
  ['messages', []],
  ['messages_updates', ['after_update']],
  ['chats', ['last_message']],
  ['groups', ['last_message']],
  ['chats_updates', ['after_update', 'last_message']],
  ['groups_updates', ['after_update', 'last_message']],
]);

/** A message whose copies are looked for. */
export interface Wanted {
  readonly channel: string;
  readonly messageId: string;
  /** Earlier copies do not belong to this probe. */
  readonly since: number;
  readonly facts: Pick<ProbeFacts, 'original' | 'copies'>;
}

/** Reads stored webhooks, so that the ingress does no work for a probe. */
export interface CopyFinder {
  /** The copies known so far and those that came since, oldest first. `lookedAt`: when this was called last; null: never. */
  find(wanted: Wanted, lookedAt: number | null): Promise<readonly ProbeCopy[]>;
  /** The message as the newest webhook before the resync carried it; undefined: none that is still stored did. */
  earlier(channel: string, messageId: string): Promise<unknown>;
}

type StoredItems = Pick<Items, 'explain' | 'webhooks' | 'webhook'>;

interface Place {
  readonly webhookId: string;
  readonly position: number;
}

export function createCopyFinder(items: StoredItems): CopyFinder {
  return {
    find: async (wanted, lookedAt) => {
      const { original, copies } = wanted.facts;
      // Copies that came before the original was known are compared now.
      const known = copies.filter(({ id }) => original === null || id !== null);
      const isFresh = (place: Place): boolean => !known.some((each) => isAt(each, place));
      const fresh = (await placesOf(items, wanted)).filter(isFresh);
      const own = await copiesAt(items, fresh.slice(0, MOST_COPIES - known.length), original);
      const others = original ? await underOtherIds(items, wanted, original, (lookedAt ?? 0) - OVERLAP_MS) : [];
      return [...known, ...own, ...others.filter(isFresh)]
        .sort((a, b) => a.receivedAt - b.receivedAt)
        .slice(0, MOST_COPIES);
    },
    earlier: async (channel, messageId) => {
      const explained = await items.explain(channel, messageId);
      const last = explained?.sightings.findLast(({ carrier }) => carrier === 'messages');
      const webhook = last && (await storedWebhook(items, last.webhookId));
      const item = last && webhook?.items[last.position];
      return webhook && item ? messageOf(webhook, item) : undefined;
    },
  };
}

/** The items with the message's own id that carry it. */
async function placesOf(items: StoredItems, { channel, messageId, since }: Wanted): Promise<Place[]> {
  const explained = await items.explain(channel, messageId);
  const sightings = explained?.sightings ?? [];
  return sightings.filter(
    ({ carrier, seenAt, auditId }) => MESSAGE_IN.has(carrier) && seenAt >= since && auditId === null,
  );
}

async function copiesAt(items: StoredItems, places: readonly Place[], original: Likeness | null): Promise<ProbeCopy[]> {
  const found: ProbeCopy[] = [];
  for (const { webhookId, position } of places) {
    const webhook = await storedWebhook(items, webhookId);
    const item = webhook?.items[position];
    if (webhook && item) found.push(copyOf(webhook, item, compared(messageOf(webhook, item), original)));
  }
  return found;
}

/** Messages under another id that are the original all the same. */
async function underOtherIds(
  items: StoredItems,
  wanted: Wanted,
  original: Likeness,
  after: number,
): Promise<ProbeCopy[]> {
  const filter = { channel: wanted.channel, event: 'messages', since: Math.max(wanted.since, after) };
  const { data } = await items.webhooks(filter, { limit: MOST_PER_LOOK, cursor: null });
  const found: ProbeCopy[] = [];
  for (const { id, verdicts } of data) {
    if ((verdicts.new ?? 0) + (verdicts.late ?? 0) + (verdicts.restored ?? 0) === 0) continue;
    const webhook = await storedWebhook(items, id);
    if (webhook) found.push(...othersIn(webhook, wanted.messageId, original));
  }
  return found;
}

function othersIn(webhook: WebhookDetail, ownId: string, original: Likeness): ProbeCopy[] {
  return webhook.items.flatMap((item) => {
    if (item.carrier !== 'messages' || item.messageId === ownId || !NEVER_SEEN.has(item.verdict)) return [];
    const comparison = compared(messageOf(webhook, item), original);
    return isCopy(comparison) ? [copyOf(webhook, item, comparison)] : [];
  });
}

const NEVER_SEEN: ReadonlySet<string> = new Set(['new', 'late', 'restored']);

/** Null: it was pruned. */
async function storedWebhook(items: StoredItems, id: string): Promise<WebhookDetail | null> {
  return await items.webhook(id).catch((error: unknown) => {
    if (GONE.has((error as { code?: string }).code ?? '')) return null;
    throw error;
  });
}

const GONE: ReadonlySet<string> = new Set(['GW_NOT_FOUND', 'GW_PAYLOAD_GONE']);

function messageOf({ body }: WebhookDetail, { carrier, span }: WebhookDetail['items'][number]): unknown {
  if (span === null) return undefined;
  return valueAt(JSON.parse(body.toString('utf8', span.start, span.end)), ...(MESSAGE_IN.get(carrier) ?? []));
}

function compared(message: unknown, original: Likeness | null): Comparison {
  const copy = likenessOf(message);
  return copy && original ? compare(original, copy) : NOT_COMPARED;
}

function copyOf({ deliveries }: WebhookDetail, item: ItemDetail, comparison: Comparison): ProbeCopy {
  const { webhookId, position, seenAt: receivedAt, event, carrier, verdict, rule } = item;
  const carrying = deliveries.filter(({ positions }) => positions.includes(position));
  return {
    ...{ webhookId, position, receivedAt, event, carrier, verdict, rule, deliveries: carrying.length },
    ...comparison,
  };
}

function isAt(copy: Place, { webhookId, position }: Place): boolean {
  return copy.webhookId === webhookId && copy.position === position;
}
