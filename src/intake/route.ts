import type { EventName, Judgement, Target } from '../model.js';
import type { Document, Item } from './decode.js';

export interface JudgedItem extends Judgement {
  readonly item: Item;
  /** Restored, never seen before, and registered with `deliver_unseen`: goes to the bots as well. */
  readonly recover: boolean;
}

/** What one target is sent of a webhook. */
export interface Route {
  readonly target: Target;
  /** Positions in the document's items, ascending, never empty. */
  readonly positions: readonly number[];
  /** Nothing was withheld: the target receives the very bytes that came. */
  readonly whole: boolean;
}

export interface Routing {
  readonly routes: readonly Route[];
  /** Positions of the items that a target that subscribes to the event was not sent because of their verdict. */
  readonly held: ReadonlySet<number>;
}

/** Turns verdicts into what each target is sent. A disabled target is routed to like any other: its deliveries wait. */
export function route(
  judged: readonly JudgedItem[],
  event: EventName,
  channel: string,
  targets: readonly Target[],
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
    if (positions.length > 0) routes.push({ target, positions, whole: positions.length === judged.length });
  }
  return { routes, held };
}

/** Whether a target asked for this channel's events of this name. */
export function subscribes(target: Pick<Target, 'channels' | 'events'>, channel: string, event: EventName): boolean {
  return (
    (target.channels.includes('*') || target.channels.includes(channel)) &&
    target.events.some(
      (wanted) =>
        wanted === '*' ||
        wanted === event.type ||
        wanted === `${event.type}.*` ||
        wanted === `${event.type}.${event.method}`,
    )
  );
}

function wants(target: Target, { verdict, recover }: JudgedItem): boolean {
  return target.deliver.includes(verdict) || (recover && target.deliver.includes('new'));
}

/**
 * The document without the items that are not in `positions`, every other byte as it came. The text is cut, not parsed
 * and printed again: numbers above 2^53, `1.10`, escapes and the like would not survive that.
 */
export function cut(document: Document, positions: readonly number[]): Buffer {
  const { body, items } = document;
  if (positions.length === items.length) return body;
  const kept = new Set(positions);
  const pieces: Buffer[] = [];
  let copied = 0; // every byte before this one is in `pieces` or left out
  let array = NaN;
  let keptOfArray = 0;
  for (const [position, item] of items.entries()) {
    if (item.array !== array) {
      array = item.array;
      keptOfArray = 0;
      pieces.push(body.subarray(copied, item.span.start));
    }
    if (kept.has(position)) {
      // From the second kept element on, with the comma and the white space that stood before it.
      pieces.push(body.subarray(keptOfArray > 0 ? copied : item.span.start, item.span.end));
      keptOfArray += 1;
    }
    copied = item.span.end;
  }
  pieces.push(body.subarray(copied));
  return Buffer.concat(pieces);
}
