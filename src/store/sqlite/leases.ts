import { TransactionMemory } from './transaction-memory.js';

/**
 * A leased delivery, with what its settlement needs. It was either **claimed** once it was due, or **born leased**: leased by
 * the transaction that recorded it.
 */
export interface Lease {
  /** Of the delivery. */
  readonly id: number;
  readonly token: number;
  /** When it ends (I5), Unix milliseconds. */
  readonly until: number;
  readonly target: number;
  readonly channel: string;
  /** The concatenated keys of its lanes, and its place in them (I6). */
  readonly lanes: Buffer;
  readonly seq: number;
  /** When it was recorded. */
  readonly createdAt: number;
  /** All attempts made so far. */
  readonly attempts: number;
  /** Those of its schedule. */
  readonly tries: number;
  /** When its schedule continues after a manual attempt beside it, Unix milliseconds; null: this attempt is part of it. */
  readonly resumeAt: number | null;
  /** JSON of a `Streak`; null: none. */
  readonly streak: string | null;
  /** Someone requested a manual attempt while this one is in flight. */
  readonly isRetryRequested: boolean;
  /** Born leased: it is in no index of due deliveries, and its lanes are held in memory. */
  readonly isBorn: boolean;
}

/** The leases of one target. */
export interface LeasesOfTarget {
  /** By the id of their delivery. */
  readonly claimed: ReadonlyMap<number, Lease>;
  /** Those that were born leased. */
  readonly born: ReadonlyMap<number, Lease>;
}

interface Kept {
  readonly claimed: Map<number, Lease>;
  readonly born: Map<number, Lease>;
}

const NONE: LeasesOfTarget = { claimed: new Map(), born: new Map() };

/**
 * The leases of this process (I5). They live in memory, because one process owns the file: after a crash there are none, and
 * every delivery that is not settled is due. An expired lease stays until its holder settles the delivery or another claim
 * takes it. A rollback undoes the changes of its transaction. A claim changes leases outside of transactions, because it
 * writes nothing.
 */
export class Leases {
  readonly #memory: TransactionMemory;
  readonly #byId = new Map<number, Lease>();
  readonly #byTarget = new Map<number, Kept>();
  #lastToken: number;

  /** @param firstToken differs from start to start, so that no token of an earlier one is valid */
  constructor(memory = new TransactionMemory(), firstToken = 0) {
    this.#memory = memory;
    this.#lastToken = firstToken;
  }

  nextToken(): number {
    this.#lastToken += 1;
    return this.#lastToken;
  }

  get(id: number): Lease | undefined {
    return this.#byId.get(id);
  }

  /** Whether the lease of a delivery is still running. */
  isHeld(id: number, now: number): boolean {
    const lease = this.#byId.get(id);
    return lease !== undefined && lease.until > now;
  }

  targets(): IterableIterator<number> {
    return this.#byTarget.keys();
  }

  of(target: number): LeasesOfTarget {
    return this.#byTarget.get(target) ?? NONE;
  }

  /** Adds a lease, in the place of an earlier one of its delivery. */
  add(lease: Lease): void {
    const before = this.#byId.get(lease.id);
    this.#put(lease);
    this.#memory.changed(() => (before ? this.#put(before) : this.#drop(lease)));
  }

  remove(lease: Lease): void {
    this.#drop(lease);
    this.#memory.changed(() => this.#put(lease));
  }

  /**
   * Shifts the times of running leases back by `byMs`, after the machine's clock was set back: they keep their length, and
   * a manual attempt in flight leaves the schedule as it was.
   */
  shift(byMs: number, now: number): void {
    for (const lease of [...this.#byId.values()]) {
      if (lease.until <= now) continue;
      const resumeAt = lease.resumeAt === null ? null : lease.resumeAt - byMs;
      this.add({ ...lease, until: lease.until - byMs, resumeAt });
    }
  }

  #put(lease: Lease): void {
    this.#byId.set(lease.id, lease);
    let kept = this.#byTarget.get(lease.target);
    if (!kept) this.#byTarget.set(lease.target, (kept = { claimed: new Map(), born: new Map() }));
    (lease.isBorn ? kept.born : kept.claimed).set(lease.id, lease);
  }

  #drop({ id, target, isBorn }: Lease): void {
    this.#byId.delete(id);
    const kept = this.#byTarget.get(target);
    if (!kept) return;
    (isBorn ? kept.born : kept.claimed).delete(id);
    if (kept.born.size + kept.claimed.size === 0) this.#byTarget.delete(target);
  }
}

/** When the first of these leases ends; Infinity: there is none. */
export function firstEndOf(leases: Iterable<Lease>): number {
  let first = Infinity;
  for (const { until } of leases) if (until < first) first = until;
  return first;
}
