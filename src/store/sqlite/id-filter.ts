/** Bytes of a filter for each id: one in 1800 other ids passes it. */
const BYTES_PER_ID = 2;
/** Bits that an id sets. The best number would be 11; 8 pass hardly more (1/1800 to 1/2180) and cost less. */
const BITS_PER_ID = 8;
/** Ids that a part is made for: a part of its filter is read at once, and four fit on a page. */
const IDS_PER_PART = 500;

/** How the filter of a run is divided: by ranges of keys of the same length, a power of two. */
export interface FilterForm {
  readonly parts: number;
  readonly partBytes: number;
}

export function formFor(ids: number): FilterForm {
  let parts = 1;
  while (parts * IDS_PER_PART < ids && parts < 65_536) parts *= 2;
  return { parts, partBytes: Math.ceil(ids / parts) * BYTES_PER_ID };
}

/** A Bloom filter of some keys, which are hashes themselves. */
export function filterOf(keys: readonly Buffer[], bytes: number): Buffer {
  const filter = Buffer.alloc(bytes);
  for (const key of keys) {
    const [first, step] = hashesOf(key);
    for (let bit = 0; bit < BITS_PER_ID; bit += 1) {
      const place = placeOf(first, step, bit, bytes);
      filter[place >>> 3] = (filter[place >>> 3] ?? 0) | (1 << (place & 7));
    }
  }
  return filter;
}

/** False: the key is surely not among those of the filter, which begins at `from`. */
export function mayHold(filter: Uint8Array, from: number, bytes: number, key: Buffer): boolean {
  const [first, step] = hashesOf(key);
  for (let bit = 0; bit < BITS_PER_ID; bit += 1) {
    const place = placeOf(first, step, bit, bytes);
    if (((filter[from + (place >>> 3)] ?? 0) & (1 << (place & 7))) === 0) return false;
  }
  return true;
}

/** Other bytes of the key than those that choose the part. */
function hashesOf(key: Buffer): [number, number] {
  return [key.readUInt32LE(8), key.readUInt32LE(12)];
}

function placeOf(first: number, step: number, bit: number, bytes: number): number {
  return ((first + bit * step) >>> 0) % (bytes * 8);
}
