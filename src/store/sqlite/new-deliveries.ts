import { isPaced } from '../../intake/backlog.js';
import type { Sliced } from '../../slices.js';
import { parseEventName } from '../rules/event-names.js';
import { deliveryId } from '../rules/ids.js';
import { KEY_BYTES } from '../rules/keys.js';
import type { NewDeliveries, NewDelivery, RecordedWebhook } from '../rules/recording.js';
import type { DeliveryTables } from './delivery-tables.js';
import { Offers } from './offers.js';
import type { RegistryTables } from './registry-tables.js';
import type { Delivery } from '../outbox.js';

/** A delivery in more lanes than this is not leased as it is recorded. */
const MOST_LANES_HELD = 100;

/** Adds the deliveries of a recorded webhook; those that an offer covers are leased from the commit on. */
export class RecordedDeliveries implements NewDeliveries {
  readonly #registry: RegistryTables;
  readonly #deliveries: DeliveryTables;
  readonly #offers: Offers;

  constructor(registry: RegistryTables, deliveries: DeliveryTables, offers = new Offers()) {
    this.#registry = registry;
    this.#deliveries = deliveries;
    this.#offers = offers;
  }

  *add(delivery: NewDelivery, body: Buffer, recorded: RecordedWebhook): Sliced<Delivery | null> {
    const leased = recorded.isRecovery ? null : this.#lease(delivery, body, recorded);
    if (!leased) yield* this.#deliveries.addInSlices(delivery, recorded.now);
    return leased;
  }

  /** Null: no offer of its target is left, or it must wait in a lane. */
  #lease(delivery: NewDelivery, body: Buffer, { webhook, event, now }: RecordedWebhook): Delivery | null {
    const target = this.#registry.targetNumbered(delivery.target);
    const offer = target && this.#offers.of(target.id);
    if (!offer || delivery.lanes.length > MOST_LANES_HELD * KEY_BYTES) return null;
    if (!target.enabled || isPaced(delivery, target, now)) return null;
    const leaseEndsAt = now + offer.leaseMs;
    const lease = this.#deliveries.addLeased(delivery, now, leaseEndsAt);
    if (!lease) return null;
    this.#offers.spend(target.id, offer, body.length);
    return {
      id: deliveryId(lease.id),
      ...{ lease: lease.token, leaseEndsAt, target, channel: delivery.channel, event: parseEventName(event) },
      ...{ method: webhook.method, suffix: webhook.suffix, contentType: webhook.contentType, body },
      ...{ verdicts: delivery.verdicts, attempts: 0, besideSchedule: false, streak: null, via: webhook.via ?? null },
      recordedAt: now,
      isFromBacklog: false,
      newestMessageAt: delivery.newestMessageAt,
    };
  }
}
