import { partOf } from './recent-ids.js';

/** Bytes of a filter for each id: about one in 13,500 other ids passes it. (With 2 bytes, one in 1,200.) */
const BYTES_PER_ID = 3;
/** Bits that an id sets. 17 would let the fewest other ids pass; 8 let few more pass and cost less. */
const BITS_PER_ID = 8;
/** A part of a filter is read in one piece. */
const MOST_IDS_PER_PART = 500;
/** One bit of a byte for each. */
const RUNS_PER_GROUP = 8;

/** How the filter of a run is divided: by ranges of keys of the same length, a power of two. */
export interface FilterForm {
  readonly parts: number;
  readonly partBytes: number;
}

export function formFor(ids: number): FilterForm {
  let parts = 1;
  while (parts * MOST_IDS_PER_PART < ids && parts < 65_536) parts *= 2;
  return { parts, partBytes: Math.ceil(ids / parts) * BYTES_PER_ID };
}

/** Reads a part of a run's filter. If it is not there, or has another length, the run is always read. */
export type ReadPart = (run: number, part: number) => Uint8Array | undefined;

/** A Bloom filter of some keys, which are hashes themselves. */
export function filterOf(keys: readonly Buffer[], bytes: number): Buffer {
  const filter = Buffer.alloc(bytes);
  for (const key of keys) {
    for (let bit = 0; bit < BITS_PER_ID; bit += 1) {
      const place = placeOf(key, bit, bytes * 8);
      filter[place >>> 3] = (filter[place >>> 3] ?? 0) | (1 << (place & 7));
    }
  }
  return filter;
}

/**
 * The filters of up to eight runs, as far as they were read. The same bit of all eight is in one byte, so that a few bytes rule
 * out all eight runs at once. (Asking 76 filters one after the other took 11 % of the time of a webhook.)
 */
export class FilterGroup implements FilterForm {
  readonly parts: number;
  readonly partBytes: number;
  readonly #runs: number[] = [];
  /** One bit for each run that is not dropped. */
  #inUse = 0;
  readonly #bits: Uint8Array;
  /** For each part, one bit for each run whose filter was read. */
  readonly #isRead: Uint8Array;

  constructor({ parts, partBytes }: FilterForm) {
    this.parts = parts;
    this.partBytes = partBytes;
    this.#bits = new Uint8Array(parts * partBytes * 8);
    this.#isRead = new Uint8Array(parts);
  }

  takes({ parts, partBytes }: FilterForm): boolean {
    return this.#runs.length < RUNS_PER_GROUP && parts === this.parts && partBytes === this.partBytes;
  }

  get isEmpty(): boolean {
    return this.#inUse === 0;
  }

  add(run: number): void {
    this.#inUse |= 1 << this.#runs.length;
    this.#runs.push(run);
  }

  drop(run: number): void {
    const at = this.#runs.indexOf(run);
    if (at >= 0) this.#inUse &= ~(1 << at);
  }

  /** The first thing that `look` finds in a run that may hold the key. */
  find<T>(key: Buffer, read: ReadPart, look: (run: number) => T | undefined): T | undefined {
    const part = partOf(key, this.parts);
    if ((this.#inUse & ~(this.#isRead[part] ?? 0)) !== 0) this.readPart(part, read);
    const size = this.partBytes * 8;
    let maybe = this.#inUse;
    for (let bit = 0; bit < BITS_PER_ID && maybe !== 0; bit += 1)
      maybe &= this.#bits[part * size + placeOf(key, bit, size)] ?? 0;
    for (let at = this.#runs.length - 1; maybe !== 0 && at >= 0; at -= 1) {
      const run = this.#runs[at];
      if ((maybe & (1 << at)) === 0 || run === undefined) continue;
      const found = look(run);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Reads a part of the filters that are not read yet. */
  readPart(part: number, read: ReadPart): void {
    const unread = this.#inUse & ~(this.#isRead[part] ?? 0);
    const bits = this.#bits;
    for (const [at, run] of this.#runs.entries()) {
      const mark = 1 << at;
      if ((unread & mark) === 0) continue;
      const stored = read(run, part);
      // A damaged filter must not make ids unknown.
      const filter = stored?.length === this.partBytes ? stored : new Uint8Array(this.partBytes).fill(0xff);
      let place = part * this.partBytes * 8;
      for (const byte of filter) {
        for (let left = byte; left !== 0; left &= left - 1) {
          const set = place + 31 - Math.clz32(left & -left);
          bits[set] = (bits[set] ?? 0) | mark;
        }
        place += 8;
      }
      this.#isRead[part] = (this.#isRead[part] ?? 0) | mark;
    }
  }
}

/** The place of one of the bits that a key sets, from other bytes of the key than those that choose its part. */
function placeOf(key: Buffer, bit: number, size: number): number {
  return ((key.readUInt32LE(8) + bit * key.readUInt32LE(12)) >>> 0) % size;
}
