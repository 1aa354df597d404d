import { SECOND_MS } from './durations.js';
import type { Effects } from './effects.js';
import type { Verdict } from './model.js';

/** What the feed tells of. None has the text of a message, or who sent it. */
export type FeedKind = 'webhook' | 'delivery' | 'breaker';

/** Something that happened. `data` is made once, when the first subscriber takes the event. */
export interface FeedEvent {
  readonly kind: FeedKind;
  /** Null: the event belongs to none. */
  readonly channel: string | null;
  readonly target: string | null;
  readonly verdicts: readonly Verdict[];
  readonly data: () => object;
}

/** Which events a subscriber takes; null: any. */
export interface FeedFilter {
  readonly channel: string | null;
  readonly verdict: Verdict | null;
  readonly target: string | null;
}

/** Where the text of a subscriber's feed goes. */
export interface FeedSink {
  write(text: string): void;
  /** What was written and has not left the process. */
  waitingBytes(): number;
  end(): void;
}

export interface FeedOptions {
  /** Differs from that of every process before this one: ids of another process are not in the ring. */
  readonly boot: string;
  readonly effects: Pick<Effects, 'monotonic' | 'sleep'>;
}

/** Events that a subscriber who comes back can still get. */
const RING_SIZE = 1000;
/** A subscriber whose connection holds more than this gets no events, and a `gap` once it has caught up. */
const MOST_WAITING_BYTES = 256 * 1024;
/** Events per second for one subscriber; the others are counted. */
const MOST_PER_SECOND = 50;
const HEARTBEAT_EVERY_MS = 15 * SECOND_MS;
/** How long events are kept after the last subscriber has left: one that comes back by then misses nothing. */
const KEPT_AFTER_LAST_MS = 120 * SECOND_MS;
const RETRY_MS = 2000;

interface Entry {
  readonly number: number;
  readonly event: FeedEvent;
  /** Null until the first subscriber takes it. */
  text: string | null;
}

interface Subscriber {
  readonly sink: FeedSink;
  readonly filter: FeedFilter;
  sent: number;
  skipped: number;
  /** The number of the last event that it was sent, or that was skipped. */
  last: number;
  isBehind: boolean;
}

/**
 * Tells subscribers what happens, as server-sent events. It is a hint: a subscriber that misses events is told so
 * (`gap`) and reads the lists. Without a subscriber `publish` costs one comparison, and its caller makes no event (`isOn`).
 */
export class Feed {
  readonly #boot: string;
  readonly #effects: FeedOptions['effects'];
  readonly #ring: Entry[] = [];
  readonly #subscribers = new Set<Subscriber>();
  readonly #closed = new AbortController();
  #last = 0;
  #isOn = false;

  constructor({ boot, effects }: FeedOptions) {
    this.#boot = boot;
    this.#effects = effects;
  }

  /** Whether anybody listens, or did a moment ago. */
  get isOn(): boolean {
    return this.#isOn;
  }

  publish(event: FeedEvent): void {
    if (!this.#isOn) return;
    const entry: Entry = { number: (this.#last += 1), event, text: null };
    this.#ring.push(entry);
    if (this.#ring.length > RING_SIZE) this.#ring.shift();
    for (const subscriber of this.#subscribers) this.#offer(subscriber, entry);
  }

  /**
   * Sends the events from now on, after those since `lastId`, to `sink`. @param hello the data of the first event
   * @returns a function that ends it
   */
  subscribe(sink: FeedSink, filter: FeedFilter, lastId: string | null, hello: object): () => void {
    if (this.#closed.signal.aborted) {
      sink.end();
      return () => undefined;
    }
    const subscriber: Subscriber = { sink, filter, sent: 0, skipped: 0, last: this.#last, isBehind: false };
    const from = lastId === null ? null : this.#numberIn(lastId);
    // Its id is where the subscriber begins, for it may leave before the first event.
    const id = from === null ? `id: ${this.#boot}-${this.#last}\n` : '';
    sink.write(`retry: ${RETRY_MS}\n${id}event: hello\ndata: ${JSON.stringify(hello)}\n\n`);
    if (from !== null) for (const entry of this.#ring) if (entry.number > from) this.#send(subscriber, entry);
    if (lastId !== null && from === null) this.#sendGap(subscriber);
    this.#subscribers.add(subscriber);
    if (!this.#isOn) {
      this.#isOn = true;
      void this.#tick();
    }
    return () => void this.#subscribers.delete(subscriber);
  }

  /** Ends every subscription, and accepts no more. */
  close(): void {
    this.#closed.abort();
    for (const { sink } of this.#subscribers) sink.end();
    this.#subscribers.clear();
  }

  /** The number in an id after which every event is in the ring; null: events after it are gone. */
  #numberIn(id: string): number | null {
    const [boot, number = ''] = id.split('-');
    const last = /^\d{1,15}$/.test(number) ? Number(number) : NaN;
    const isKnown = boot === this.#boot && last <= this.#last && last >= this.#last - this.#ring.length;
    return isKnown ? last : null;
  }

  #offer(subscriber: Subscriber, entry: Entry): void {
    if (subscriber.isBehind || !matches(entry.event, subscriber.filter)) return;
    if (subscriber.sent < MOST_PER_SECOND) this.#send(subscriber, entry);
    else {
      subscriber.skipped += 1;
      subscriber.last = entry.number;
    }
  }

  /** Never waits for a subscriber: one that does not read loses events, and the gateway no memory. */
  #send(subscriber: Subscriber, entry: Entry): void {
    if (subscriber.isBehind || !matches(entry.event, subscriber.filter)) return;
    if (subscriber.sink.waitingBytes() > MOST_WAITING_BYTES) {
      subscriber.isBehind = true;
      return;
    }
    const { kind, data } = entry.event;
    entry.text ??= `id: ${this.#boot}-${entry.number}\nevent: ${kind}\ndata: ${JSON.stringify(data())}\n\n`;
    subscriber.sink.write(entry.text);
    subscriber.sent += 1;
    subscriber.last = entry.number;
  }

  #sendGap({ sink }: Subscriber): void {
    sink.write(`id: ${this.#boot}-${this.#last}\nevent: gap\ndata: {}\n\n`);
  }

  /** Once a second: says what was skipped, and that a subscriber has caught up. Ends some time after the last one. */
  async #tick(): Promise<void> {
    const { monotonic, sleep } = this.#effects;
    let listenedAt = monotonic();
    let beatAt = monotonic() + HEARTBEAT_EVERY_MS;
    while (!this.#closed.signal.aborted) {
      await sleep(SECOND_MS, this.#closed.signal);
      const now = monotonic();
      if (this.#subscribers.size > 0) listenedAt = now;
      else if (now - listenedAt >= KEPT_AFTER_LAST_MS) break;
      const isBeat = now >= beatAt;
      if (isBeat) beatAt = now + HEARTBEAT_EVERY_MS;
      for (const subscriber of this.#subscribers) this.#catchUp(subscriber, isBeat);
    }
    this.#ring.length = 0;
    this.#last += 1; // what happens from now on is in no ring: an id from before it is too old
    this.#isOn = false;
  }

  #catchUp(subscriber: Subscriber, isBeat: boolean): void {
    const { sink, skipped } = subscriber;
    if (subscriber.isBehind) {
      if (sink.waitingBytes() > 0) return;
      subscriber.isBehind = false;
      this.#sendGap(subscriber);
    } else if (skipped > 0) {
      const id = `${this.#boot}-${subscriber.last}`;
      sink.write(`id: ${id}\nevent: skipped\ndata: ${JSON.stringify({ count: skipped })}\n\n`);
    } else if (isBeat) sink.write(':\n\n');
    subscriber.sent = 0;
    subscriber.skipped = 0;
  }
}

/** A breaker has no channel and no verdict, and a webhook no target: a filter by one of these leaves it out. */
function matches({ channel, target, verdicts }: FeedEvent, filter: FeedFilter): boolean {
  return (
    (filter.channel === null || filter.channel === channel) &&
    (filter.target === null || filter.target === target) &&
    (filter.verdict === null || verdicts.includes(filter.verdict))
  );
}
