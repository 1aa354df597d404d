import type { DeliveryStatus } from '../../model.js';
import type { Sliced } from '../../slices.js';
import { keysIn } from '../rules/keys.js';
import type { Db } from './database.js';
import { HeldLanes } from './held-lanes.js';

interface Waiting {
  readonly id: number;
  readonly status: DeliveryStatus;
  readonly blocked: number;
}

interface Place {
  readonly target: number;
  readonly chats: Buffer;
  readonly seq: number;
  readonly blocked: number;
}

/** Steps from a delivery to the one at the front; each leads to an earlier delivery. */
const MAX_HOPS = 10;
/** Lanes that one slice looks at: a delivery may stand in thousands. */
const LANES_PER_SLICE = 500;

/** What pending deliveries wait for in their lanes (I6); reads only. */
export class LaneOrder {
  readonly #held: HeldLanes;
  readonly #place;
  readonly #first;

  constructor(db: Db, held = new HeldLanes()) {
    this.#held = held;
    this.#place = db.prepare<[number], Place>('SELECT target, chats, seq, blocked FROM deliveries WHERE id = ?');
    this.#first = db
      .prepare<[number, Buffer, number], number>(
        'SELECT delivery_id FROM lanes WHERE target = ? AND chat = ? AND seq < ? ORDER BY seq LIMIT 1',
      )
      .pluck();
  }

  /**
   * The delivery that must be settled before this one can be sent; null: none. Follows what is ahead of it, because a batch
   * stands in several lanes.
   */
  *frontOf({ id, status, blocked }: Waiting): Sliced<number | null> {
    if (status !== 'pending' || blocked === 0) return null;
    let front: number | null = null;
    let place = this.#place.get(id);
    for (let hops = 0; hops < MAX_HOPS && place !== undefined && place.blocked > 0; hops += 1) {
      const ahead: number | undefined = yield* this.#aheadOf(place);
      if (ahead === undefined) return null;
      front = ahead;
      place = this.#place.get(ahead);
    }
    return front;
  }

  /** The delivery at the front of a lane in which this one waits. */
  *#aheadOf({ target, chats, seq }: Place): Sliced<number | undefined> {
    let looked = 0;
    for (const lane of keysIn(chats)) {
      if (looked > 0 && looked % LANES_PER_SLICE === 0) yield;
      looked += 1;
      const ahead = this.#held.holderOf(target, lane) ?? this.#first.get(target, lane, seq);
      if (ahead !== undefined) return ahead;
    }
    return undefined;
  }
}
