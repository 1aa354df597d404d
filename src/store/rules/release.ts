import { GatewayError } from '../../errors.js';
import type { Document } from '../../intake/decode.js';
import { subscribes } from '../../intake/route.js';
import type { Cutter } from '../../intake/route.js';
import type { Verdict } from '../../model.js';
import { parseEventName } from './event-names.js';
import type { HeldFacts } from './held-items.js';
import { laneKeys } from './keys.js';
import type { NewDelivery } from './recording.js';
import type { NumberedTarget } from './registry-rows.js';
import type { SentItems } from './sent-items.js';

/** An item and what targets subscribe to. */
export interface RoutedItem {
  readonly position: number;
  readonly channel: string;
  readonly event: string;
}

/** Which targets have a delivery of which items of the item's webhook. */
export type Sent = Pick<SentItems, 'has'>;

/** The targets that subscribe to an item. */
export function subscribersOf(targets: Iterable<NumberedTarget>, item: RoutedItem): NumberedTarget[] {
  const name = parseEventName(item.event);
  return [...targets].filter(({ target }) => subscribes(target, item.channel, name));
}

/** The targets, of those given, that have no delivery of an item. */
export function withoutDelivery(
  targets: readonly NumberedTarget[],
  { position }: Pick<RoutedItem, 'position'>,
  sent: Sent,
): NumberedTarget[] {
  return targets.filter(({ number }) => !sent.has(number, position));
}

/** Whether a target that subscribes to an item has no delivery of it. @param sent undefined: no target has one */
export function isLacking(targets: Iterable<NumberedTarget>, item: RoutedItem, sent: Sent | undefined): boolean {
  return subscribersOf(targets, item).some(({ number }) => sent?.has(number, item.position) !== true);
}

export interface ReleaseFacts {
  /** All targets. */
  readonly targets: Iterable<NumberedTarget>;
  /** Those that the release is for; null: all that subscribe. */
  readonly chosen: readonly NumberedTarget[] | null;
  readonly sent: Sent;
}

/** What a release of an item does. */
export interface Owed {
  /** The targets to which it is sent; at least one. */
  readonly unsent: readonly NumberedTarget[];
  /** After that, every subscriber has a delivery of it: it and its repetitions are no longer held. */
  readonly isComplete: boolean;
}

/** Whom a release of an item is owed. @throws GatewayError GW_NOT_HELD */
export function owedOf(item: RoutedItem, { targets, chosen, sent }: ReleaseFacts): Owed {
  const subscribers = subscribersOf(targets, item);
  const wanted = chosen ?? subscribers;
  const unsent = withoutDelivery(wanted, item, sent);
  if (unsent.length === 0) throw nothingToSend(wanted.length);
  const numbers = new Set(unsent.map(({ number }) => number));
  const lacking = withoutDelivery(subscribers, item, sent);
  return { unsent, isComplete: lacking.every(({ number }) => numbers.has(number)) };
}

const VOTES: ReadonlySet<number> = new Set([1, 2]);

/**
 * The item that a release of a message sends: the newest, and not a vote or a placeholder if there is another.
 * @param held the held items under its id, oldest first
 */
export function releasedOfMessage<Row extends HeldFacts>(held: readonly Row[]): Row | undefined {
  return held.findLast(({ rule, placeholder }) => !VOTES.has(rule) && !placeholder) ?? held.at(-1);
}

/** A stored webhook, decoded to send single items of it. */
export interface DecodedWebhook {
  readonly document: Document;
  readonly cut: Cutter['cut'];
}

/** The item as a body of its own; null: it is alone in its webhook, so the very bytes that came are sent. */
export function itemBody({ document, cut }: DecodedWebhook, position: number): Buffer | null {
  return document.items.length === 1 ? null : cut([position]);
}

export interface HeldPlace {
  readonly webhook_id: number;
  readonly position: number;
  readonly channel: string;
  readonly verdict: Verdict;
}

/** The delivery of a released item to one target. @param body what `itemBody` gives */
export function releasedDelivery(
  { webhook_id: webhookId, position, channel, verdict }: HeldPlace,
  { document }: DecodedWebhook,
  body: Buffer | null,
  target: NumberedTarget,
): NewDelivery {
  const item = document.items[position];
  return {
    webhookId,
    target: target.number,
    channel,
    lanes: laneKeys(channel, item ? [item] : []),
    verdicts: [verdict],
    positions: [position],
    body,
    newestMessageAt: null, // it never expires by age
    released: true,
  };
}

/** The error for an unknown item: GW_NOT_FOUND. */
export function noSuchItem(id: string): GatewayError {
  return new GatewayError('GW_NOT_FOUND', `There is no item "${id}". It may have been pruned.`);
}

/** The error for an item that is not held: GW_NOT_HELD. */
export function itemNotHeld(): GatewayError {
  return notHeld(
    'This item is not held: every target that wants it has a delivery of it. To send it again, retry that delivery.',
  );
}

/** The error for an item that another release has sent since it was read: GW_NOT_HELD. */
export function itemNoLongerHeld(): GatewayError {
  return notHeld('This item is no longer held.');
}

/**
 * Why no item of a message can be released.
 * @param known `isStored`: an item that carried it is stored; `wasSeen`: a webhook has carried it
 */
export function nothingHeld({ isStored, wasSeen }: { readonly isStored: boolean; readonly wasSeen: boolean }) {
  if (isStored) {
    return notHeld(
      'This message is not held: every target that wants it has a delivery of it. To send it again, retry that delivery.',
    );
  }
  return wasSeen
    ? new GatewayError('GW_PAYLOAD_GONE', 'The payload of this message was pruned. A resync brings it back.')
    : new GatewayError('GW_NOT_FOUND', 'No webhook has carried this message.');
}

/** Whether a release was refused because nothing is held: GW_NOT_HELD. */
export function isNotHeld(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'GW_NOT_HELD';
}

function nothingToSend(chosen: number): GatewayError {
  return notHeld(
    chosen === 0
      ? 'No target subscribes to this event. Name the targets that receive it, for example "targets": ["bot"].'
      : 'These targets already received this item. To send it again, retry its delivery.',
  );
}

function notHeld(detail: string): GatewayError {
  return new GatewayError('GW_NOT_HELD', detail);
}
