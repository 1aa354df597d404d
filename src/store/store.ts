import type { Effects } from '../effects.js';
import type { Audits } from './audits.js';
import type { KeptBreakers } from './breakers.js';
import type { Calls } from './calls.js';
import type { Intake } from './intake.js';
import type { Items } from './items.js';
import type { Judging } from './judging.js';
import type { Jobs } from './jobs.js';
import type { Levels } from './levels.js';
import type { MessageClaims } from './message-claims.js';
import type { Outbox } from './outbox.js';
import type { Probes } from './probes.js';
import type { Registry } from './registry.js';
import type { Replicas } from './replicas.js';
import type { History } from './history.js';
import type { Resyncs } from './resyncs.js';
import type { Rollups } from './rollups.js';
import type { DatabaseServer } from './server.js';
import type { Traffic } from './traffic.js';
import type { Turns } from './turns.js';
import type { Upkeep } from './upkeep.js';

/** What an engine needs of the process. */
export type StoreEffects = Pick<Effects, 'now' | 'serverNow' | 'monotonic' | 'sleep' | 'randomBytes'>;

/**
 * The store as business operations, grouped by area. Every engine keeps these invariants:
 *
 * - I1 answered ⇒ stored: `intake.record` resolves after the commit of the webhook, its verdicts and its deliveries.
 * - I2 registered before asked: `resyncs.register` resolves after the commit; a registration outlives the answer of the
 *   call, including errors and timeouts.
 * - I3 one item, one verdict; one delivery per target, or one per part if the target has a `split`. Recording the same
 *   webhook twice, even concurrently, adds no delivery.
 * - I4 nothing lost: a committed delivery ends only as delivered, dead or expired, or because its target's settings leave it
 *   out (superseded, answered, withheld), and can be retried; a held item can be released until its payload is pruned. The
 *   items of a delivery that was left out are held.
 * - I5 a claim is a lease: only the holder of the lease's token can settle it; an expired lease makes the delivery due again.
 *   `outbox.claim` leases what is due; `intake.record` leases a new delivery at once if `outbox.offer` allows it.
 * - I6 order per chat: for one target, the deliveries of one chat and one kind of event are made one at a time, in the
 *   order recorded.
 *
 * Times are milliseconds since the Unix epoch unless stated otherwise. If the store cannot run an operation (full disk, lost
 * connection), it rejects with GatewayError GW_STORE_UNAVAILABLE: nothing was changed, or, if the connection was lost during
 * the commit, it is not known whether it was. Repeating is safe: a webhook recorded again is a duplicate (I3), and a lease
 * that was settled is not settled again (I5). The exception is an item whose repeats cannot be recognized (rule 14 of the
 * decision table): recorded again, it is delivered again.
 */
export interface Store {
  readonly intake: Intake;
  readonly outbox: Outbox;
  readonly jobs: Jobs;
  readonly resyncs: Resyncs;
  readonly calls: Calls;
  readonly turns: Turns;
  readonly audits: Audits;
  readonly registry: Registry;
  readonly breakers: KeptBreakers;
  readonly probes: Probes;
  readonly traffic: Traffic;
  readonly items: Items;
  readonly claims: MessageClaims;
  readonly judging: Judging;
  readonly history: History;
  readonly rollups: Rollups;
  readonly levels: Levels;
  readonly replicas: Replicas;
  readonly server: DatabaseServer;
  readonly upkeep: Upkeep;
  /** From now on an operation that meets a lock of another process is refused at once: a shutdown has no time to wait. */
  stopWaiting(): void;
  /** Finishes pending operations, without waiting for locks, then closes. */
  close(): Promise<void>;
}
