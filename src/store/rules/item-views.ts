import type { Verdict } from '../../model.js';
import type { ItemView } from '../items.js';
import { encodeNumber, itemId } from './ids.js';
import type { StoredBoolean } from './stored-boolean.js';

/** A judged item of a stored webhook. */
export interface ItemRow {
  readonly webhook_id: number;
  readonly position: number;
  readonly channel: string;
  readonly message_id: string | null;
  readonly event: string;
  readonly carrier: string;
  readonly verdict: Verdict;
  readonly rule: number;
  readonly held: StoredBoolean;
  readonly received_at: number;
  readonly audit: string | null;
}

/** An item for people, without its evidence. */
export function itemView(row: ItemRow): ItemView {
  return {
    id: itemId({ webhookId: row.webhook_id, position: row.position }),
    webhookId: encodeNumber(row.webhook_id),
    position: row.position,
    channel: row.channel,
    event: row.event,
    carrier: row.carrier,
    messageId: row.message_id,
    verdict: row.verdict,
    rule: row.rule,
    held: Boolean(row.held),
    seenAt: row.received_at,
    auditId: row.audit,
  };
}

type Placed = Pick<ItemRow, 'webhook_id' | 'position'>;

/** The place of an item as the key of a map. */
export function placeOf({ webhook_id: id, position }: Placed): string {
  return `${id} ${position}`;
}

/** Orders rows from the newest to the oldest. */
export function newestFirst(one: Placed, other: Placed): number {
  return other.webhook_id - one.webhook_id || other.position - one.position;
}

/** The newest rows, without repetitions: a resync may contain an id twice. */
export function newestUnique<Row extends Placed>(rows: readonly Row[], limit: number): Row[] {
  const unique = new Map(rows.map((row) => [placeOf(row), row]));
  return [...unique.values()].sort(newestFirst).slice(0, limit);
}
