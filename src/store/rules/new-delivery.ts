import type { Cutter, JudgedItem, Route } from '../../intake/route.js';
import { withMessage } from '../../intake/timestamp.js';
import type { Verdict } from '../../model.js';
import { isEndOfSlice } from '../../slices.js';
import type { Sliced } from '../../slices.js';
import type { ItemMemory } from './item-memory.js';
import type { NewDelivery, RecordedWebhook } from './recording.js';

/** An item with its verdict, and what was known of it. */
export interface Judged extends JudgedItem {
  readonly memory: ItemMemory;
}

/** The delivery of one route. @param target the number of its target */
export function* deliveryOf(
  { positions, whole }: Route,
  target: number,
  judged: readonly Judged[],
  { webhookId, webhook: { channel } }: RecordedWebhook,
  cut: Cutter['cut'],
): Sliced<NewDelivery> {
  const lanes = new Set<string>();
  const verdicts: Verdict[] = [];
  let newestMessageAt: number | null = null;
  for (const [at, position] of positions.entries()) {
    if (isEndOfSlice(at)) yield;
    const sent = judged[position];
    if (!sent) continue;
    const { item, memory, verdict } = sent;
    lanes.add(memory.lane.toString('latin1'));
    verdicts.push(verdict);
    newestMessageAt = withMessage(newestMessageAt, item);
  }
  return {
    webhookId,
    target,
    channel,
    lanes: Buffer.from([...lanes].join(''), 'latin1'),
    verdicts,
    positions: whole ? null : positions,
    body: whole ? null : cut(positions),
    newestMessageAt,
  };
}
