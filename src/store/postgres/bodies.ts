/**
 * The bodies of one statement, one after the other: they travel as one `bytea`, because an array of them would travel as text.
 * A buffer that several rows have travels once.
 */
export class Bodies {
  readonly #parts: Buffer[] = [];
  readonly #starts = new Map<Buffer, number>();
  #length = 0;

  /** Returns where it starts, counted from 1. */
  add(body: Buffer): number {
    const known = this.#starts.get(body);
    if (known !== undefined) return known;
    const start = this.#length + 1;
    this.#parts.push(body);
    this.#starts.set(body, start);
    this.#length += body.length;
    return start;
  }

  all(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
