import { GatewayError } from '../../errors.js';
import type { Proof } from '../../model.js';
import { messageKey } from '../rules/keys.js';
import type { Db } from './database.js';
import type { GroupCommit } from './group-commit.js';
import { Registered } from './registered.js';
import type { RegisteredRow } from './registered.js';
import type { SqliteRegistry } from './registry.js';
import { HOUR_MS } from '../../durations.js';
import type { ResyncRequest } from '../resyncs.js';

/** Some ten milliseconds of work: webhooks that come meanwhile hardly wait. */
const IDS_PER_COMMIT = 500;
/** Who joins a registration whose last call was made longer ago than this has the id asked for again. */
const ASK_AGAIN_AFTER_MS = HOUR_MS;

interface Begun {
  readonly id: string;
  readonly number: number | bigint;
  /** It was made before, with the same idempotency key. */
  readonly isRepeated: boolean;
}

/** Registers the ids of a resync (I2), some at a time; until the last of them is there, nobody is told of it or asks. */
export class SqliteRegistrations {
  readonly #db: Db;
  readonly #registry: SqliteRegistry;
  readonly #registered: Registered;
  readonly #commit: GroupCommit;
  readonly #insert;
  readonly #isKnown;
  readonly #provenBy;
  readonly #recent;
  /** The end of the last one with an idempotency key: a second one with the same key waits for the first. */
  #keyed: Promise<unknown> = Promise.resolve();

  constructor(db: Db, registry: SqliteRegistry, commit: GroupCommit) {
    this.#db = db;
    this.#registry = registry;
    this.#commit = commit;
    this.#registered = new Registered(db);
    this.#insert = db.prepare(
      `INSERT INTO resync_messages (resync, position, message_id, key, channel, status, calls, polls, refused, closed, known,
         asked_at, next_at, closes_at, error, restored_at, settled_at, proof)
       VALUES (@resync, @position, @messageId, @key, @channel, @status, 0, 0, 0, 0, @known, @askedAt, @nextAt, @closesAt,
         @error, @restoredAt, @restoredAt, @proof)`,
    );
    this.#isKnown = db
      .prepare<[Buffer], number>('SELECT 1 FROM ledger WHERE key = ? AND first_seen_at IS NOT NULL')
      .pluck();
    this.#recent = db
      .prepare<[Buffer, number], string>(
        `SELECT r.id FROM resync_messages m JOIN resyncs r ON r.number = m.resync
         WHERE m.key = ? AND r.created_at > ? AND r.complete = 1 ORDER BY r.number DESC LIMIT 1`,
      )
      .pluck();
    this.#provenBy = db
      .prepare<[Buffer, number], Proof>(
        `SELECT coalesce(proof, 'webhook') FROM resync_messages
         WHERE key = ? AND closed = 0 AND status = 'restored' AND closes_at > ? LIMIT 1`,
      )
      .pluck();
  }

  /** Returns the public id. @throws GatewayError GW_NOT_FOUND, GW_IDEMPOTENCY_MISMATCH */
  async register(request: ResyncRequest, id: string, now: () => number): Promise<string> {
    if (!request.idempotency) return await this.#inSteps(request, id, now);
    const registered = this.#keyed.then(async () => await this.#inSteps(request, id, now));
    this.#keyed = registered.catch(() => undefined);
    return await registered;
  }

  /**
   * Registers ids that are asked for at once. Gives for each the row that stands for it: one that it joins, else one of a
   * new resync. For use inside a transaction. @throws GatewayError GW_NOT_FOUND
   */
  registerAsked(request: ResyncRequest, newId: string, now: number): RegisteredRow[] {
    this.#registry.mustHaveChannel(request.channel);
    const rows = request.messageIds.map((messageId) => this.#joined(request, messageId, now));
    const others = request.messageIds.filter((_, at) => rows[at] === undefined);
    if (others.length > 0) {
      const { number } = this.#begin(request, newId, now);
      this.#add(number, request, others, 0, now, true);
    }
    return request.messageIds.flatMap(
      (messageId, at) => rows[at] ?? this.#registered.coming(messageKey(request.channel, messageId)) ?? [],
    );
  }

  #joined({ channel, windowSeconds }: ResyncRequest, messageId: string, now: number): RegisteredRow | undefined {
    const key = messageKey(channel, messageId);
    const row = this.#registered.coming(key) ?? this.#registered.restored(key, now);
    if (row) this.#registered.widen(row, windowSeconds);
    return row;
  }

  /**
   * Registers one id unless that was done after `since`; returns the public id of the newest resync of it, and whether a
   * call has become due. For use inside a transaction. @throws GatewayError GW_NOT_FOUND
   */
  registerUnlessRecent(
    request: ResyncRequest,
    newId: string,
    since: number,
    now: number,
  ): { resyncId: string; isDue: boolean } {
    this.#registry.mustHaveChannel(request.channel);
    const key = messageKey(request.channel, request.messageIds[0] ?? '');
    const recent = this.#recent.get(key, since);
    if (recent !== undefined) return { resyncId: recent, isDue: false };
    const open = this.#registered.coming(key);
    if (open) {
      this.#registered.widen(open, request.windowSeconds);
      return { resyncId: open.resyncId, isDue: this.#registered.askAgain(key, since, now) };
    }
    const { number } = this.#begin(request, newId, now);
    this.#add(number, request, request.messageIds, 0, now);
    return { resyncId: newId, isDue: true };
  }

  /** Resyncs whose registration a crash cut off: nobody was told of them, and nothing was asked. */
  dropIncomplete(): void {
    const numbers = this.#db.prepare<[], number>('SELECT number FROM resyncs WHERE complete = 0').pluck().all();
    for (const number of numbers) this.#drop(number);
  }

  async #inSteps(request: ResyncRequest, newId: string, now: () => number): Promise<string> {
    const ids = [...new Set(request.messageIds)];
    const { id, number, isRepeated } = await this.#commit.run(() => {
      const begun = this.#begin(request, newId, now());
      if (!begun.isRepeated) this.#add(begun.number, request, ids, 0, now());
      return begun;
    });
    if (isRepeated) return id;
    try {
      for (let from = IDS_PER_COMMIT; from < ids.length; from += IDS_PER_COMMIT) {
        await this.#commit.run(() => this.#add(number, request, ids, from, now()));
      }
    } catch (error) {
      await this.#commit.run(() => this.#drop(number)).catch(() => undefined); // or at the next start
      throw error;
    }
    return id;
  }

  #begin(request: ResyncRequest, id: string, now: number): Begun {
    this.#registry.mustHaveChannel(request.channel);
    const before = this.#madeWithSameKey(request);
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

  #madeWithSameKey({ idempotency }: ResyncRequest): Begun | null {
    if (!idempotency) return null;
    const row = this.#db
      .prepare<[string], { id: string; number: number; fingerprint: string; complete: number }>(
        'SELECT id, number, fingerprint, complete FROM resyncs WHERE idempotency_key = ?',
      )
      .get(idempotency.key);
    if (row && row.fingerprint !== idempotency.fingerprint) {
      throw new GatewayError(
        'GW_IDEMPOTENCY_MISMATCH',
        'This Idempotency-Key was used with another body. Send that body again, or use a new key.',
      );
    }
    if (row?.complete === 0) this.#drop(row.number); // one that failed half-way, and could not be dropped then
    return row?.complete === 1 ? { id: row.id, number: row.number, isRepeated: true } : null;
  }

  #add(
    resync: number | bigint,
    request: ResyncRequest,
    ids: readonly string[],
    from: number,
    now: number,
    isAsked = false,
  ): void {
    this.#registry.mustHaveChannel(request.channel); // it may be removed between two steps
    const some = ids.slice(from, from + IDS_PER_COMMIT);
    some.forEach((messageId, index) => this.#addOne(resync, request, messageId, from + index, now, isAsked));
    if (from + IDS_PER_COMMIT >= ids.length) {
      this.#db.prepare('UPDATE resyncs SET complete = 1 WHERE number = ?').run(resync);
    }
  }

  #addOne(
    resync: number | bigint,
    { channel, deliverUnseen, windowSeconds }: ResyncRequest,
    messageId: string,
    position: number,
    now: number,
    isAsked: boolean,
  ): void {
    const key = messageKey(channel, messageId);
    const isKnown = this.#isKnown.get(key) !== undefined;
    // Where it is to go to the bots if it is new to them, only its webhook will do; who asks at once wants no proof.
    const proof = isAsked || (deliverUnseen && !isKnown) ? null : (this.#provenBy.get(key, now) ?? null);
    const row = { resync, position, messageId, key, channel, proof, known: Number(isKnown) };
    if (proof) {
      const closesAt = now + windowSeconds * 1000;
      this.#insert.run({
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
    const state = isAsked ? null : this.#joinable(key, windowSeconds, now);
    this.#insert.run({ ...row, ...(state ?? { ...UNASKED, nextAt: now }), restoredAt: null });
  }

  /** The state in which an id that is being brought back is; its window is from now on as long as the longer one. */
  #joinable(key: Buffer, windowSeconds: number, now: number) {
    this.#registered.askAgain(key, now - ASK_AGAIN_AFTER_MS, now);
    const open = this.#registered.coming(key);
    if (!open) return null;
    const { status, askedAt, nextAt, error } = open;
    if (open.closesAt === null || askedAt === null) return { status, askedAt, nextAt, error, closesAt: open.closesAt };
    const closesAt = Math.max(open.closesAt, askedAt + windowSeconds * 1000);
    this.#registered.keepOpenUntil(key, closesAt);
    return { status, askedAt, nextAt, error, closesAt };
  }

  #drop(number: number | bigint): void {
    this.#db.prepare('DELETE FROM resync_messages WHERE resync = ?').run(number);
    this.#db.prepare('DELETE FROM resyncs WHERE number = ?').run(number);
  }
}

const UNASKED = { status: 'queued', askedAt: null, closesAt: null, error: null } as const;
