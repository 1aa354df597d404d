import { GatewayError } from '../../errors.js';
import type { Target } from '../../model.js';
import type { TrialSettings } from '../judging.js';

/** The targets with the settings to try. @throws GatewayError GW_NOT_FOUND (the settings name another target) */
export function withTrialSettings(targets: readonly Target[], { targets: changes = {} }: TrialSettings): Target[] {
  const unknown = Object.keys(changes).find((id) => !targets.some((target) => target.id === id));
  if (unknown !== undefined) throw new GatewayError('GW_NOT_FOUND', `There is no target "${unknown}".`);
  return targets.map((target) => {
    const { channels, events, deliver, split } = changes[target.id] ?? {};
    return {
      ...target,
      channels: channels ?? target.channels,
      events: events ?? target.events,
      deliver: deliver ?? target.deliver,
      split: split ?? target.split,
    };
  });
}
