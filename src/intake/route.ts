import type { EventName, Judgement, Target } from '../model.js';
import type { Document, Item } from './decode.js';
import { nameOf } from './event.js';

export interface JudgedItem extends Judgement {
  readonly item: Item;
  /** Restored, never seen before, and registered with `deliver_unseen`: goes to the bots as well. */
  readonly recover: boolean;
}

/** One request's share of a webhook. A target that asks for a split has several routes, in order. */
export interface Route {
  readonly target: Target;
  /** Positions in the document's items, ascending, never empty. */
  readonly positions: readonly number[];
  /** All items of the webhook: the target receives the very bytes that came. */
  readonly whole: boolean;
}

export interface Routing {
  readonly routes: readonly Route[];
  /** Positions of the items that a target that subscribes to the event was not sent because of their verdict. */
  readonly held: ReadonlySet<number>;
}

/**
 * Turns verdicts into what each target is sent. A disabled target is routed to like any other: its deliveries wait.
 * `mostParts`: a target gets a webhook that would split into more requests in one; called only where a target splits.
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

/** Whether a target asked for this channel's events of this name. */
export function subscribes(target: Pick<Target, 'channels' | 'events'>, channel: string, event: EventName): boolean {
  return (
    (target.channels.includes('*') || target.channels.includes(channel)) &&
    target.events.some(
      (wanted) => wanted === '*' || wanted === event.type || wanted === `${event.type}.*` || wanted === nameOf(event),
    )
  );
}

/** The positions of each request, every position in one of them. Requests stand in the order of their first item. */
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

/** Items without a chat are together, as they are in the order of deliveries (I6). */
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
 * Makes bodies with some of a document's items, every other byte as it came. The text is cut, not parsed and printed
 * again: numbers above 2^53, `1.10`, escapes and the like would not survive that.
 */
export interface Cutter {
  /** The document without the items that are not in `positions` (ascending). */
  readonly cut: (positions: readonly number[]) => Buffer;
  /** Into how many bodies the document may be split. */
  readonly mostParts: () => number;
}

/**
 * All bodies of a split repeat the frame. With Whapi's frames, some hundred bytes, 50,000 items stay far below this; a
 * frame of megabytes around thousands of items would fill the disk in one transaction.
 */
const MOST_FRAME_BYTES = 64 * 1024 * 1024;

/** The document without any item. */
interface Frame {
  readonly bytes: Buffer;
  /** Where in `bytes` the elements of an array stood, by the array's number. */
  readonly holes: ReadonlyMap<number, number>;
}

/** The frame is made once, at the first body: each body then takes time in proportion to itself. */
export function cutter(document: Document): Cutter {
  let made: Frame | undefined;
  const frame = (): Frame => (made ??= frameOf(document));
  return {
    cut: (positions) =>
      positions.length === document.items.length ? document.body : filled(frame(), document, positions),
    mostParts: () => Math.max(1, Math.floor(MOST_FRAME_BYTES / Math.max(1, frame().bytes.length))),
  };
}

/** For one body of a document. */
export function cut(document: Document, positions: readonly number[]): Buffer {
  return cutter(document).cut(positions);
}

function frameOf({ body, items }: Document): Frame {
  const holes = new Map<number, number>();
  const pieces: Buffer[] = [];
  let length = 0;
  let left = 0; // where the last element ended
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
  let copied = 0; // of the frame
  let array = NaN;
  for (const position of positions) {
    const item = items[position];
    if (!item) continue;
    const hole = holes.get(item.array) ?? 0;
    if (item.array === array) {
      // With the comma and the white space that stood before it.
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
