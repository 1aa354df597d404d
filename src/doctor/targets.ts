import { sameBotWarning } from '../intake/subscription.js';
import type { Target } from '../model.js';
import type { Check } from './policy.js';

/** One check for each target whose bot another, older target reaches as well. */
export function sharedUrlChecks(targets: readonly Target[]): Check[] {
  return targets.flatMap((target, index) => {
    const message = sameBotWarning(target, targets.slice(0, index));
    return message === null
      ? []
      : [{ name: 'target_url', subject: target.name, status: 'warn', message, fix: null } as const];
  });
}
