import type { Resync } from '../contract/resyncs.js';
import { Badge } from './badge.js';
import { Bar } from './progress.js';
import { Countdown } from './time.js';

const settledOf = ({ counts }: Pick<Resync, 'counts'>): number =>
  counts.restored + counts.not_restored + counts.failed + counts.cancelled;

/** The bar of a run, and why it pauses. */
export function ResyncProgress({ resync }: { readonly resync: Resync }) {
  const { status, total, eta_seconds: eta, pause, id } = resync;
  return (
    <>
      <Bar
        label={`Progress of resync ${id}`}
        done={settledOf(resync)}
        total={total}
        etaSeconds={status === 'running' ? eta : null}
      />
      {status === 'running' && pause && (
        <p class="pause">
          <Badge tone="warn">paused</Badge> {pause.reason} Goes on in{' '}
          <Countdown at={pause.next_check_at} over="a moment" />
        </p>
      )}
    </>
  );
}
