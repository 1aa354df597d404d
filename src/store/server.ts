/** The database server that the store uses. */
export interface DatabaseServer {
  /** What an operator has to know of it; null: the store is a file of this process. */
  facts(): Promise<ServerFacts | null>;
}

export interface ServerFacts {
  /** Such as `18.4`. */
  readonly version: string;
  /** False: a crash of the server may lose what was committed. */
  readonly hasFsync: boolean;
  /** The setting `synchronous_commit`. */
  readonly synchronousCommit: string;
  /** How long the oldest transaction of anyone has been open, in milliseconds: meanwhile nothing can be vacuumed. */
  readonly oldestTransactionMs: number;
  /** Days for which partitions are made: the oldest that is kept, and the last one ahead (Unix milliseconds at their start). */
  readonly oldestDayAt: number | null;
  readonly newestDayAt: number | null;
  /** How far this machine's clock is ahead of the database's, in milliseconds. */
  readonly clockAheadMs: number;
}
