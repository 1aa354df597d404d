import { keysIn } from '../rules/keys.js';
import type { Db } from './database.js';
import { HeldLanes } from './held-lanes.js';

/**
 * Order per chat and kind of event (I6). A delivery stands in one lane for each chat and kind of event in its body, and
 * can be claimed only at the front of all its lanes. `deliveries.blocked` counts the lanes in which it waits, so that a
 * claim is one index lookup however long the lanes are. (Looking for earlier unsettled deliveries at claim time takes
 * time in proportion to the backlog.) A delivery that was leased as it was recorded holds its lanes in memory, ahead of all
 * others. For use inside a transaction.
 */
export class Lanes {
  readonly #held: HeldLanes;
  readonly #hasDelivery;
  readonly #append;
  readonly #remove;
  readonly #first;
  readonly #unblock;

  constructor(db: Db, held = new HeldLanes()) {
    this.#held = held;
    this.#hasDelivery = db
      .prepare<[number, Buffer]>('SELECT 1 FROM lanes WHERE target = ? AND chat = ? LIMIT 1')
      .pluck();
    this.#append = db.prepare<[number, Buffer, number, number]>(
      'INSERT INTO lanes (target, chat, seq, delivery_id) VALUES (?, ?, ?, ?)',
    );
    this.#remove = db.prepare<[number, Buffer, number]>('DELETE FROM lanes WHERE target = ? AND chat = ? AND seq = ?');
    this.#first = db
      .prepare<[number, Buffer], number>(
        'SELECT delivery_id FROM lanes WHERE target = ? AND chat = ? ORDER BY seq LIMIT 1',
      )
      .pluck();
    this.#unblock = db.prepare<[number]>('UPDATE deliveries SET blocked = blocked - 1 WHERE id = ?');
  }

  /** Appends a delivery to its lanes; `seq` must exceed every earlier one. Returns the number of lanes in which it waits. */
  join(target: number, lanes: Buffer, seq: number, deliveryId: number): number {
    let blocked = 0;
    for (const lane of keysIn(lanes)) {
      if (this.#held.waitFor(target, lane) || this.#hasDelivery.get(target, lane) !== undefined) blocked += 1;
      this.#append.run(target, lane, seq, deliveryId);
    }
    return blocked;
  }

  /** Removes a settled delivery from the front of its lanes; the next one in each lane moves up. */
  leave(target: number, lanes: Buffer, seq: number): void {
    for (const lane of keysIn(lanes)) {
      this.#remove.run(target, lane, seq);
      this.#moveUp(target, lane);
    }
  }

  /** Makes a delivery hold its lanes in memory, unless one of them is taken. Returns whether it holds them. */
  hold(target: number, lanes: Buffer, deliveryId: number): boolean {
    for (const lane of keysIn(lanes)) {
      if (this.#held.holderOf(target, lane) !== undefined) return false;
      if (this.#hasDelivery.get(target, lane) !== undefined) return false;
    }
    this.#held.hold(target, lanes, deliveryId);
    return true;
  }

  /** The same as `leave`, for a delivery that holds its lanes in memory. */
  free(target: number, lanes: Buffer): void {
    for (const lane of this.#held.free(target, lanes)) this.#moveUp(target, lane);
  }

  /** Moves a delivery that held its lanes in memory into their rows, ahead of all others. */
  store(target: number, lanes: Buffer, seq: number, deliveryId: number): void {
    this.#held.free(target, lanes);
    for (const lane of keysIn(lanes)) this.#append.run(target, lane, seq, deliveryId);
  }

  /** Removes a delivery of a removed target from its lanes. No other moves up: none is sent any more. */
  drop(target: number, lanes: Buffer, seq: number): void {
    this.#held.free(target, lanes);
    for (const lane of keysIn(lanes)) this.#remove.run(target, lane, seq);
  }

  #moveUp(target: number, lane: Buffer): void {
    const next = this.#first.get(target, lane);
    if (next !== undefined) this.#unblock.run(next);
  }
}
