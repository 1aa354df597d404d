import type { Target } from '../contract/targets.js';
import { Badge, Status } from './badge.js';
import { Countdown } from './time.js';

/** Enabled or not, and the breaker with its next probe. */
export function TargetState({ target }: { readonly target: Pick<Target, 'enabled' | 'disabled_reason' | 'breaker'> }) {
  const { enabled, disabled_reason: reason, breaker } = target;
  if (!enabled)
    return (
      <Badge tone="warn" title={reason ?? undefined}>
        disabled
      </Badge>
    );
  if (breaker.state === 'closed') return <Badge tone="good">healthy</Badge>;
  return (
    <span class="nowrap">
      <Status status={breaker.state} title={`${breaker.consecutive_failures} failures in a row`} />
      {breaker.next_probe_at !== null && (
        <>
          {' '}
          probe in <Countdown at={breaker.next_probe_at} />
        </>
      )}
    </span>
  );
}
