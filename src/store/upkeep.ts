/** Maintenance of the store itself. */
export interface Upkeep {
  /** Shifts due times back by `byMs` milliseconds, after the machine's clock was set back. */
  clockSetBack(byMs: number): Promise<void>;
  /** Proves that the store takes writes. */
  probe(): Promise<void>;
  /** Keeps `value` under `name` unless one is kept there already. Returns the one that is kept. */
  pin(name: string, value: string): Promise<string>;
  /** What is kept under `name`; null where nothing is. */
  pinned(name: string): Promise<string | null>;
  /**
   * Removes a small step of what has outlived its retention: payloads of settled deliveries and jobs that are over, then
   * ids of the ledger.
   * True while there may be more to remove now.
   */
  prune(retention: Retention): Promise<boolean>;
}

export interface Retention {
  readonly payloadMs: number;
  readonly ledgerMs: number;
}
