/**
 * What the process remembers beside the database, kept in step with its transactions: a rollback undoes the changes of its
 * transaction, and what was only collected is written before the commit. Outside a transaction a change is final at once.
 */
export class TransactionMemory {
  readonly #undo: (() => void)[] = [];
  readonly #writers: (() => void)[] = [];
  #isOpen = false;

  /** Registers what writes collected changes before each commit. */
  addWriter(write: () => void): void {
    this.#writers.push(write);
  }

  /** Remembers how to undo a change that was just made. */
  changed(undo: () => void): void {
    if (this.#isOpen) this.#undo.push(undo);
  }

  begin(): void {
    this.#isOpen = true;
  }

  /** The place to which `undoTo` returns. */
  mark(): number {
    return this.#undo.length;
  }

  /** Undoes the changes since `mark`, the newest first. */
  undoTo(mark: number): void {
    while (this.#undo.length > mark) this.#undo.pop()?.();
  }

  /** For use before the commit, inside the transaction. */
  write(): void {
    for (const write of this.#writers) write();
  }

  committed(): void {
    this.#undo.length = 0;
    this.#isOpen = false;
  }

  rolledBack(): void {
    this.undoTo(0);
    this.#isOpen = false;
  }
}
