export interface ResyncState {
  /** In the order of registration. */
  readonly number: number;
  readonly id: string;
  readonly isRunning: boolean;
}

/** Which resyncs are running, without counts: an index look-up for each, however many ids it has. A part of `Store`. */
export interface ResyncStates {
  /**
   * Newest first, those that are still being registered included.
   * @param range of numbers, without the two ends
   */
  resyncStates(
    range: { readonly after: number; readonly before: number },
    limit: number,
  ): Promise<readonly ResyncState[]>;
  /** Those of these resyncs that are running, by id. */
  stillRunning(ids: readonly string[]): Promise<ReadonlySet<string>>;
}
