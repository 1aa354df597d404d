import type { Delivery } from '../contract/deliveries.js';
import type { Verdict } from '../model.js';
import { Badge, Status, VerdictBadge } from './badge.js';
import { EventOf, IdLink, TargetLink } from './links.js';
import { href } from './routes.js';
import { Table } from './table.js';
import type { Column } from './table.js';
import { Countdown, Time } from './time.js';

/** What a pending delivery waits for, linked to what it is. */
export function WaitsFor({ delivery }: { readonly delivery: Delivery }) {
  const { status, waits_for: waitsFor, target, next_attempt_at: next, attempts } = delivery;
  if (status !== 'pending') return null;
  if (waitsFor === 'breaker') return <a href={href('targets', [target])}>circuit breaker</a>;
  if (waitsFor === 'target_enabled') return <a href={href('targets', [target])}>target is disabled</a>;
  if (waitsFor === 'earlier_delivery') return <EarlierDelivery delivery={delivery} />;
  if (next === null) return <span>its turn</span>;
  return (
    <span>
      {attempts === 0 ? 'first attempt' : `attempt ${attempts + 1}`} in <Countdown at={next} />
    </span>
  );
}

/** The delivery at the front of its chat, which must be settled first. */
function EarlierDelivery({ delivery: { waits_for_delivery: id } }: { readonly delivery: Delivery }) {
  if (id === null) return <span>an earlier delivery of its chat</span>;
  return (
    <span>
      earlier delivery <IdLink page="deliveries" id={id} />
    </span>
  );
}

/** Counts down to the time when a pending delivery is too old for its target. */
export function Expiry({ delivery: { expires_at: at } }: { readonly delivery: Pick<Delivery, 'expires_at'> }) {
  if (at === null) return null;
  return (
    <span class="expiry">
      expires in <Countdown at={at} over="at its next attempt" />
    </span>
  );
}

/** The verdicts of a delivery, counted. */
export function Verdicts({ verdicts }: { readonly verdicts: readonly Verdict[] }) {
  const counts = new Map<Verdict, number>();
  for (const verdict of verdicts) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  return (
    <span class="badges">
      {[...counts].map(([verdict, count]) => (
        <VerdictBadge key={verdict} verdict={verdict} count={count} />
      ))}
    </span>
  );
}

export const DELIVERY_COLUMNS: readonly Column<Delivery>[] = [
  { head: 'Recorded', kind: 'time', cell: ({ created_at: at }) => <Time at={at} /> },
  { head: 'Delivery', kind: 'id', cell: ({ id }) => <IdLink page="deliveries" id={id} /> },
  {
    head: 'Status',
    kind: 'badge',
    cell: ({ status, released, attempts }) => (
      <span class="badges">
        <Status status={status} />
        {released && <Badge tone="quiet">released</Badge>}
        <span class="dim">
          {attempts} {attempts === 1 ? 'attempt' : 'attempts'}
        </span>
      </span>
    ),
  },
  { head: 'Target', kind: 'short', cell: ({ target }) => <TargetLink id={target} /> },
  { head: 'Event', kind: 'short', cell: ({ channel, event }) => <EventOf channel={channel} event={event} /> },
  { head: 'Verdicts', kind: 'badge', cell: ({ verdicts }) => <Verdicts verdicts={verdicts} /> },
  {
    head: 'Waits for, last error',
    cell: (delivery) => (
      <>
        <WaitsFor delivery={delivery} /> <Expiry delivery={delivery} />
        {delivery.last_error && <span class="dim clamp">{delivery.last_error}</span>}
      </>
    ),
  },
];

export const DeliveryTable = ({ rows, caption }: { readonly rows: readonly Delivery[]; readonly caption: string }) => (
  <Table caption={caption} columns={DELIVERY_COLUMNS} rows={rows} keyOf={({ id }) => id} />
);
