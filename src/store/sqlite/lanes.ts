import { KEY_BYTES } from '../rules/keys.js';
import type { Db } from './database.js';

/**
 * I6, order per chat, in one place. A delivery stands in one lane for each chat that its body concerns; only what is
 * first in all of its lanes may be claimed. `deliveries.blocked` counts the lanes in which it is not, so that a claim is
 * one look into an index however long the lanes are. (Asking at claim time for what has no earlier unsettled delivery
 * takes time in proportion to the backlog.)
 */
export class Lanes {
  readonly #isTaken;
  readonly #join;
  readonly #leave;
  readonly #first;
  readonly #unblock;
  readonly #clear;

  constructor(db: Db) {
    this.#isTaken = db.prepare<[number, Buffer]>('SELECT 1 FROM lanes WHERE target = ? AND chat = ? LIMIT 1').pluck();
    this.#join = db.prepare<[number, Buffer, number, number]>(
      'INSERT INTO lanes (target, chat, seq, delivery_id) VALUES (?, ?, ?, ?)',
    );
    this.#leave = db.prepare<[number, Buffer, number]>('DELETE FROM lanes WHERE target = ? AND chat = ? AND seq = ?');
    this.#first = db
      .prepare<[number, Buffer], number>(
        'SELECT delivery_id FROM lanes WHERE target = ? AND chat = ? ORDER BY seq LIMIT 1',
      )
      .pluck();
    this.#unblock = db.prepare<[number]>('UPDATE deliveries SET blocked = blocked - 1 WHERE id = ?');
    this.#clear = db.prepare<[number]>('DELETE FROM lanes WHERE target = ?');
  }

  /** Puts a delivery at the end of its lanes; `seq` must be greater than all before. Returns in how many it has to wait. */
  join(target: number, chats: Buffer, seq: number, deliveryId: number): number {
    let blocked = 0;
    for (const chat of each(chats)) {
      if (this.#isTaken.get(target, chat) !== undefined) blocked += 1;
      this.#join.run(target, chat, seq, deliveryId);
    }
    return blocked;
  }

  /** Takes a settled delivery, which was first in all of its lanes, out of them: the next of each moves up. */
  leave(target: number, chats: Buffer, seq: number): void {
    for (const chat of each(chats)) {
      this.#leave.run(target, chat, seq);
      const next = this.#first.get(target, chat);
      if (next !== undefined) this.#unblock.run(next);
    }
  }

  clear(target: number): void {
    this.#clear.run(target);
  }
}

function* each(chats: Buffer): Generator<Buffer> {
  for (let at = 0; at < chats.length; at += KEY_BYTES) yield chats.subarray(at, at + KEY_BYTES);
}
