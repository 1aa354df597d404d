interface NamedLease {
  readonly token: number;
  readonly holder: string;
  /** Unix milliseconds. */
  readonly until: number;
}

/** Leases by name, in memory, because one process owns the file: after a crash there are none. They change outside of transactions. */
export class NamedLeases {
  readonly #leases = new Map<string, NamedLease>();
  #lastToken = 0;

  /** Whether its lease is running. `exceptBy`: a holder whose own lease does not count. */
  isHeld(name: string, now: number, exceptBy?: string): boolean {
    const lease = this.#leases.get(name);
    return lease !== undefined && lease.until > now && lease.holder !== exceptBy;
  }

  /** Takes it and returns a token, or extends the lease that this holder has and returns the token that it had. */
  take(name: string, holder: string, leaseMs: number, now: number): number {
    const before = this.#leases.get(name);
    const isOwn = before?.holder === holder && before.until > now;
    const token = isOwn ? before.token : (this.#lastToken += 1);
    this.#leases.set(name, { token, holder, until: now + leaseMs });
    return token;
  }

  /** Whether this is still the last token. A lease that has run out stays its holder's until someone else takes it. */
  isLast(name: string, token: number): boolean {
    return this.#leases.get(name)?.token === token;
  }

  remove(name: string): void {
    this.#leases.delete(name);
  }

  /** The machine's clock was set back by `byMs`: running leases keep their length. */
  shift(byMs: number, now: number): void {
    for (const [name, lease] of this.#leases) {
      if (lease.until > now) this.#leases.set(name, { ...lease, until: lease.until - byMs });
    }
  }
}
