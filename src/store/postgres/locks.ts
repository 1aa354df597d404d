/**
 * The advisory locks. Each ends with its transaction. Locks are always taken in this order, so that no two transactions wait
 * for each other:
 *
 * 1. (7, 0) the registry, shared or exclusive
 * 2. (8, channel), several in ascending order
 * 3. rows of `queue`: with SKIP LOCKED, or under the lock of their channel
 * 4. rows of `lanes`
 * 5. upserts, in the order of their keys
 *
 * Whatever records, or ends, revives or makes a delivery, locks its channels first, or the registry alone. A claim does not,
 * because the first delivery of a lane stays first until it is settled. The row of a job is locked before all of these, with
 * SKIP LOCKED.
 * Migrations, new partitions and rollups have a lock of their own. Only a migration takes another one behind it, the registry's,
 * to exclude older replicas. Turns and leases are single statements.
 */

const REGISTRY = 7;
const CHANNEL = 8;

/** `$1`: the numbers of the channels, in ascending order. Also keeps the registry from changing. */
export const LOCK_CHANNELS = `SELECT pg_advisory_xact_lock_shared(${REGISTRY}, 0),
  (SELECT count(*) FROM (SELECT pg_advisory_xact_lock(${CHANNEL}, number) FROM unnest($1::int[]) AS number) AS locked)`;

export const LOCK_REGISTRY = `SELECT pg_advisory_xact_lock(${REGISTRY}, 0)`;

/** For a migration of the schema. */
export const LOCK_MIGRATIONS = `SELECT pg_advisory_xact_lock(${REGISTRY}, 1)`;

/** For new partitions. */
export const LOCK_PARTITIONS = `SELECT pg_advisory_xact_lock(${REGISTRY}, 2)`;

/** For counts over time, which are read, added up and written. */
export const LOCK_ROLLUPS = `SELECT pg_advisory_xact_lock(${REGISTRY}, 3)`;

/** For the beginning of `migrate`, which looks for gateways and makes the table of its progress. */
export const LOCK_CARRY_OVER = `SELECT pg_advisory_xact_lock(${REGISTRY}, 4)`;

/** For a start, while it looks for that table. */
export const LOCK_CARRY_OVER_SHARED = `SELECT pg_advisory_xact_lock_shared(${REGISTRY}, 4)`;
