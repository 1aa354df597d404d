import type { EventName, Judgement, Target } from '../model.js';
import type { Document, Item } from './decode.js';
import { nameOf } from './event.js';

export interface JudgedItem extends Judgement {
  readonly item: Item;
  /** Restored, never seen before and registered with `deliver_unseen`: bots receive it as well. */
  readonly recover: boolean;
}

/** One request for a target. A target that splits webhooks has several routes, in order. */
export interface Route {
  readonly target: Target;
  /** Indexes into the document's items, ascending, never empty. */
  readonly positions: readonly number[];
  /** All items of the webhook, so the target receives the exact bytes that came in. */
  readonly whole: boolean;
}

export interface Routing {
  readonly routes: readonly Route[];
  /** Indexes of the items that a subscribed target is not sent because of their verdict. */
  readonly held: ReadonlySet<number>;
}

/**
 * Decides what each target is sent. Disabled targets are included: their deliveries wait. `mostParts`: a webhook that
 * would split into more requests is sent in one; called only if a target splits.
 */
export function route(
  judged: readonly JudgedItem[],
  event: EventName,
  channel: string,
  targets: readonly Target[],
  mostParts: () => number = () => Infinity,
): Routing {
  const routes: Route[] = [];
  const held = new Set<number>();
  for (const target of targets) {
    if (!subscribes(target, channel, event)) continue;
    const positions: number[] = [];
    judged.forEach((item, position) => {
      if (wants(target, item)) positions.push(position);
      else held.add(position);
    });
    for (const part of partsOf(target, judged, positions, mostParts)) {
      routes.push({ target, positions: part, whole: part.length === judged.length });
    }
  }
  return { routes, held };
}

/** Whether a target subscribes to this event of this channel. */
export function subscribes(target: Pick<Target, 'channels' | 'events'>, channel: string, event: EventName): boolean {
  return (
    (target.channels.includes('*') || target.channels.includes(channel)) &&
    target.events.some(
      (wanted) => wanted === '*' || wanted === event.type || wanted === `${event.type}.*` || wanted === nameOf(event),
    )
  );
}

/** The items of each request. Every item is in one request, and requests are ordered by their first item. */
function partsOf(
  { split }: Target,
  judged: readonly JudgedItem[],
  positions: readonly number[],
  mostParts: () => number,
): (readonly number[])[] {
  if (positions.length === 0) return [];
  if (split === 'none' || positions.length === 1) return [positions];
  const parts = split === 'item' ? positions.map((position) => [position]) : byChat(judged, positions);
  return parts.length > mostParts() ? [positions] : parts;
}

/** Items without a chat go together, as they do in the order of deliveries (I6). */
function byChat(judged: readonly JudgedItem[], positions: readonly number[]): number[][] {
  const chats = new Map<string, number[]>();
  for (const position of positions) {
    const chat = judged[position]?.item.chatId ?? '';
    const part = chats.get(chat);
    if (part) part.push(position);
    else chats.set(chat, [position]);
  }
  return [...chats.values()];
}

function wants(target: Target, { verdict, recover }: JudgedItem): boolean {
  return target.deliver.includes(verdict) || (recover && target.deliver.includes('new'));
}

/**
 * Makes bodies with some of a document's items and every other byte unchanged. It cuts the text instead of parsing and
 * serializing it: numbers above 2^53, `1.10` and escapes would not survive that.
 */
export interface Cutter {
  /** The document with only the items in `positions` (ascending). */
  readonly cut: (positions: readonly number[]) => Buffer;
  /** The most bodies that the document may be split into. */
  readonly mostParts: () => number;
}

/**
 * Every body of a split repeats the frame. Whapi's frames have some hundred bytes, so 10,000 items stay far below this.
 * A frame of kilobytes around thousands of items would hold up everything else while it is written.
 */
const MOST_FRAME_BYTES = 16 * 1024 * 1024;

/** The document without its items. */
interface Frame {
  readonly bytes: Buffer;
  /** By array: the offset in `bytes` where its elements were. */
  readonly holes: ReadonlyMap<number, number>;
}

/** The frame is made once, for the first body. Each body then takes time in proportion to its own size. */
export function cutter(document: Document): Cutter {
  let made: Frame | undefined;
  const frame = (): Frame => (made ??= frameOf(document));
  return {
    cut: (positions) =>
      positions.length === document.items.length ? document.body : filled(frame(), document, positions),
    mostParts: () => Math.max(1, Math.floor(MOST_FRAME_BYTES / Math.max(1, frame().bytes.length))),
  };
}

/** Cuts a single body. */
export function cut(document: Document, positions: readonly number[]): Buffer {
  return cutter(document).cut(positions);
}

function frameOf({ body, items }: Document): Frame {
  const holes = new Map<number, number>();
  const pieces: Buffer[] = [];
  let length = 0;
  let left = 0; // the end of the previous element
  for (const { array, span } of items) {
    if (!holes.has(array)) {
      pieces.push(body.subarray(left, span.start));
      length += span.start - left;
      holes.set(array, length);
    }
    left = span.end;
  }
  pieces.push(body.subarray(left));
  return { bytes: Buffer.concat(pieces), holes };
}

function filled({ bytes, holes }: Frame, { body, items }: Document, positions: readonly number[]): Buffer {
  const pieces: Buffer[] = [];
  let copied = 0; // bytes of the frame
  let array = NaN;
  for (const position of positions) {
    const item = items[position];
    if (!item) continue;
    const hole = holes.get(item.array) ?? 0;
    if (item.array === array) {
      // With the comma and white space before it.
      pieces.push(body.subarray(items[position - 1]?.span.end, item.span.end));
    } else {
      pieces.push(bytes.subarray(copied, hole), body.subarray(item.span.start, item.span.end));
      copied = hole;
      array = item.array;
    }
  }
  pieces.push(bytes.subarray(copied));
  return Buffer.concat(pieces);
}
