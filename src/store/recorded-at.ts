import { parseDeliveryId, timeOfId } from './rules/ids.js';

/** When a delivery was recorded, to the millisecond unless the clock was set back. Its id tells it: this reads nothing. */
export function recordedAt(deliveryId: string): number {
  return timeOfId(parseDeliveryId(deliveryId) ?? 0);
}
