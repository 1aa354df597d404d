import type { RewriteSecret } from '../secret-places.js';

/** Maintenance of the store itself. */
export interface Upkeep {
  /**
   * The time by which the store decides what is due, in milliseconds since the epoch: the clock of the process, or of the
   * database if replicas share it. Whatever is compared with a stored time is taken from here.
   */
  now(): number;
  /**
   * `now` was set back by `byMs` milliseconds: shifts due times back. After a failure it continues where it stopped. An engine
   * whose clock is the database's ignores `byMs` and shifts by what that clock lost, once for all replicas.
   */
  clockSetBack(byMs: number): Promise<void>;
  /**
   * Reads what was not read at the start, and resolves with the damage found; null: none. It may take minutes, beside other
   * work. Rejects if it could not be done or `signal` is aborted.
   */
  findDamage(signal: AbortSignal): Promise<string | null>;
  /** Commits a small write, to prove that the store takes writes. */
  probe(): Promise<void>;
  /** Stores `value` under `name` unless a value is stored there already. Returns the stored value. */
  pin(name: string, value: string): Promise<string>;
  /**
   * Replaces every secret of channels and targets by what `rewrite` returns, and stores `values` by their names, in one
   * transaction. @throws what `rewrite` throws; nothing was changed
   */
  rewriteSecrets(rewrite: RewriteSecret, values: Readonly<Record<string, string>>): Promise<void>;
  /** The value stored under `name`; null: none. */
  pinned(name: string): Promise<string | null>;
  /**
   * Removes some of what has outlived its retention: payloads with their settled deliveries, resyncs, jobs and audits that
   * are over, then ledger rows. Returns true while there may be more to remove.
   * @param now the time, which the caller has confirmed: a clock that is ahead would empty the store
   */
  prune(retention: Retention, now: number): Promise<boolean>;
  /** The last confirmed time that was remembered, also before a restart; null: none. */
  confirmedTime(): Promise<number | null>;
  /**
   * Remembers what the clock shows. Notices that it shows less than before by an hour or more, as `clockSetBack` does: what
   * ended in the future then counts as ended now.
   */
  rememberTime(now: number, isConfirmed: boolean): Promise<void>;
}

/** How long payloads and ledger rows are kept, in milliseconds. */
export interface Retention {
  readonly payloadMs: number;
  readonly ledgerMs: number;
}
