import { isUtf8 } from 'node:buffer';
import { GatewayError } from '../errors.js';
import type { EventMethod, EventName, Span } from '../model.js';
import { finish } from '../slices.js';
import type { Sliced } from '../slices.js';
import { valueAt, carrierOf, NO_FACTS, OTHER_CARRIER, shortId } from './carriers.js';
import { stringOrNull } from '../json.js';
import type { Carrier, ItemKind, ItemFacts } from './carriers.js';
import { eventOf } from './event.js';
import type { NamedEvent, RequestHint } from './event.js';
import { NO_LIMITS, parsePart, scanMembers, WEBHOOK_LIMITS } from './scan.js';
import type { Limits, Member } from './scan.js';

/** One element of a payload that is judged by itself. */
export interface Item extends ItemFacts {
  readonly kind: ItemKind;
  /** The key of its array; '' if the document as a whole is the item. */
  readonly carrier: string;
  /**
   * The kind of event that its carrier belongs to (messages, statuses …), which has its own order within a chat (I6).
   */
  readonly eventType: string;
  /** The index of its array in the document; -1 for the document as a whole. */
  readonly array: number;
  readonly span: Span;
  /** The method of the event, as far as it applies to this carrier. */
  readonly method: EventMethod;
  /** Rule 13 applies: identical bytes tell a retry of Whapi's from a second genuine event. */
  readonly repeatable: boolean;
}

/** A webhook's body, split into items. */
export interface Document {
  readonly body: Buffer;
  readonly event: EventName;
  /** Whapi's id of the channel; null if the body has none. */
  readonly channelId: string | null;
  /** `health.status.text`; null if the body does not report the channel's state (docs/whapi.md, Health). */
  readonly channelState: string | null;
  /** Never empty: a document without items is one item itself. */
  readonly items: readonly Item[];
}

/**
 * Splits the body of a webhook that was recorded into items, without limits: they may be newer than the webhook.
 * @throws GatewayError GW_BAD_JSON
 */
export function decode(body: Buffer, hint: RequestHint): Document {
  return finish(decodeRecordedInSlices(body, hint));
}

/** The same in slices. @throws GatewayError GW_BAD_JSON */
export function decodeRecordedInSlices(body: Buffer, hint: RequestHint): Sliced<Document> {
  return documentIn(body, hint, NO_LIMITS);
}

/**
 * Splits the body of an arriving webhook into items, in slices: other work can run where it yields. Accepts any JSON in
 * UTF-8, with or without a byte order mark, within `WEBHOOK_LIMITS`.
 * @throws GatewayError GW_BAD_JSON, GW_TOO_LARGE
 */
export function decodeInSlices(body: Buffer, hint: RequestHint): Sliced<Document> {
  return documentIn(body, hint, WEBHOOK_LIMITS);
}

function* documentIn(body: Buffer, hint: RequestHint, limits: Limits): Sliced<Document> {
  if (!isUtf8(body))
    throw new GatewayError('GW_BAD_JSON', 'The body is not valid UTF-8, which JSON requires (RFC 8259).');
  const start = byteOrderMarkLength(body);
  const members = scanMembers(body, (key) => carrierOf(key) !== undefined, limits, start);
  if (members === null) parsePart(body, { start, end: body.length });
  const top = yield* topOf(body, members ?? []);
  const arrays = (members ?? []).flatMap(({ key, elements }) => (elements ? [{ key, elements }] : []));
  const defaultEvent = arrays[0] ? (carrierOf(arrays[0].key)?.defaultEvent ?? null) : null;
  const named = eventOf(top['event'], hint, defaultEvent);
  const items = yield* itemsIn(body, arrays, named);
  if (items.length === 0) items.push(wholeDocument(body, named.event));
  return {
    body,
    event: named.event,
    channelId: shortId(top['channel_id']),
    channelState: stringOrNull(valueAt(top, 'health', 'status', 'text')),
    items,
  };
}

/** The members that are about the webhook as a whole. */
const TOP_KEYS: ReadonlySet<string> = new Set(['event', 'channel_id', 'health']);

/** Parses what is not in items. Of a repeated key the last value counts, as in JSON.parse. */
function* topOf(body: Buffer, members: readonly Member[]): Sliced<Record<string, unknown>> {
  const top: Record<string, unknown> = {};
  const slice = new Slice();
  for (const { key, value, elements } of members) {
    if (elements) continue;
    const found = parsePart(body, value);
    if (TOP_KEYS.has(key)) top[key] = found;
    if (slice.isOverAfter(value)) yield;
  }
  return top;
}

/** Every array is judged, also those whose key is repeated: a bot may read either one. */
function* itemsIn(
  body: Buffer,
  arrays: readonly { readonly key: string; readonly elements: readonly Span[] }[],
  named: NamedEvent,
): Sliced<Item[]> {
  const items: Item[] = [];
  const slice = new Slice();
  for (const [array, { key, elements }] of arrays.entries()) {
    const carrier = carrierOf(key) ?? OTHER_CARRIER;
    for (const span of elements) {
      items.push(itemOf({ key, carrier, array }, span, parsePart(body, span), named));
      if (slice.isOverAfter(span)) yield;
    }
  }
  return items;
}

/** Parsing this many bytes of ordinary messages takes about 5 ms. */
const SLICE_BYTES = 256 * 1024;

/** Counts what was parsed since other work could run. */
class Slice {
  #bytes = 0;

  /** Counts a part that was parsed. True: it is time to yield. */
  isOverAfter({ start, end }: Span): boolean {
    this.#bytes += end - start;
    if (this.#bytes < SLICE_BYTES) return false;
    this.#bytes = 0;
    return true;
  }
}

/** The length of a leading UTF-8 byte order mark; RFC 8259 allows parsers to ignore it. */
function byteOrderMarkLength(body: Buffer): number {
  return body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
}

/** Lists every field because this runs for every item: spreads took a tenth of a webhook's time. */
function itemOf(
  { key, carrier, array }: { readonly key: string; readonly carrier: Carrier; readonly array: number },
  span: Span,
  value: unknown,
  named: NamedEvent,
): Item {
  const { messageId, chatId, type, timestamp, fromMe, sequence, ownTrigger, object } = carrier.read(value);
  return {
    kind: messageId === null ? 'other' : carrier.kind,
    carrier: key,
    eventType: carrier.defaultEvent.type,
    array,
    span,
    method:
      named.isMethodExplicit && named.event.type === carrier.defaultEvent.type
        ? named.event.method
        : carrier.defaultEvent.method,
    repeatable: carrier.repeatable,
    messageId,
    chatId,
    type,
    timestamp,
    fromMe,
    sequence,
    ownTrigger,
    object,
  };
}

function wholeDocument(body: Buffer, event: EventName): Item {
  const span = { start: 0, end: body.length };
  return {
    kind: 'other',
    carrier: '',
    eventType: event.type,
    array: -1,
    span,
    method: event.method,
    repeatable: false,
    ...NO_FACTS,
  };
}
