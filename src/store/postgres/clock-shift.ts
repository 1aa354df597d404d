import { MINUTE_MS } from '../../durations.js';
import { RANKS_FROM } from '../rules/pace.js';
import { noteSetBack } from './clock-memory.js';
import type { ClockFall } from './clock-fall.js';
import type { Database } from './database.js';
import type { Transaction } from './queries.js';
import { metaValue, setMeta } from './meta.js';

const SHIFTED_AT = 'clock_shifted_at';
/** The other replicas detect the same fall within this time. */
const SAME_FALL_MS = 5 * MINUTE_MS;

/** Only times in the future are shifted: what is due stays due. `$1` by, `$2` now. */
const SHIFTS = [
  `UPDATE gateway.queue SET
     due_at = CASE WHEN due_at > $2 AND due_at < ${RANKS_FROM} THEN due_at - $1 ELSE due_at END,
     resume_at = resume_at - $1, leased_until = CASE WHEN leased_until > $2 THEN leased_until - $1 ELSE leased_until END
   WHERE (due_at > $2 AND due_at < ${RANKS_FROM}) OR leased_until > $2 OR resume_at IS NOT NULL`,
  'UPDATE gateway.resyncs SET owned_until = owned_until - $1 WHERE NOT complete AND owned_until > $2',
  'UPDATE gateway.resync_messages SET next_at = next_at - $1 WHERE next_at > $2',
  // A last call or check in the future would put off the next one until then.
  `UPDATE gateway.channel_calls SET next_check_at = next_check_at - $1, last_call_at = least(last_call_at, $2),
     healthy_at = least(healthy_at, $2)`,
  'UPDATE gateway.breakers SET next_probe_at = next_probe_at - $1, probe_until = probe_until - $1',
  'UPDATE gateway.audits SET leased_until = leased_until - $1 WHERE leased_until > $2',
  'UPDATE gateway.leases SET until = until - $1 WHERE until > $2',
  'UPDATE gateway.channel_turns SET until = until - $1, ended_at = least(ended_at, $2) WHERE until > $2 OR ended_at > $2',
  'UPDATE gateway.replicas SET seen_at = seen_at - $1 WHERE seen_at > $2',
];

/** Does nothing unless the database's clock was set back. */
export async function shiftAfterFall(db: Database, fall: ClockFall): Promise<void> {
  const byMs = fall.byMs();
  if (byMs === 0) return;
  await db.transaction(async (tx) => await shiftTimes(tx, byMs, fall.now()));
  fall.shifted();
}

/**
 * Shifts due times and leases back after the database's clock was set back. The transaction holds the registry's lock: of all
 * replicas that detect the fall, one shifts, and none records or settles at the same time. Windows of resyncs are not
 * shifted, because a longer window does no harm.
 */
async function shiftTimes(tx: Transaction, byMs: number, now: number): Promise<void> {
  await tx.lockRegistry();
  const shiftedAt = Number((await metaValue(tx, SHIFTED_AT)) ?? -Infinity);
  if (shiftedAt <= now && now - shiftedAt < SAME_FALL_MS) return;
  await noteSetBack(tx, byMs, now);
  for (const sql of SHIFTS) await tx.run(sql, ...(sql.includes('$2') ? [byMs, now] : [byMs]));
  await setMeta(tx, SHIFTED_AT, String(now));
}
