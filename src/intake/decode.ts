import { isUtf8 } from 'node:buffer';
import { GatewayError } from '../errors.js';
import type { EventMethod, EventName, Span } from '../model.js';
import { valueAt, carrierOf, NO_FACTS, OTHER_CARRIER, stringOrNull } from './carriers.js';
import type { ItemKind, ItemFacts } from './carriers.js';
import { eventOf } from './event.js';
import type { NamedEvent, RequestHint } from './event.js';
import { scanTopLevelArrays } from './scan.js';
import { isRecord } from '../json.js';

/** One element of a payload that is judged by itself. */
export interface Item extends ItemFacts {
  readonly kind: ItemKind;
  /** The key of its array; '' when the document as a whole is the item. */
  readonly carrier: string;
  /** The kind of event that its carrier belongs to (messages, statuses …): what has an order of its own in a chat (I6). */
  readonly eventType: string;
  /** Which array of the document it stands in; -1 for the document as a whole. */
  readonly array: number;
  readonly span: Span;
  /** The method of the event as far as it concerns this carrier. */
  readonly method: EventMethod;
  /** Rule 13 applies: Whapi's retry of it can be told from a second genuine one by its bytes. */
  readonly repeatable: boolean;
}

/** A webhook's body, taken apart. */
export interface Document {
  readonly body: Buffer;
  readonly event: EventName;
  /** Whapi's id of the channel, where the body carries one. */
  readonly channelId: string | null;
  /** `health.status.text`, where the body tells of the channel's state (docs/whapi.md, Health). */
  readonly channelState: string | null;
  /** Never empty: a document without items is itself the one item. */
  readonly items: readonly Item[];
}

/**
 * Takes a webhook's body apart into items. Any JSON is accepted, also behind a UTF-8 byte order mark; what is no JSON in
 * UTF-8 is refused.
 * @throws GatewayError GW_BAD_JSON, GW_TOO_LARGE (more items than one webhook may have)
 */
export function decode(body: Buffer, hint: RequestHint): Document {
  const start = byteOrderMarkLength(body);
  const root = parse(body, start);
  const top = isRecord(root) ? root : {};
  const arrays = scanTopLevelArrays(body, (key) => carrierOf(key) !== undefined, start);
  const usual = arrays[0] ? (carrierOf(arrays[0].key)?.defaultEvent ?? null) : null;
  const named = eventOf(top['event'], hint, usual);
  const isKeyUnique = new Set(arrays.map(({ key }) => key)).size === arrays.length;
  const items = arrays.flatMap(({ key, elements }, array) => {
    // JSON.parse keeps only the last value of a key that occurs twice; a bot may read either, so every array is judged.
    const values = isKeyUnique && Array.isArray(top[key]) ? top[key] : null;
    return elements.map((span, index) => {
      const value: unknown = values ? values[index] : JSON.parse(body.toString('utf8', span.start, span.end));
      return itemOf(key, array, span, value, named);
    });
  });
  const { event } = named;
  if (items.length === 0) items.push(wholeDocument(body, event));
  const channelId = typeof top['channel_id'] === 'string' && top['channel_id'] !== '' ? top['channel_id'] : null;
  return { body, event, channelId, channelState: stringOrNull(valueAt(top, 'health', 'status', 'text')), items };
}

const BYTE_ORDER_MARK = Buffer.from('\ufeff');

/** Bytes of the UTF-8 byte order mark that a body may begin with; RFC 8259 lets a parser ignore it. */
function byteOrderMarkLength(body: Buffer): number {
  return body.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0;
}

function parse(body: Buffer, start: number): unknown {
  if (!isUtf8(body)) throw new GatewayError('GW_BAD_JSON', 'The body is not UTF-8, so it is not JSON (RFC 8259).');
  try {
    return JSON.parse(body.toString('utf8', start)) as unknown;
  } catch (error) {
    // The parser's words quote the body, which is somebody's message: they stay out of the answer.
    throw new GatewayError('GW_BAD_JSON', 'The body is not valid JSON.', [], { cause: error });
  }
}

/** Written out field by field: this runs for every item, and spreads were a tenth of the time of a webhook. */
function itemOf(key: string, array: number, span: Span, value: unknown, named: NamedEvent): Item {
  const carrier = carrierOf(key) ?? OTHER_CARRIER;
  const { messageId, chatId, type, timestamp, sequence, ownTrigger, object } = carrier.read(value);
  return {
    kind: messageId === null ? 'other' : carrier.kind,
    carrier: key,
    eventType: carrier.defaultEvent.type,
    array,
    span,
    method: named.isMethodExplicit && named.event.type === carrier.defaultEvent.type ? named.event.method : carrier.defaultEvent.method,
    repeatable: carrier.repeatable,
    messageId,
    chatId,
    type,
    timestamp,
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
