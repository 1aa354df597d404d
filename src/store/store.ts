import type { Audits } from './audits.js';
import type { KeptBreakers } from './breakers.js';
import type { Calls } from './calls.js';
import type { Intake } from './intake.js';
import type { Items } from './items.js';
import type { Jobs } from './jobs.js';
import type { Outbox } from './outbox.js';
import type { Registry } from './registry.js';
import type { Resyncs } from './resyncs.js';
import type { Traffic } from './traffic.js';
import type { Upkeep } from './upkeep.js';

/**
 * The store, as business operations. Every engine keeps these invariants:
 *
 * - I1 answered ⇒ stored: `record` resolves after the commit that holds the webhook, its verdicts and its deliveries.
 * - I2 registered before asked: `register` resolves after the commit; a registration outlives the answer, whatever it is.
 * - I3 one item, one verdict; one delivery per target, or one of each part where the target has a `split`: a webhook fed
 *   twice, or twice at one instant, gives no more.
 * - I4 nothing lost: a committed delivery ends only as delivered, dead or expired; a held item can be released until its
 *   payload is pruned.
 * - I5 a claim is a lease: only the holder of a lease's token may settle it; an expired lease is due again.
 * - I6 order per chat: for one target, the deliveries of one chat and one kind of event are made one at a time, in the
 *   order recorded.
 *
 * Times are milliseconds since the Unix epoch unless a name says otherwise. An operation that the store cannot take now
 * (full disk, lost connection) rejects with GatewayError GW_STORE_UNAVAILABLE and has changed nothing.
 */
export interface Store {
  readonly intake: Intake;
  readonly outbox: Outbox;
  readonly jobs: Jobs;
  readonly resyncs: Resyncs;
  readonly calls: Calls;
  readonly audits: Audits;
  readonly registry: Registry;
  readonly breakers: KeptBreakers;
  readonly traffic: Traffic;
  readonly items: Items;
  readonly upkeep: Upkeep;
  /** Waits for what was begun, then closes. */
  close(): Promise<void>;
}
