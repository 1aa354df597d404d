import type { ComponentChildren } from 'preact';
import type { Verdict } from '../model.js';

/** Small labels. Their text says everything; colour only helps. */

export type Tone = 'good' | 'warn' | 'bad' | 'info' | 'quiet';

interface BadgeProps {
  readonly tone: Tone;
  readonly title?: string | undefined;
  readonly children: ComponentChildren;
}

export function Badge({ tone, title, children }: BadgeProps) {
  return (
    <span class={`badge ${tone}`} title={title}>
      {children}
    </span>
  );
}

const VERDICT_TONES: Readonly<Record<Verdict, Tone>> = {
  new: 'good',
  late: 'warn',
  restored: 'info',
  duplicate: 'quiet',
  event: 'quiet',
};

interface VerdictProps {
  readonly verdict: Verdict;
  /** Row of the decision table. */
  readonly rule?: number | null;
  /** That row in words. */
  readonly reason?: string | undefined;
  readonly held?: boolean;
  readonly count?: number;
}

export function VerdictBadge({ verdict, rule, reason, held = false, count = 1 }: VerdictProps) {
  return (
    <span class="verdict">
      <Badge tone={VERDICT_TONES[verdict]} title={reason}>
        {count > 1 && `${count} `}
        {verdict}
        {rule != null && <span class="rule">rule {rule}</span>}
      </Badge>
      {held && (
        <>
          {' '}
          <Badge
            tone="warn"
            title="A target that subscribes to it did not get it, because of its verdict or of the target's settings."
          >
            held
          </Badge>
        </>
      )}
    </span>
  );
}

/** Statuses of deliveries, resyncs, audits, jobs, checks and breakers, and outcomes of previews, by tone. */
const STATUS_TONES: Readonly<Record<string, Tone>> = {
  ...{ delivered: 'good', restored: 'good', finished: 'good', ok: 'good', closed: 'good', ready: 'good' },
  ...{ pending: 'info', running: 'info', requesting: 'info', waiting: 'info', queued: 'quiet', cancelled: 'quiet' },
  ...{ expired: 'warn', withheld: 'warn', superseded: 'quiet', answered: 'quiet' },
  ...{ not_restored: 'warn', half_open: 'warn', warn: 'warn', disabled: 'warn', paused: 'warn' },
  ...{ sent: 'good', held: 'warn', not_subscribed: 'quiet' },
  ...{ dead: 'bad', failed: 'bad', open: 'bad', fail: 'bad' },
};

export function Status({ status, title }: { readonly status: string; readonly title?: string }) {
  return (
    <Badge tone={STATUS_TONES[status] ?? 'quiet'} title={title}>
      {status.replaceAll('_', ' ')}
    </Badge>
  );
}
