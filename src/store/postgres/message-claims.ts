import { ClaimedError } from '../../errors.js';
import { MINUTE_MS } from '../../durations.js';
import type { ClaimRequest, MessageClaim, MessageClaims } from '../message-claims.js';
import { messageKey } from '../rules/keys.js';
import { claimOf, MOST_CLAIMS, tooManyClaims } from '../rules/message-claims.js';
import type { Queries, Transaction } from './queries.js';
import type { Base } from './base.js';
import { KeyedMutex } from '../../keyed-mutex.js';
import { uuidOf } from './keys.js';

/** How long a replica relies on its last count of claims, plus its own changes since. */
const COUNTED_FOR_MS = MINUTE_MS;
/** Ended claims that a full channel removes at once. */
const CLAIMS_PER_STEP = 500;

const FIND = 'SELECT owner, claimed_at AS "claimedAt", expires_at AS "expiresAt" FROM gateway.claims WHERE key = $1';

interface Counted {
  rows: number;
  readonly at: number;
}

/**
 * Claims. One that has ended stays until it is pruned or claimed again. Claims of one message are made one after the other:
 * within a replica by a mutex, across replicas by the row.
 */
export class PostgresMessageClaims implements MessageClaims {
  readonly #base: Base;
  readonly #most: number;
  readonly #mutex = new KeyedMutex();
  readonly #counts = new Map<string, Counted>();

  /** @param most claims of a channel; several replicas may exceed it by what they add within a minute */
  constructor(base: Base, most = MOST_CLAIMS) {
    this.#base = base;
    this.#most = most;
  }

  async claim(request: ClaimRequest): Promise<MessageClaim & { isRenewal: boolean }> {
    const key = uuidOf(messageKey(request.channel, request.messageId));
    return await this.#mutex.run(key, async () => {
      for (;;) {
        const now = this.#base.now();
        const isClaimed = (await findClaim(this.#base.db, key)) !== null;
        const claim = await (isClaimed ? this.#renewed(request, key, now) : this.#inserted(request, key, now));
        if (claim) return claim;
      }
    });
  }

  async release(request: Pick<ClaimRequest, 'channel' | 'messageId' | 'owner'>): Promise<boolean> {
    const { channel, messageId, owner } = request;
    const key = uuidOf(messageKey(channel, messageId));
    return await this.#mutex.run(key, async () => {
      const now = this.#base.now();
      const removed = await this.#base.db.run(
        'DELETE FROM gateway.claims WHERE key = $1 AND owner = $2 AND expires_at > $3',
        ...[key, owner, now],
      );
      this.#add(channel, -removed);
      if (removed > 0) return true;
      const found = await findClaim(this.#base.db, key);
      if (found && found.expiresAt > now && found.owner !== owner) throw new ClaimedError(messageId, found);
      return false;
    });
  }

  /** Null: another replica has removed the claim since. @throws GatewayError GW_CLAIMED */
  async #renewed(request: ClaimRequest, key: string, now: number) {
    return await this.#base.db.transaction(async (tx: Transaction) => {
      const found = await tx.one<MessageClaim>(`${FIND} FOR UPDATE`, key);
      if (!found) return null;
      const claim = claimOf(request, found, now);
      await tx.commitWith(
        'UPDATE gateway.claims SET owner = $2, claimed_at = $3, expires_at = $4 WHERE key = $1',
        ...[key, claim.owner, claim.claimedAt, claim.expiresAt],
      );
      return claim;
    });
  }

  /** Null: another replica has claimed the message at the same instant. @throws GatewayError GW_TOO_MANY_CLAIMS */
  async #inserted(request: ClaimRequest, key: string, now: number) {
    const { channel } = request;
    await this.#makeRoom(channel, now);
    const claim = claimOf(request, undefined, now);
    const inserted = await this.#base.db.run(
      `INSERT INTO gateway.claims (key, channel, owner, claimed_at, expires_at) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (key) DO NOTHING`,
      ...[key, channel, claim.owner, claim.claimedAt, claim.expiresAt],
    );
    this.#add(channel, inserted);
    return inserted > 0 ? claim : null;
  }

  async #makeRoom(channel: string, now: number): Promise<void> {
    const counted = this.#counts.get(channel);
    if (counted && counted.rows < this.#most && now - counted.at < COUNTED_FOR_MS) return;
    if ((await this.#count(channel, now)) < this.#most) return;
    for (const { channel: each } of await removeEndedClaims(this.#base.db, now, CLAIMS_PER_STEP)) this.#add(each, -1);
    if ((await this.#count(channel, now)) < this.#most) return;
    throw tooManyClaims(channel, this.#most);
  }

  /** Counting a million index entries takes about 100 ms, so not every claim does it. */
  async #count(channel: string, now: number): Promise<number> {
    const row = await this.#base.db.one<{ rows: number }>(
      'SELECT count(*) AS rows FROM gateway.claims WHERE channel = $1',
      channel,
    );
    const rows = row?.rows ?? 0;
    this.#counts.set(channel, { rows, at: now });
    return rows;
  }

  #add(channel: string, rows: number): void {
    const counted = this.#counts.get(channel);
    if (counted) counted.rows += rows;
  }
}

/** The newest claim of a message, over or not. */
export async function findClaim(queries: Queries, key: string): Promise<MessageClaim | null> {
  return (await queries.one<MessageClaim>(FIND, key)) ?? null;
}

/** Removes at most `limit` claims that have ended. Returns their channels. */
export async function removeEndedClaims(queries: Queries, now: number, limit: number): Promise<{ channel: string }[]> {
  return await queries.all<{ channel: string }>(
    `DELETE FROM gateway.claims WHERE key = ANY(ARRAY(
       SELECT key FROM gateway.claims WHERE expires_at <= $1 ORDER BY expires_at LIMIT ${limit} FOR UPDATE SKIP LOCKED))
     RETURNING channel`,
    now,
  );
}

/** Removes some claims of a channel that was removed. Returns whether more may be left. */
export async function removeClaimsOf(tx: Transaction, channel: string, limit: number): Promise<boolean> {
  const removed = await tx.run(
    'DELETE FROM gateway.claims WHERE key = ANY(ARRAY(SELECT key FROM gateway.claims WHERE channel = $1 LIMIT $2))',
    channel,
    limit,
  );
  return removed === limit;
}
