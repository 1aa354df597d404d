import type { Effects } from '../../effects.js';
import { ClaimedError } from '../../errors.js';
import type { ClaimRequest, MessageClaim, MessageClaims } from '../message-claims.js';
import { messageKey } from '../rules/keys.js';
import { claimOf, MOST_CLAIMS, tooManyClaims } from '../rules/message-claims.js';
import type { Db } from './database.js';
import type { GroupCommit } from './group-commit.js';
import { ROWS_PER_STEP } from './sweep-step.js';

/**
 * The rows of claims. A claim that has ended stays until it is pruned or claimed again. Like the windows of resyncs, claims
 * are not shifted when the clock is set back: they last longer by that, which does less harm than a second answer. Methods
 * that write are for use inside a transaction.
 */
export class MessageClaimTables {
  readonly #most: number;
  readonly #find;
  readonly #insert;
  readonly #replace;
  readonly #remove;
  readonly #removeEnded;
  readonly #removeSomeOf;
  readonly #count;
  readonly #addToCount;
  readonly #forgetCount;

  constructor(db: Db, most = MOST_CLAIMS) {
    this.#most = most;
    this.#find = db.prepare<[Buffer], MessageClaim>(
      'SELECT owner, claimed_at AS claimedAt, expires_at AS expiresAt FROM claims WHERE key = ?',
    );
    this.#insert = db.prepare<[Buffer, string, string, number, number]>(
      'INSERT INTO claims (key, channel, owner, claimed_at, expires_at) VALUES (?, ?, ?, ?, ?)',
    );
    this.#replace = db.prepare<[string, number, number, Buffer]>(
      'UPDATE claims SET owner = ?, claimed_at = ?, expires_at = ? WHERE key = ?',
    );
    this.#remove = db.prepare<[Buffer]>('DELETE FROM claims WHERE key = ?');
    this.#removeEnded = db
      .prepare<[number], string>(
        `DELETE FROM claims WHERE key IN (
           SELECT key FROM claims WHERE expires_at <= ? ORDER BY expires_at LIMIT ${ROWS_PER_STEP}) RETURNING channel`,
      )
      .pluck();
    this.#removeSomeOf = db.prepare<[string]>(
      `DELETE FROM claims WHERE key IN (SELECT key FROM claims WHERE channel = ? LIMIT ${ROWS_PER_STEP})`,
    );
    this.#count = db.prepare<[string], number>('SELECT rows FROM claim_counts WHERE channel = ?').pluck();
    this.#addToCount = db.prepare<[string, number]>(
      `INSERT INTO claim_counts (channel, rows) VALUES (?, ?)
       ON CONFLICT (channel) DO UPDATE SET rows = rows + excluded.rows`,
    );
    this.#forgetCount = db.prepare<[string]>('DELETE FROM claim_counts WHERE channel = ?');
  }

  /** The newest claim, over or not; null: there is none, or it was pruned. */
  find(key: Buffer): MessageClaim | null {
    return this.#find.get(key) ?? null;
  }

  /** @throws GatewayError GW_CLAIMED, GW_TOO_MANY_CLAIMS */
  claim(request: ClaimRequest, now: number): MessageClaim & { isRenewal: boolean } {
    const { channel, messageId, owner } = request;
    const key = messageKey(channel, messageId);
    const found = this.#find.get(key);
    const claim = claimOf(request, found, now);
    if (found) {
      this.#replace.run(owner, claim.claimedAt, claim.expiresAt, key);
    } else {
      this.#makeRoom(channel, now);
      this.#insert.run(key, channel, owner, claim.claimedAt, claim.expiresAt);
      this.#addToCount.run(channel, 1);
    }
    return claim;
  }

  /** @throws GatewayError GW_CLAIMED */
  release({ channel, messageId, owner }: Pick<ClaimRequest, 'channel' | 'messageId' | 'owner'>, now: number): boolean {
    const key = messageKey(channel, messageId);
    const found = this.#find.get(key);
    if (!found || found.expiresAt <= now) return false;
    if (found.owner !== owner) throw new ClaimedError(messageId, found);
    this.#remove.run(key);
    this.#addToCount.run(channel, -1);
    return true;
  }

  /** Removes some claims that have ended. Returns whether there may be more. */
  prune(now: number): boolean {
    const channels = this.#removeEnded.all(now);
    for (const channel of channels) this.#addToCount.run(channel, -1);
    return channels.length === ROWS_PER_STEP;
  }

  /** Removes some claims of a removed channel. Returns whether there may be more. */
  removeSomeOf(channel: string): boolean {
    const { changes } = this.#removeSomeOf.run(channel);
    const isMore = changes === ROWS_PER_STEP;
    if (isMore) this.#addToCount.run(channel, -changes);
    else this.#forgetCount.run(channel);
    return isMore;
  }

  /** @throws GatewayError GW_TOO_MANY_CLAIMS */
  #makeRoom(channel: string, now: number): void {
    if (this.#countOf(channel) < this.#most) return;
    this.prune(now);
    if (this.#countOf(channel) < this.#most) return;
    throw tooManyClaims(channel, this.#most);
  }

  #countOf(channel: string): number {
    return this.#count.get(channel) ?? 0;
  }
}

export class SqliteMessageClaims implements MessageClaims {
  readonly #commit: GroupCommit;
  readonly #tables: MessageClaimTables;
  readonly #now: Effects['now'];

  constructor(commit: GroupCommit, tables: MessageClaimTables, now: Effects['now']) {
    this.#commit = commit;
    this.#tables = tables;
    this.#now = now;
  }

  async claim(request: ClaimRequest): Promise<MessageClaim & { isRenewal: boolean }> {
    return await this.#commit.run(() => this.#tables.claim(request, this.#now()));
  }

  async release(request: Pick<ClaimRequest, 'channel' | 'messageId' | 'owner'>): Promise<boolean> {
    return await this.#commit.run(() => this.#tables.release(request, this.#now()));
  }
}
