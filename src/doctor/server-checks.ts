import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../durations.js';
import type { Replica } from '../store/replicas.js';
import type { ServerFacts } from '../store/server.js';
import type { Check } from './policy.js';

/** An open transaction keeps dead rows from being removed, so that claims become slower. */
const LONG_TRANSACTION_MS = 10 * MINUTE_MS;
/** Partitions are made days ahead; with fewer than this, no replica makes them any more. */
const LEAST_AHEAD_MS = DAY_MS;
const TOLERATED_SKEW_MS = 5 * SECOND_MS;

const SUBJECT = 'database';

/** Checks of PostgreSQL and of the replicas that share it. @param replicas those that are alive */
export function serverChecks(facts: ServerFacts, replicas: readonly Replica[], now: number): Check[] {
  return [
    durabilityCheck(facts),
    transactionCheck(facts),
    partitionCheck(facts, now),
    databaseClockCheck(facts),
    replicasCheck(replicas),
  ];
}

function durabilityCheck({ version, hasFsync, synchronousCommit }: ServerFacts): Check {
  const about = { name: 'durability', subject: SUBJECT };
  if (!hasFsync || synchronousCommit === 'off') {
    const setting = hasFsync ? 'synchronous_commit' : 'fsync';
    return {
      ...about,
      status: 'fail',
      message: `PostgreSQL ${version} runs with ${setting} = off: a crash of the server loses webhooks that were answered 200.`,
      fix: `Set ${setting} = on, in postgresql.conf or for the role of the gateway.`,
    };
  }
  if (synchronousCommit === 'local') {
    return {
      ...about,
      status: 'warn',
      message: `PostgreSQL ${version} runs with synchronous_commit = local: a failover to a standby may lose the last webhooks.`,
      fix: 'Set synchronous_commit = on, and name the standby in synchronous_standby_names.',
    };
  }
  const message = `PostgreSQL ${version} writes each commit to disk (synchronous_commit = ${synchronousCommit}).`;
  return { ...about, status: 'ok', message, fix: null };
}

function transactionCheck({ oldestTransactionMs }: ServerFacts): Check {
  const isLong = oldestTransactionMs > LONG_TRANSACTION_MS;
  const minutes = Math.floor(oldestTransactionMs / MINUTE_MS);
  return {
    name: 'transactions',
    subject: SUBJECT,
    status: isLong ? 'warn' : 'ok',
    message: isLong
      ? `A transaction has been open for ${minutes} minutes. Until it ends, PostgreSQL cannot remove dead rows, and claims become slower.`
      : 'No transaction has been open for long.',
    fix: isLong ? 'Find it in pg_stat_activity (xact_start): for example a pg_dump, or a forgotten BEGIN.' : null,
  };
}

function partitionCheck({ oldestDayAt, newestDayAt }: ServerFacts, now: number): Check {
  const about = { name: 'partitions', subject: SUBJECT };
  if (newestDayAt === null || newestDayAt - now < LEAST_AHEAD_MS - HOUR_MS) {
    return {
      ...about,
      status: 'warn',
      message: `Partitions exist only up to ${dayOf(newestDayAt)}. They should exist days ahead.`,
      fix: 'Look for "background work failed" in the log of the replicas.',
    };
  }
  const message = `Partitions from ${dayOf(oldestDayAt)} to ${dayOf(newestDayAt)}.`;
  return { ...about, status: 'ok', message, fix: null };
}

function databaseClockCheck({ clockAheadMs }: ServerFacts): Check {
  const seconds = Math.round(Math.abs(clockAheadMs) / SECOND_MS);
  const isRight = Math.abs(clockAheadMs) <= TOLERATED_SKEW_MS;
  return {
    name: 'database_clock',
    subject: SUBJECT,
    status: isRight ? 'ok' : 'warn',
    message: isRight
      ? "This machine's clock agrees with the database's."
      : `This machine's clock is ${seconds} s ${clockAheadMs > 0 ? 'ahead of' : 'behind'} the database's.`,
    fix: isRight
      ? null
      : 'Synchronize both clocks (NTP). The gateway goes by the one of the database, its log by the one of this machine.',
  };
}

function replicasCheck(replicas: readonly Replica[]): Check {
  const count = Math.max(1, replicas.length);
  const message = count === 1 ? 'One replica uses this database.' : `${count} replicas share this database.`;
  return { name: 'replicas', subject: SUBJECT, status: 'ok', message, fix: null };
}

function dayOf(at: number | null): string {
  return at === null ? 'no day' : new Date(at).toISOString().slice(0, 10);
}
