import type { Effects } from '../../effects.js';
import type { Proof } from '../../model.js';
import { messageKey } from '../rules/keys.js';
import { ASK_AGAIN_AFTER_MS, checkSameRequest, joinedState, notAskedYet } from '../rules/registrations.js';
import type { OpenRegistration, RegisteredState } from '../rules/registrations.js';
import type { Db } from './database.js';
import type { GroupCommit } from './group-commit.js';
import { OpenRegistrations } from './open-registrations.js';
import type { RegistryTables } from './registry-tables.js';
import type { RememberedIds } from './remembered-ids.js';
import type { ResyncRequest } from '../resyncs.js';

/** About ten milliseconds of work: webhooks that come meanwhile hardly wait. */
const IDS_PER_COMMIT = 500;

interface StartedResync {
  readonly id: string;
  readonly number: number | bigint;
  /** An earlier request with the same idempotency key made it. */
  readonly isRepeated: boolean;
}

/** Registers the ids of a resync (I2) in steps. Until the last step the resync is not listed and no call is due. */
export class Registrations {
  readonly #db: Db;
  readonly #registry: RegistryTables;
  readonly #open: OpenRegistrations;
  readonly #commit: GroupCommit;
  readonly #now: Effects['now'];
  readonly #insertMessage;
  readonly #ids: RememberedIds;
  readonly #proofOfRestored;
  readonly #recentResync;
  /** Settles after the last registration with an idempotency key: a second one with the same key waits for the first. */
  #lastKeyed: Promise<unknown> = Promise.resolve();

  constructor(db: Db, registry: RegistryTables, ids: RememberedIds, commit: GroupCommit, now: Effects['now']) {
    this.#db = db;
    this.#registry = registry;
    this.#ids = ids;
    this.#commit = commit;
    this.#now = now;
    this.#open = new OpenRegistrations(db);
    this.#insertMessage = db.prepare(
      `INSERT INTO resync_messages (resync, position, message_id, key, channel, status, calls, polls, refused, closed, known,
         asked_at, next_at, closes_at, error, restored_at, settled_at, proof)
       VALUES (@resync, @position, @messageId, @key, @channel, @status, 0, 0, 0, 0, @known, @askedAt, @nextAt, @closesAt,
         @error, @restoredAt, @restoredAt, @proof)`,
    );
    this.#recentResync = db
      .prepare<[Buffer, number], string>(
        `SELECT r.id FROM resync_messages m JOIN resyncs r ON r.number = m.resync
         WHERE m.key = ? AND r.created_at > ? AND r.complete = 1 ORDER BY r.number DESC LIMIT 1`,
      )
      .pluck();
    this.#proofOfRestored = db
      .prepare<[Buffer, number], Proof>(
        `SELECT coalesce(proof, 'webhook') FROM resync_messages
         WHERE key = ? AND closed = 0 AND status = 'restored' AND closes_at > ? LIMIT 1`,
      )
      .pluck();
  }

  /** Returns the public id. @throws GatewayError GW_NOT_FOUND, GW_IDEMPOTENCY_MISMATCH */
  async register(request: ResyncRequest, id: string): Promise<string> {
    if (!request.idempotency) return await this.#registerInSteps(request, id);
    const registered = this.#lastKeyed.then(async () => await this.#registerInSteps(request, id));
    this.#lastKeyed = registered.catch(() => undefined);
    return await registered;
  }

  /**
   * Registers ids whose call is made at once. Returns the registration of each id: the one that it joins, or one of a new
   * resync. For use inside a transaction. @throws GatewayError GW_NOT_FOUND
   */
  registerAsked(request: ResyncRequest, newId: string, now: number): OpenRegistration[] {
    this.#registry.requireChannel(request.channel);
    const rows = request.messageIds.map((messageId) => this.#joinExisting(request, messageId, now));
    const others = request.messageIds.filter((_, at) => rows[at] === undefined);
    if (others.length > 0) {
      const { number } = this.#start(request, newId, now);
      this.#addIds(number, request, others, 0, now, true);
    }
    return request.messageIds.flatMap(
      (messageId, at) => rows[at] ?? this.#open.inProgress(messageKey(request.channel, messageId)) ?? [],
    );
  }

  #joinExisting(
    { channel, windowSeconds }: ResyncRequest,
    messageId: string,
    now: number,
  ): OpenRegistration | undefined {
    const key = messageKey(channel, messageId);
    const row = this.#open.inProgress(key) ?? this.#open.restored(key, now);
    if (!row) return undefined;
    this.#open.extendWindow(row, windowSeconds);
    return { ...row, windowSeconds: Math.max(row.windowSeconds, windowSeconds) };
  }

  /**
   * Registers one id unless a resync of it was made after `since`. Returns the id of that resync or of the new one, and
   * whether a call became due. For use inside a transaction. @throws GatewayError GW_NOT_FOUND
   */
  registerUnlessRecent(
    request: ResyncRequest,
    newId: string,
    since: number,
    now: number,
  ): { resyncId: string; isDue: boolean } {
    this.#registry.requireChannel(request.channel);
    const key = messageKey(request.channel, request.messageIds[0] ?? '');
    const recent = this.#recentResync.get(key, since);
    if (recent !== undefined) return { resyncId: recent, isDue: false };
    const open = this.#open.inProgress(key);
    if (open) {
      this.#open.extendWindow(open, request.windowSeconds);
      return { resyncId: open.resyncId, isDue: this.#open.requeueIfAskedBefore(key, since, now) };
    }
    const { number } = this.#start(request, newId, now);
    this.#addIds(number, request, request.messageIds, 0, now);
    return { resyncId: newId, isDue: true };
  }

  /** Deletes resyncs whose registration a crash interrupted: no client has their id and no call was made. */
  dropIncomplete(): void {
    const numbers = this.#db.prepare<[], number>('SELECT number FROM resyncs WHERE complete = 0').pluck().all();
    for (const number of numbers) this.#delete(number);
  }

  async #registerInSteps(request: ResyncRequest, newId: string): Promise<string> {
    const ids = [...new Set(request.messageIds)];
    const { id, number, isRepeated } = await this.#commit.run(() => {
      const started = this.#start(request, newId, this.#now());
      if (!started.isRepeated) this.#addIds(started.number, request, ids, 0, this.#now());
      return started;
    });
    if (isRepeated) return id;
    try {
      for (let from = IDS_PER_COMMIT; from < ids.length; from += IDS_PER_COMMIT) {
        await this.#commit.run(() => this.#addIds(number, request, ids, from, this.#now()));
      }
    } catch (error) {
      await this.#commit.run(() => this.#delete(number)).catch(() => undefined); // else `dropIncomplete` does it at the next start
      throw error;
    }
    return id;
  }

  #start(request: ResyncRequest, id: string, now: number): StartedResync {
    this.#registry.requireChannel(request.channel);
    const before = this.#findByIdempotencyKey(request);
    if (before) return before;
    const { lastInsertRowid } = this.#db
      .prepare(
        `INSERT INTO resyncs (id, channel, deliver_unseen, window_seconds, idempotency_key, fingerprint, created_at, complete)
         VALUES (?, ?, ?, ?, ?, ?, ?, 0)`,
      )
      .run(
        id,
        request.channel,
        request.deliverUnseen ? 1 : 0,
        request.windowSeconds,
        request.idempotency?.key ?? null,
        request.idempotency?.fingerprint ?? null,
        now,
      );
    return { id, number: lastInsertRowid, isRepeated: false };
  }

  #findByIdempotencyKey({ idempotency }: ResyncRequest): StartedResync | null {
    if (!idempotency) return null;
    const row = this.#db
      .prepare<[string], { id: string; number: number; fingerprint: string; complete: number }>(
        'SELECT id, number, fingerprint, complete FROM resyncs WHERE idempotency_key = ?',
      )
      .get(idempotency.key);
    if (row) checkSameRequest(row, idempotency);
    if (row?.complete === 0) this.#delete(row.number); // its registration failed, and so did deleting it
    return row?.complete === 1 ? { id: row.id, number: row.number, isRepeated: true } : null;
  }

  #addIds(
    resync: number | bigint,
    request: ResyncRequest,
    ids: readonly string[],
    from: number,
    now: number,
    isAsked = false,
  ): void {
    this.#registry.requireChannel(request.channel); // it may have been removed between two steps
    const slice = ids.slice(from, from + IDS_PER_COMMIT);
    slice.forEach((messageId, index) => this.#addId(resync, request, messageId, from + index, now, isAsked));
    if (from + IDS_PER_COMMIT >= ids.length) {
      this.#db.prepare('UPDATE resyncs SET complete = 1 WHERE number = ?').run(resync);
    }
  }

  #addId(
    resync: number | bigint,
    { channel, deliverUnseen, windowSeconds }: ResyncRequest,
    messageId: string,
    position: number,
    now: number,
    isAsked: boolean,
  ): void {
    const key = messageKey(channel, messageId);
    const isKnown = this.#ids.wasSeen(key);
    // With `deliver_unseen` an unknown message needs its webhook; a call that is made at once needs no proof.
    const proof = isAsked || (deliverUnseen && !isKnown) ? null : (this.#proofOfRestored.get(key, now) ?? null);
    const row = { resync, position, messageId, key, channel, proof, known: Number(isKnown) };
    if (proof) {
      const closesAt = now + windowSeconds * 1000;
      this.#insertMessage.run({
        ...row,
        status: 'restored',
        askedAt: null,
        nextAt: null,
        closesAt,
        restoredAt: now,
        error: null,
      });
      return;
    }
    const state = isAsked ? null : this.#joinInProgress(key, windowSeconds, now);
    this.#insertMessage.run({ ...row, ...(state ?? notAskedYet(now)), restoredAt: null });
  }

  /** The state of the registration that this id joins; its window becomes the longer of both. Null: none is in progress. */
  #joinInProgress(key: Buffer, windowSeconds: number, now: number): RegisteredState | null {
    this.#open.requeueIfAskedBefore(key, now - ASK_AGAIN_AFTER_MS, now);
    const open = this.#open.inProgress(key);
    if (!open) return null;
    const joined = joinedState(open, windowSeconds);
    if (joined.closesAt !== null) this.#open.keepOpenUntil(key, joined.closesAt);
    return joined;
  }

  #delete(number: number | bigint): void {
    this.#db.prepare('DELETE FROM resync_messages WHERE resync = ?').run(number);
    this.#db.prepare('DELETE FROM resyncs WHERE number = ?').run(number);
  }
}
