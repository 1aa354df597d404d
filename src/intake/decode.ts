import { isUtf8 } from 'node:buffer';
import { GatewayError } from '../errors.js';
import type { EventMethod, EventName, Span } from '../model.js';
import { valueAt, carrierOf, NO_FACTS, OTHER_CARRIER } from './carriers.js';
import { stringOrNull } from '../json.js';
import type { ItemKind, ItemFacts } from './carriers.js';
import { eventOf } from './event.js';
import type { NamedEvent, RequestHint } from './event.js';
import { scanTopLevelArrays } from './scan.js';
import { isRecord } from '../json.js';

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
 * Splits a webhook's body into items. Accepts any JSON in UTF-8, with or without a byte order mark.
 * @throws GatewayError GW_BAD_JSON, GW_TOO_LARGE (more than MOST_ITEMS items)
 */
export function decode(body: Buffer, hint: RequestHint): Document {
  const start = byteOrderMarkLength(body);
  const root = parse(body, start);
  const top = isRecord(root) ? root : {};
  const arrays = scanTopLevelArrays(body, (key) => carrierOf(key) !== undefined, start);
  const defaultEvent = arrays[0] ? (carrierOf(arrays[0].key)?.defaultEvent ?? null) : null;
  const named = eventOf(top['event'], hint, defaultEvent);
  const isKeyUnique = new Set(arrays.map(({ key }) => key)).size === arrays.length;
  const items = arrays.flatMap(({ key, elements }, array) => {
    // JSON.parse keeps only the last value of a repeated key. A bot may read either one, so every array is judged.
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

/** The length of a leading UTF-8 byte order mark; RFC 8259 allows parsers to ignore it. */
function byteOrderMarkLength(body: Buffer): number {
  return body.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0;
}

function parse(body: Buffer, start: number): unknown {
  if (!isUtf8(body))
    throw new GatewayError('GW_BAD_JSON', 'The body is not valid UTF-8, which JSON requires (RFC 8259).');
  try {
    return JSON.parse(body.toString('utf8', start)) as unknown;
  } catch (error) {
    // The parser's message quotes the body, which is someone's private message: it stays out of the answer.
    throw new GatewayError('GW_BAD_JSON', 'The body is not valid JSON.', [], { cause: error });
  }
}

/** Lists every field because this runs for every item: spreads took a tenth of a webhook's time. */
function itemOf(key: string, array: number, span: Span, value: unknown, named: NamedEvent): Item {
  const carrier = carrierOf(key) ?? OTHER_CARRIER;
  const { messageId, chatId, type, timestamp, sequence, ownTrigger, object } = carrier.read(value);
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
