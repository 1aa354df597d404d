/** What happens when, in virtual time: the earliest first, and of the same moment in the order in which it was planned. */
export class Timeline {
  now;
  #heap = [];
  #planned = 0;

  constructor(start) {
    this.now = start;
  }

  /** Plans `run` for a time, in whole milliseconds; what is past happens next. */
  plan(at, run) {
    const entry = { at: Math.max(Math.ceil(at), this.now), order: (this.#planned += 1), run };
    let place = this.#heap.push(entry) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!isBefore(entry, this.#heap[parent])) break;
      this.#heap[place] = this.#heap[parent];
      place = parent;
    }
    this.#heap[place] = entry;
  }

  /** Runs everything that is planned until `end`, and what that plans. */
  async run(end) {
    while (this.#heap.length > 0 && this.#heap[0].at <= end) {
      const { at, run } = this.#next();
      this.now = at;
      await run();
    }
    this.now = end;
  }

  #next() {
    const [first] = this.#heap;
    const last = this.#heap.pop();
    if (this.#heap.length === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.#heap.length) break;
      if (child + 1 < this.#heap.length && isBefore(this.#heap[child + 1], this.#heap[child])) child += 1;
      if (!isBefore(this.#heap[child], last)) break;
      this.#heap[place] = this.#heap[child];
      place = child;
    }
    this.#heap[place] = last;
    return first;
  }
}

function isBefore(one, other) {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
