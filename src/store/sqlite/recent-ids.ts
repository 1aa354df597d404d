import { KEY_BYTES } from '../rules/keys.js';

/** A power of two. Half of them are used at most. */
const FEWEST_SLOTS = 1024;

/**
 * An index in memory of keys and the rows that hold them. It takes 32 bytes for each key; a Map of strings takes 60, on the
 * heap that the garbage collector walks through. An entry is a hint: a rollback may have removed its row, and then the key may
 * have an entry for another row as well.
 */
export class RecentIds {
  /** Open addressing by the first bits of the key, so that the slots are nearly in the order of the keys. 0: empty. */
  #slots: Int32Array;
  #keys: Buffer;
  #rows: Float64Array;
  #size = 0;

  /** @param expected keys for which there is room at first: growing holds up the event loop, by 10 ms for 100,000 keys */
  constructor(expected: number) {
    let slots = FEWEST_SLOTS;
    while (slots / 2 < expected) slots *= 2;
    this.#slots = new Int32Array(slots);
    this.#keys = Buffer.alloc((slots / 2) * KEY_BYTES);
    this.#rows = new Float64Array(slots / 2);
  }

  get size(): number {
    return this.#size;
  }

  add(key: Buffer, row: number): void {
    if (this.#size === this.#rows.length) this.#grow();
    key.copy(this.#keys, this.#size * KEY_BYTES, 0, KEY_BYTES);
    this.#rows[this.#size] = row;
    this.#size += 1;
    this.#put(this.#size);
  }

  /** The first of the key's rows for which `read` returns something; undefined: none. */
  find<T>(key: Buffer, read: (row: number) => T | undefined): T | undefined {
    for (let slot = this.#slotOf(key); ; slot = this.#next(slot)) {
      const entry = this.#slots[slot] ?? 0;
      if (entry === 0) return undefined;
      if (!this.#hasKey(entry, key)) continue;
      const found = read(this.#rows[entry - 1] ?? 0);
      if (found !== undefined) return found;
    }
  }

  /** Keys and rows of one of `parts` equal ranges of keys, in the order of keys. `parts`: a power of two, 65536 at most. */
  part(part: number, parts: number): { key: Buffer; row: number }[] {
    const entries: { key: Buffer; row: number }[] = [];
    const first = Math.floor((part * this.#slots.length) / parts);
    const end = Math.ceil(((part + 1) * this.#slots.length) / parts);
    // An entry whose slot was taken is in a later one, possibly past the end and back at the start.
    for (let at = first; at < first + this.#slots.length; at += 1) {
      const entry = this.#slots[at % this.#slots.length] ?? 0;
      if (entry === 0 && at >= end) break;
      if (entry === 0) continue;
      const key = this.#keys.subarray((entry - 1) * KEY_BYTES, entry * KEY_BYTES);
      if (partOf(key, parts) === part) entries.push({ key, row: this.#rows[entry - 1] ?? 0 });
    }
    return entries.sort((one, other) => Buffer.compare(one.key, other.key));
  }

  #grow(): void {
    const keys = Buffer.alloc(this.#keys.length * 2);
    this.#keys.copy(keys);
    this.#keys = keys;
    const rows = new Float64Array(this.#rows.length * 2);
    rows.set(this.#rows);
    this.#rows = rows;
    this.#slots = new Int32Array(this.#slots.length * 2);
    for (let entry = 1; entry <= this.#size; entry += 1) this.#put(entry);
  }

  #put(entry: number): void {
    let slot = this.#slotOf(this.#keys, (entry - 1) * KEY_BYTES);
    while (this.#slots[slot] !== 0) slot = this.#next(slot);
    this.#slots[slot] = entry;
  }

  #slotOf(bytes: Buffer, at = 0): number {
    return bytes.readUInt32BE(at) >>> (Math.clz32(this.#slots.length) + 1);
  }

  #next(slot: number): number {
    return (slot + 1) & (this.#slots.length - 1);
  }

  #hasKey(entry: number, key: Buffer): boolean {
    const at = (entry - 1) * KEY_BYTES;
    // These four bytes rule out nearly all other keys without a call to `compare`.
    if (this.#keys.readUInt32LE(at + 8) !== key.readUInt32LE(8)) return false;
    return this.#keys.compare(key, 0, KEY_BYTES, at, at + KEY_BYTES) === 0;
  }
}

/** In which of `parts` equal ranges of keys the key lies. `parts`: a power of two, 65536 at most. */
export function partOf(key: Buffer, parts: number): number {
  return Math.floor((key.readUInt16BE(0) * parts) / 65_536);
}
