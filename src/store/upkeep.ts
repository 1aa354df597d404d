import type { RewriteSecret } from '../secret-places.js';

/** Maintenance of the store itself. */
export interface Upkeep {
  /** Shifts due times back by `byMs` milliseconds, after the machine's clock was set back. */
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
   */
  prune(retention: Retention): Promise<boolean>;
}

/** How long payloads and ledger rows are kept, in milliseconds. */
export interface Retention {
  readonly payloadMs: number;
  readonly ledgerMs: number;
}
