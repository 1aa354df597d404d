import { GatewayError } from '../errors.js';
import type { FieldError } from '../errors.js';
import { counted } from '../quantities.js';
import type { WorkCount, WorkUnderWay } from '../store/registry.js';

interface Wording {
  readonly part: keyof WorkUnderWay;
  readonly field: string;
  readonly one: string;
  readonly many: string;
  /** What the removal does to them. */
  readonly end: string;
}

const OF_TARGET: readonly Wording[] = [
  {
    part: 'pendingDeliveries',
    field: '/pending_deliveries',
    one: 'pending delivery',
    many: 'pending deliveries',
    end: 'would end as dead',
  },
];

const OF_CHANNEL: readonly Wording[] = [
  {
    part: 'openResyncs',
    field: '/open_resyncs',
    one: 'running resync',
    many: 'running resyncs',
    end: 'would be cancelled',
  },
  {
    part: 'runningAudits',
    field: '/running_audits',
    one: 'running audit',
    many: 'running audits',
    end: 'would be cancelled',
  },
  {
    part: 'heldItems',
    field: '/held_items',
    one: 'held item',
    many: 'held items',
    end: 'would stay releasable until pruned',
  },
  {
    part: 'pendingDeliveries',
    field: '/pending_deliveries',
    one: 'pending delivery',
    many: 'pending deliveries',
    end: 'would still be sent',
  },
];

/** @throws GatewayError GW_UNDER_WAY (something is pending for the target) */
export function refuseWhileUnderWay(kind: 'target' | 'channel', name: string, work: WorkUnderWay): void {
  const parts = (kind === 'target' ? OF_TARGET : OF_CHANNEL).flatMap((wording) => partOf(wording, work[wording.part]));
  if (parts.length === 0) return;
  throw new GatewayError(
    'GW_UNDER_WAY',
    `The ${kind} "${name}" has work under way: ${parts.map(({ message }) => message).join('; ')}. To remove it anyway, add ` +
      '"?force=true" to the URL.',
    parts,
  );
}

function partOf({ field, one, many, end }: Wording, { count, isMore }: WorkCount): FieldError[] {
  if (count === 0) return [];
  return [{ path: field, message: `${isMore ? 'more than ' : ''}${counted(count, one, many)} (${end})` }];
}
