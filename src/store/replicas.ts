/** The replicas: gateway processes that share the store. */
export interface Replicas {
  /**
   * How many are alive, this one included: at least 1. Reads nothing. A start or an end is noticed a few seconds later, so a
   * limit that is divided by this number is approximate until then.
   */
  alive(): number;
  /** Those that are alive, oldest first; empty if only one process can use the store. */
  list(): Promise<readonly Replica[]>;
}

/** A gateway process. */
export interface Replica {
  /** Given at its start. */
  readonly id: string;
  readonly startedAt: number;
  readonly seenAt: number;
}
