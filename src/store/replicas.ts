/** The replicas: gateway processes that share the store. */
export interface Replicas {
  /**
   * How many are alive, this one included: at least 1. Reads nothing. A start or an end is noticed a few seconds later, so a
   * limit that is divided by this number is approximate until then.
   */
  alive(): number;
  /** Those that are alive, oldest first; empty if only one process can use the store. */
  list(): Promise<readonly Replica[]>;
  /** Tells the others about this process. */
  introduce(self: Introduction): Promise<void>;
}

/** What a process tells about itself. */
export interface Introduction {
  /** Host and port. */
  readonly name: string;
  /** Fingerprints of the settings that all processes must share, by the name of the setting. */
  readonly settings: Readonly<Record<string, string>>;
}

/** A gateway process. */
export interface Replica {
  /** Given at its start. */
  readonly id: string;
  readonly startedAt: number;
  readonly seenAt: number;
  /** Null: it has not introduced itself, because it does not listen yet or is a command. */
  readonly name: string | null;
  readonly settings: Introduction['settings'];
}
