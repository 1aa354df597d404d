import type { Effects } from '../../effects.js';
import { GatewayError } from '../../errors.js';
import { messageKey } from '../rules/keys.js';
import { ASK_AGAIN_AFTER_MS, checkSameRequest, joinedState, notAskedYet } from '../rules/registrations.js';
import type { OpenRegistration } from '../rules/registrations.js';
import type { ResyncRequest } from '../resyncs.js';
import type { ChannelWork } from './channel-work.js';
import type { Transaction } from './queries.js';
import type { Base } from './base.js';
import { isUniqueViolation } from './faults.js';
import { uuidOf } from './keys.js';
import { OpenRegistrations } from './open-registrations.js';
import { insertMessages, insertResync, knownKeys, keepWindowsOpen, requeue, setWindows } from './registration-rows.js';
import type { NewMessage } from './registration-rows.js';

/** Some ten milliseconds, during which webhooks of the channel wait. */
const IDS_PER_COMMIT = 1000;
/** A registration without a new step for this long is dropped. */
const OWNED_FOR_MS = 60_000;
/** How often a request looks whether an earlier one with its idempotency key is complete. */
const LOOK_AGAIN_MS = 100;

/** Some ids of a request, from a position on. */
interface Step {
  readonly ids: readonly string[];
  readonly from: number;
  readonly isLast: boolean;
}

/** What is known of the ids of a step. */
interface Known {
  /** Keys of messages that a webhook has carried. */
  readonly seen: ReadonlySet<string>;
  readonly open: OpenRegistrations;
}

interface EarlierRow {
  readonly number: number;
  readonly id: string;
  readonly fingerprint: string | null;
  readonly complete: boolean;
  readonly owned_until: number | null;
}

const EARLIER = 'SELECT number, id, fingerprint, complete, owned_until FROM gateway.resyncs WHERE idempotency_key = $1';
const RECENT = `SELECT r.id FROM gateway.resync_messages m JOIN gateway.resyncs r ON r.number = m.resync
  WHERE m.key = $1 AND r.created_at > $2 AND r.complete ORDER BY r.number DESC LIMIT 1`;

/**
 * Registers the ids of a resync (I2) in steps. Until the last step the resync is not listed and no call is due. The replica
 * that registers it renews its ownership with each step; if it stops, any other one drops the resync. (One transaction for
 * ten thousand ids takes half a second, during which webhooks of the channel would wait.)
 */
export class Registrations {
  readonly #channels: ChannelWork;
  readonly #now: Effects['now'];
  readonly #sleep: Effects['sleep'];

  constructor(channels: ChannelWork, { now, effects }: Base) {
    this.#channels = channels;
    this.#now = now;
    this.#sleep = effects.sleep;
  }

  /** Returns the public id. @throws GatewayError GW_NOT_FOUND, GW_IDEMPOTENCY_MISMATCH */
  async register(request: ResyncRequest, newId: string): Promise<string> {
    const [first, ...others] = stepsOf([...new Set(request.messageIds)]);
    const id = await this.#start(request, newId, first);
    if (id !== newId) return id;
    try {
      for (const step of others)
        await this.#channels.run(request.channel, async (tx) => await this.#add(tx, request, id, step));
    } catch (error) {
      await this.#drop(request.channel, id).catch(() => undefined); // else it is dropped once `owned_until` has passed
      throw error;
    }
    return id;
  }

  /** Commits the first step. Returns the id, or that of an earlier request with the same idempotency key once that is complete. */
  async #start(request: ResyncRequest, newId: string, first: Step): Promise<string> {
    for (;;) {
      const id = await this.#channels
        .run(request.channel, async (tx) => await this.#startUnlessRepeated(tx, request, newId, first))
        .catch((error: unknown) => {
          // Two requests with one key, for different channels, at the same instant: the next attempt finds the other.
          if (request.idempotency && isUniqueViolation(error)) return null;
          throw error;
        });
      if (id !== null) return id;
      await this.#sleep(LOOK_AGAIN_MS);
    }
  }

  /** Null: another replica is still registering an earlier request with this idempotency key. */
  async #startUnlessRepeated(
    tx: Transaction,
    request: ResyncRequest,
    newId: string,
    step: Step,
  ): Promise<string | null> {
    const [state, earlier, known] = await Promise.all([
      this.#channels.begin(tx, request.channel),
      request.idempotency ? tx.one<EarlierRow>(EARLIER, request.idempotency.key) : undefined,
      knownOf(tx, request.channel, step.ids),
    ]);
    state.requireChannel(request.channel);
    const now = this.#now();
    if (earlier) {
      checkSameRequest(earlier, request.idempotency);
      if (earlier.complete) return earlier.id;
      if ((earlier.owned_until ?? 0) > now) return null;
      await dropIncomplete(tx, earlier.id, now);
    }
    await Promise.all([
      insertResync(tx, request, newId, now, step.isLast ? null : now + OWNED_FOR_MS),
      writeStep(tx, request, newId, step, known, now),
    ]);
    return newId;
  }

  async #add(tx: Transaction, request: ResyncRequest, id: string, step: Step): Promise<void> {
    const [state, known] = await Promise.all([
      this.#channels.begin(tx, request.channel),
      knownOf(tx, request.channel, step.ids),
    ]);
    state.requireChannel(request.channel); // it may have been removed between two steps
    const now = this.#now();
    const [isOurs] = await Promise.all([
      tx.run(
        'UPDATE gateway.resyncs SET complete = $2, owned_until = $3 WHERE id = $1 AND NOT complete',
        ...[id, step.isLast, step.isLast ? null : now + OWNED_FOR_MS],
      ),
      writeStep(tx, request, id, step, known, now),
    ]);
    if (isOurs === 0) throw interrupted();
  }

  /**
   * Registers ids whose call is made at once, in a transaction that has the channel's lock. Returns the registration of each
   * id: the one that it joins, or one of a new resync.
   */
  async registerAsked(
    tx: Transaction,
    request: ResyncRequest,
    newId: string,
    known: Known,
    now: number,
  ): Promise<readonly OpenRegistration[]> {
    const { channel, messageIds, windowSeconds } = request;
    const joined = messageIds.map((id) => {
      const key = messageKey(channel, id);
      return known.open.inProgress(key) ?? known.open.restored(key, now);
    });
    const ids = messageIds.filter((_, at) => joined[at] === undefined);
    const created = ids.map((_, position): OpenRegistration => {
      return { ...notAskedYet(now), resync: 0, resyncId: newId, position, calls: 0, windowSeconds, registeredAt: now };
    });
    const isNew = ids.length > 0;
    await Promise.all([
      setWindows(
        tx,
        joined.filter((row) => row !== undefined),
        windowSeconds,
      ),
      isNew && insertResync(tx, request, newId, now, null),
      isNew && writeStep(tx, request, newId, { ids, from: 0, isLast: true }, known, now, true),
    ]);
    return joined.map((row) => row ?? created.shift()).filter((row) => row !== undefined);
  }

  /** See `Resyncs.registerUnlessRecent`. @throws GatewayError GW_NOT_FOUND */
  async registerUnlessRecent(
    request: ResyncRequest,
    newId: string,
    withinMs: number,
  ): Promise<{ resyncId: string; isDue: boolean }> {
    const { channel, messageIds, windowSeconds } = request;
    const key = messageKey(channel, messageIds[0] ?? '');
    const since = this.#now() - withinMs;
    return await this.#channels.run(channel, async (tx) => {
      const [state, recent, known] = await Promise.all([
        this.#channels.begin(tx, channel),
        tx.one<{ id: string }>(RECENT, uuidOf(key), since),
        knownOf(tx, channel, messageIds),
      ]);
      state.requireChannel(channel);
      if (recent) return { resyncId: recent.id, isDue: false };
      const now = this.#now();
      const open = known.open.inProgress(key);
      if (open) {
        const [requeued] = await Promise.all([
          requeue(tx, [uuidOf(key)], since, now),
          setWindows(tx, [open], windowSeconds),
        ]);
        return { resyncId: open.resyncId, isDue: requeued > 0 };
      }
      await Promise.all([
        insertResync(tx, request, newId, now, null),
        writeStep(tx, request, newId, { ids: messageIds, from: 0, isLast: true }, known, now),
      ]);
      return { resyncId: newId, isDue: true };
    });
  }

  async #drop(channel: string, id: string): Promise<void> {
    await this.#channels.run(channel, async (tx) => {
      await Promise.all([tx.lockChannels([channel]), dropIncomplete(tx, id, null)]);
    });
  }
}

/**
 * Deletes a resync whose registration was not completed: no client has its id, and no call was made.
 * @param before only if its ownership ended by then; null: in any case
 */
export async function dropIncomplete(tx: Transaction, id: string, before: number | null): Promise<void> {
  await tx.run(
    `WITH dropped AS (DELETE FROM gateway.resyncs WHERE id = $1 AND NOT complete AND ($2::bigint IS NULL OR owned_until <= $2)
       RETURNING number)
     DELETE FROM gateway.resync_messages WHERE resync IN (SELECT number FROM dropped)`,
    id,
    before,
  );
}

/** What is known of these ids. For use in a transaction, behind the channel's lock. */
export async function knownOf(tx: Transaction, channel: string, ids: readonly string[]): Promise<Known> {
  const keys = ids.map((id) => uuidOf(messageKey(channel, id)));
  const [seen, open] = await Promise.all([knownKeys(tx, keys), OpenRegistrations.of(keys, tx)]);
  return { seen, open };
}

/** Writes the registrations of a step, and what they change of those that they join. */
async function writeStep(
  tx: Transaction,
  request: ResyncRequest,
  resyncId: string,
  { ids, from }: Step,
  { seen, open }: Known,
  now: number,
  isAsked = false,
): Promise<void> {
  const { channel, deliverUnseen, windowSeconds } = request;
  const again: string[] = [];
  const longer: { key: string; closesAt: number }[] = [];
  const rows = ids.map((messageId, at): NewMessage => {
    const key = messageKey(channel, messageId);
    const uuid = uuidOf(key);
    const row = { position: from + at, messageId, key: uuid, isKnown: seen.has(uuid) };
    // With `deliver_unseen` an unknown message needs its webhook; a call that is made at once needs no proof.
    const proof = isAsked || (deliverUnseen && !row.isKnown) ? null : open.proof(key, now);
    if (proof) return { ...row, ...restoredState(now, windowSeconds), proof, restoredAt: now };
    const joined = isAsked ? undefined : open.inProgress(key);
    if (!joined) return { ...row, ...notAskedYet(now), proof: null, restoredAt: null };
    const isOld = joined.status === 'waiting' && (joined.askedAt ?? now) <= now - ASK_AGAIN_AFTER_MS;
    if (isOld) again.push(uuid);
    const state = joinedState(
      isOld ? { ...joined, status: 'queued', nextAt: now, closesAt: null } : joined,
      windowSeconds,
    );
    if (state.closesAt !== null) longer.push({ key: uuid, closesAt: state.closesAt });
    return { ...row, ...state, proof: null, restoredAt: null };
  });
  await Promise.all([
    again.length > 0 && requeue(tx, again, now - ASK_AGAIN_AFTER_MS, now),
    longer.length > 0 && keepWindowsOpen(tx, longer),
    insertMessages(tx, resyncId, channel, rows),
  ]);
}

function restoredState(now: number, windowSeconds: number) {
  return {
    status: 'restored',
    askedAt: null,
    nextAt: null,
    closesAt: now + windowSeconds * 1000,
    error: null,
  } as const;
}

function stepsOf(ids: readonly string[]): [Step, ...Step[]] {
  const step = (from: number): Step => {
    const end = from + IDS_PER_COMMIT;
    return { ids: ids.slice(from, end), from, isLast: end >= ids.length };
  };
  const others = Array.from({ length: Math.ceil(ids.length / IDS_PER_COMMIT) - 1 }, (_, at) =>
    step((at + 1) * IDS_PER_COMMIT),
  );
  return [step(0), ...others];
}

function interrupted(): GatewayError {
  return new GatewayError(
    'GW_STORE_UNAVAILABLE',
    'The registration made no progress for more than a minute, so another replica dropped it. Whapi was not asked; try again.',
  );
}
