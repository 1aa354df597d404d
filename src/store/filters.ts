/** What every list and job of recorded things can be narrowed to. */
export interface RecordedFilter {
  readonly channel?: string | undefined;
  /** `messages.post`, or `messages` and `messages.*` for every method of that type. */
  readonly event?: string | undefined;
  /** Recorded at or after this time. */
  readonly since?: number | undefined;
  /** Recorded before this time. */
  readonly until?: number | undefined;
}

/** What lists of resyncs, audits and jobs can be narrowed to. */
export interface RunFilter<Status extends string> {
  readonly status?: Status | undefined;
  readonly channel?: string | undefined;
}
