import type { Channel } from '../../model.js';

/** Whether a change of a channel may end a pause of its calls: the new token, address or budget may be the right one. */
export function mayEndPause(before: Channel, after: Channel): boolean {
  return (
    before.whapiToken !== after.whapiToken ||
    before.whapiBaseUrl !== after.whapiBaseUrl ||
    before.dailyCallBudget !== after.dailyCallBudget
  );
}
