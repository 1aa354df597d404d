/**
 * Keeps what a process holds in memory in step with the transactions of one connection: a rollback undoes the changes of its
 * transaction, and writers save collected changes before the commit. Outside a transaction a change is final at once.
 */
export class TransactionMemory {
  readonly #undo: (() => void)[] = [];
  readonly #writers: (() => void)[] = [];
  #isOpen = false;

  /** Registers a function that writes collected changes before each commit, inside its transaction. */
  addWriter(write: () => void): void {
    this.#writers.push(write);
  }

  /** Notes how to undo a change that was just made. */
  changed(undo: () => void): void {
    if (this.#isOpen) this.#undo.push(undo);
  }

  begin(): void {
    this.#isOpen = true;
  }

  /** A mark for `undoTo`. */
  mark(): number {
    return this.#undo.length;
  }

  /** Undoes the changes since `mark`, the newest first. */
  undoTo(mark: number): void {
    while (this.#undo.length > mark) this.#undo.pop()?.();
  }

  /** Runs the writers. For use right before the commit, inside the transaction. */
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
