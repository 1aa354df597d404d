/** The database server that the store uses. */
export interface DatabaseServer {
  /** What an operator must know about it; null: the store is a file of this process. */
  facts(): Promise<ServerFacts | null>;
}

export interface ServerFacts {
  /** Such as `18.4`. */
  readonly version: string;
  /** False: a crash of the server may lose what was committed. */
  readonly hasFsync: boolean;
  /** The setting `synchronous_commit`. */
  readonly synchronousCommit: string;
  /** How long the oldest transaction, of any user, has been open, in milliseconds. Until it ends, dead rows stay. */
  readonly oldestTransactionMs: number;
  /** Days that have partitions: the oldest and the newest (Unix milliseconds at their start); null: there are none. */
  readonly oldestDayAt: number | null;
  readonly newestDayAt: number | null;
  /** How far this machine's clock is ahead of the database's, in milliseconds. */
  readonly clockAheadMs: number;
}
