import type { Proof } from '../../model.js';
import type { OpenRegistration } from '../rules/registrations.js';
import type { Queries } from './queries.js';
import { plainUuid, uuidOf } from './keys.js';

/** The condition of an id that is being brought back: its call is due or in flight, or its webhook is awaited. */
export const IN_PROGRESS = "NOT closed AND status IN ('queued', 'requesting', 'waiting')";

/** The longest windows of the registrations in progress of some ids, in seconds. */
export const LONGEST_WINDOWS = `SELECT m.key, max(coalesce(m.window_seconds, r.window_seconds)) AS seconds
  FROM gateway.resync_messages m JOIN gateway.resyncs r ON r.number = m.resync
  WHERE m.key = ANY($1::uuid[]) AND NOT m.closed AND m.status IN ('queued', 'requesting', 'waiting') GROUP BY m.key`;

export interface WindowRow {
  readonly key: string;
  readonly seconds: number;
}

/** The longest window of an id's registrations in progress, by its key, in seconds; empty: there are none. */
export async function windowsOf(queries: Queries, key: string): Promise<ReadonlyMap<string, number>> {
  return windowsIn(await queries.all<WindowRow>(LONGEST_WINDOWS, [key]));
}

/** Lengths of windows by key, in seconds. */
export function windowsIn(rows: readonly WindowRow[]): ReadonlyMap<string, number> {
  return new Map(rows.map(({ key, seconds }) => [plainUuid(key), seconds]));
}

const OPEN_ROWS = `SELECT m.key, m.resync, r.id AS "resyncId", m.position, m.status, m.asked_at AS "askedAt", m.closes_at AS "closesAt",
    m.next_at AS "nextAt", m.error, m.calls, coalesce(m.window_seconds, r.window_seconds) AS "windowSeconds",
    r.created_at AS "registeredAt", m.proof, r.complete
  FROM gateway.resync_messages m JOIN gateway.resyncs r ON r.number = m.resync
  WHERE m.key = ANY($1::uuid[]) AND NOT m.closed AND m.status IN ('queued', 'requesting', 'waiting', 'restored')
  ORDER BY m.resync, m.position`;

interface OpenRow extends OpenRegistration {
  readonly key: string;
  readonly proof: Proof | null;
  /** All ids of its resync are registered. */
  readonly complete: boolean;
}

/**
 * The open registrations of some ids. One id has one open registration: the rows of all resyncs that are bringing it back have
 * the same status, call times and window, and change together, so that one call serves them all and none depends on another.
 * Each row counts the calls made since it was added.
 */
export class OpenRegistrations {
  readonly #rows = new Map<string, OpenRow[]>();

  private constructor(rows: readonly OpenRow[]) {
    for (const row of rows) {
      const key = plainUuid(row.key);
      this.#rows.set(key, [...(this.#rows.get(key) ?? []), row]);
    }
  }

  /** @param keys as `uuidOf` gives them */
  static async of(keys: readonly string[], queries: Queries): Promise<OpenRegistrations> {
    return new OpenRegistrations(await queries.all<OpenRow>(OPEN_ROWS, keys));
  }

  /** The oldest registration that is in progress. */
  inProgress(key: Buffer): OpenRegistration | undefined {
    return this.#of(key).find(({ complete, status }) => complete && status !== 'restored');
  }

  /** The oldest registration that is restored and whose window is open. */
  restored(key: Buffer, now: number): OpenRegistration | undefined {
    return this.#of(key).find((row) => row.complete && isRestored(row, now));
  }

  /** How the message was proven restored, by a registration whose window is open; null: it was not. */
  proof(key: Buffer, now: number): Proof | null {
    const row = this.#of(key).find((each) => isRestored(each, now));
    return row ? (row.proof ?? 'webhook') : null;
  }

  #of(key: Buffer): readonly OpenRow[] {
    return this.#rows.get(uuidOf(key)) ?? [];
  }
}

function isRestored({ status, closesAt }: OpenRow, now: number): boolean {
  return status === 'restored' && closesAt !== null && closesAt > now;
}
