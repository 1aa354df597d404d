/** Which targets have a delivery of which items of one webhook. A delivery that its target's settings left out counts as none. */
export class SentItems {
  readonly #whole = new Set<number>();
  readonly #parts = new Map<number, Set<number>>();

  /** @param positions the items that a delivery carries; null: all of them */
  add(target: number, positions: readonly number[] | null): void {
    if (positions === null) this.#whole.add(target);
    else for (const position of positions) this.#addPart(target, position);
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
