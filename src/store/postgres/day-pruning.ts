import { GatewayError } from '../../errors.js';
import type { Base } from './base.js';
import type { Database } from './database.js';
import type { Transaction } from './queries.js';
import { isLockTimeout } from './faults.js';
import { IdMarks } from './id-marks.js';
import type { Cursor, Limits, SweepStep } from './sweep-step.js';
import { dayEnd, firstIdOf } from './numbers.js';

/** Webhooks that one step checks. It locks the channels of those that it deletes. */
const WEBHOOKS_PER_STEP = 500;
const DELIVERIES_PER_STEP = 1000;
/** How long dropping a day waits for a lock, because readers queue behind it. A day in use is dropped by a later sweep. */
const DROP_WAIT = '300ms';

/** The tables with partitions, each with one for each day. */
const PARTITIONED = ['webhooks', 'sightings', 'evidence', 'history'];

const DAYS = `SELECT substring(c.relname FROM '_([0-9]+)$')::int AS day FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = 'gateway.webhooks'::regclass ORDER BY day`;

/** Whether anything that is pending, or was settled within the retention (`$3`), refers to a webhook or delivery of a day. */
const PENDING = `EXISTS (SELECT FROM gateway.queue WHERE webhook_id >= $1 AND webhook_id < $2)
  OR EXISTS (SELECT FROM gateway.queue WHERE id >= $1 AND id < $2)`;
const IS_NEEDED = `SELECT ${PENDING}
  OR EXISTS (SELECT FROM gateway.history WHERE id >= $1 AND id < $2 AND settled_at >= $3)
  OR EXISTS (SELECT FROM gateway.history WHERE webhook_id >= $1 AND webhook_id < $2 AND settled_at >= $3)
  OR EXISTS (SELECT FROM gateway.history h JOIN gateway.webhooks w ON w.id = h.webhook_id
    WHERE h.id >= $1 AND h.id < $2 AND (h.webhook_id < $1 OR h.webhook_id >= $2)) AS needed`;

/** Settled deliveries of other days whose webhook goes: a retry would have nothing to send. */
const DELETE_OTHER_DELIVERIES = `DELETE FROM gateway.history WHERE id = ANY(ARRAY(
  SELECT id FROM gateway.history WHERE webhook_id >= $1 AND webhook_id < $2 AND (id < $1 OR id >= $2) LIMIT ${DELIVERIES_PER_STEP}))`;

const IS_OLD = `NOT EXISTS (SELECT FROM gateway.queue q WHERE q.webhook_id = w.id)
    AND NOT EXISTS (SELECT FROM gateway.history h WHERE h.webhook_id = w.id AND h.settled_at >= $3)`;

const NEXT_WEBHOOKS = `SELECT w.id, w.channel, ${IS_OLD} AS is_old
  FROM (SELECT id, channel FROM gateway.webhooks WHERE id > $1 AND id < $2 ORDER BY id LIMIT ${WEBHOOKS_PER_STEP}) w ORDER BY w.id`;

/** Of these webhooks, those whose deliveries were all settled before the retention (I4), with all that belongs to them. */
const DELETE_OLD = `WITH old AS MATERIALIZED (
    SELECT w.id FROM gateway.webhooks w WHERE w.id = ANY($1::bigint[]) AND w.id >= $2 AND ${IS_OLD}
  ), deliveries AS (DELETE FROM gateway.history h USING old o WHERE h.webhook_id = o.id
  ), sightings AS (DELETE FROM gateway.sightings s USING old o WHERE s.webhook_id = o.id
  ), evidence AS (DELETE FROM gateway.evidence e USING old o WHERE e.webhook_id = o.id)
  DELETE FROM gateway.webhooks w USING old o WHERE w.id = o.id`;

interface WebhookRow {
  readonly id: number;
  readonly channel: string;
  readonly is_old: boolean;
}

/** The webhooks of a day that have outlived the retention, by their ids. */
interface OldDay {
  readonly day: number;
  /** The ids of the day. */
  readonly from: number;
  readonly end: number;
  /** Ids below are old; null: the whole day is over for as long as payloads are kept. */
  readonly oldBelow: number | null;
}

/**
 * Removes payloads and verdicts that have outlived the retention, if their deliveries were settled before it too (I4): a day
 * at a time, by dropping its partitions. A day with deliveries that are pending or were settled later stays, and the rest of
 * it is deleted row by row.
 */
export class DayPruning {
  readonly #db: Database;
  readonly #marks: IdMarks;

  constructor({ db }: Pick<Base, 'db'>) {
    this.#db = db;
    this.#marks = new IdMarks(db);
  }

  /** The cursor: the day, and while rows are deleted one by one the id of the last webhook that was checked. */
  readonly step: SweepStep = async (cursor, limits) => {
    const days = (await this.#db.all<{ day: number }>(DAYS)).map(({ day }) => day);
    if (cursor === null) await this.#marks.set(days, limits.now);
    const [day = -Infinity, id = null] = (cursor ?? []) as readonly number[];
    if (id !== null) return await this.#deleteSome(day, id, limits);
    for (const next of days.filter((each) => each > day)) {
      const old = await this.#oldDay(next, limits);
      if (old) return await this.#prune(old, limits);
    }
    return null;
  };

  /** Null: nothing of the day is old. */
  async #oldDay(day: number, { payload }: Limits): Promise<OldDay | null> {
    const ids = { day, from: firstIdOf(day), end: firstIdOf(day + 1) };
    if (payload >= dayEnd(day)) return { ...ids, oldBelow: null };
    const oldBelow = await this.#marks.oldBelow(day, payload);
    return oldBelow === null ? null : { ...ids, oldBelow };
  }

  async #prune(old: OldDay, limits: Limits): Promise<Cursor> {
    const { day, from, end, oldBelow } = old;
    if (oldBelow !== null) return [day, from - 1];
    const row = await this.#db.one<{ needed: boolean }>(IS_NEEDED, from, end, limits.payload);
    if (row?.needed !== false) return [day, from - 1];
    const deleted = await this.#db.run(DELETE_OTHER_DELIVERIES, from, end);
    if (deleted === DELIVERIES_PER_STEP) return [day - 1];
    await this.#drop(old);
    return [day];
  }

  /** Checks once more that nothing is pending, under a lock that keeps others from recording, retrying and releasing. */
  async #drop({ day, from, end }: OldDay): Promise<void> {
    try {
      await this.#db.transaction(async (tx) => {
        await tx.lockRegistry();
        const row = await tx.one<{ pending: boolean }>(`SELECT ${PENDING} AS pending`, from, end);
        if (row?.pending !== false) return;
        await tx.run(DELETE_OTHER_DELIVERIES, from, end);
        await dropPartitions(tx, day);
      });
      await this.#marks.forget(day);
    } catch (error) {
      if (!(error instanceof GatewayError) || !isLockTimeout(error.cause)) throw error;
    }
  }

  async #deleteSome(day: number, after: number, limits: Limits): Promise<Cursor> {
    const old = await this.#oldDay(day, limits);
    if (!old) return [day];
    const rows = await this.#db.all<WebhookRow>(NEXT_WEBHOOKS, after, old.oldBelow ?? old.end, limits.payload);
    const gone = rows.filter((row) => row.is_old);
    if (gone.length > 0) await this.#deleteThose(gone, old, limits);
    const last = rows.length === WEBHOOKS_PER_STEP ? rows.at(-1) : undefined;
    if (last) return [day, last.id];
    await this.#forgetMarkOf(old);
    return [day];
  }

  async #deleteThose(rows: readonly WebhookRow[], { from }: OldDay, { payload }: Limits): Promise<void> {
    await this.#db.transaction(async (tx) => {
      await tx.lockChannels(rows.map(({ channel }) => channel));
      await tx.run(
        DELETE_OLD,
        rows.map(({ id }) => id),
        from,
        payload,
      );
    });
  }

  /** Forgets the mark of a day once no webhook needs it. */
  async #forgetMarkOf({ day, from, oldBelow }: OldDay): Promise<void> {
    if (oldBelow === null) return;
    const left = await this.#db.one(
      'SELECT id FROM gateway.webhooks WHERE id >= $1 AND id < $2 LIMIT 1',
      from,
      oldBelow,
    );
    if (!left) await this.#marks.forget(day);
  }
}

async function dropPartitions(tx: Transaction, day: number): Promise<void> {
  await tx.run(`SET LOCAL lock_timeout = '${DROP_WAIT}'`);
  await tx.run(`DROP TABLE IF EXISTS ${PARTITIONED.map((table) => `gateway.${table}_${day}`).join(', ')}`);
}
