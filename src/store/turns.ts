/**
 * Turns at calling Whapi: a channel has one holder at a time, across all replicas. A turn is a lease, so a crash of its holder
 * frees it.
 */
export interface Turns {
  /** Takes a channel's turn for `leaseMs`. Null: it is held, by another holder or by this one. */
  take(channel: string, holder: string, leaseMs: number): Promise<ChannelTurn | null>;
  /**
   * Ends a turn. Does nothing if its lease ran out and another holder took the next one. `startsSpacing`: one of the gateway's own
   * calls was made, so this is the `lastEndedAt` of the turns that follow.
   */
  end(turn: ChannelTurn, startsSpacing: boolean): Promise<void>;
}

export interface ChannelTurn {
  readonly channel: string;
  /** Identifies this turn among those of the channel. */
  readonly token: number;
  /** The end of the last turn that started the spacing (Unix milliseconds); null: none is known. */
  readonly lastEndedAt: number | null;
}
