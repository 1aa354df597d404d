/**
 * Values for a `bytea` column in one parameter, one after the other, because an array of them would be sent as escaped hex. A
 * statement cuts them out again: `substring($1::bytea FROM start FOR length)`. A buffer that several rows have is sent once.
 */
export class JoinedBytes {
  readonly #parts: Buffer[] = [];
  readonly #starts = new Map<Buffer, number>();
  #length = 0;

  /** Returns where the value starts, counted from 1. */
  add(value: Buffer): number {
    const known = this.#starts.get(value);
    if (known !== undefined) return known;
    const start = this.#length + 1;
    this.#parts.push(value);
    this.#starts.set(value, start);
    this.#length += value.length;
    return start;
  }

  all(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
