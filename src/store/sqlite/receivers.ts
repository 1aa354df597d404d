import type { Db } from './database.js';

interface SentRow {
  readonly id: number;
  readonly target: number;
  readonly positions: string | null;
}

/** Who was sent which items of one webhook. */
export interface Sent {
  has(target: number, position: number): boolean;
}

/** What was read of one webhook so far. */
class Read implements Sent {
  /** The newest delivery among it; 0: none. */
  newest = 0;
  readonly #whole = new Set<number>();
  readonly #parts = new Map<number, Set<number>>();

  constructor(readonly webhookId: number) {}

  add({ id, target, positions }: SentRow): void {
    this.newest = id;
    if (positions === null) this.#whole.add(target);
    else for (const position of JSON.parse(positions) as number[]) this.#addPart(target, position);
  }

  has(target: number, position: number): boolean {
    return this.#whole.has(target) || this.#parts.get(target)?.has(position) === true;
  }

  #addPart(target: number, position: number): void {
    const parts = this.#parts.get(target);
    if (parts) parts.add(position);
    else this.#parts.set(target, new Set([position]));
  }
}

/**
 * Who was sent what, by webhook. A webhook that was split has thousands of deliveries, and bulk work asks for each of its
 * thousands of items: so what was read of a webhook is kept until another is asked for, and only newer deliveries are read.
 */
export class Receivers {
  readonly #from;
  #read = new Read(-1);

  constructor(db: Db) {
    this.#from = db.prepare<[number, number], SentRow>(SENT_FROM);
  }

  of(webhookId: number): Sent {
    if (this.#read.webhookId !== webhookId) this.#read = new Read(webhookId);
    const rows = this.#from.all(webhookId, this.#read.newest);
    if (this.#read.newest > 0 && rows[0]?.id !== this.#read.newest) return this.#anew(webhookId);
    for (const row of rows) this.#read.add(row);
    return this.#read;
  }

  /** The newest one is gone: its transaction was rolled back, or it was pruned. */
  #anew(webhookId: number): Sent {
    this.#read = new Read(webhookId);
    for (const row of this.#from.all(webhookId, 0)) this.#read.add(row);
    return this.#read;
  }
}

/** Deliveries of a webhook from one on: each has a greater id than those before it. */
const SENT_FROM = 'SELECT id, target, positions FROM deliveries WHERE webhook_id = ? AND id >= ? ORDER BY id';
