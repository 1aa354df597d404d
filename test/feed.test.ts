import { setMaxListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Feed } from '../src/feed.js';
import type { FeedEvent, FeedFilter, FeedSink } from '../src/feed.js';
import { parseEvents } from './support/event-stream.js';
import type { StreamEvent } from './support/event-stream.js';

const ALL: FeedFilter = { channel: null, verdict: null, target: null };
const HELLO = { version: 'test' };

function event(n: number, about: Partial<FeedEvent> = {}): FeedEvent {
  return { kind: 'webhook', channel: 'shop', target: null, verdicts: ['new'], data: () => ({ n }), ...about };
}

/** A feed whose seconds pass when the test says so. */
function startFeed() {
  let now = 0;
  const sleepers: (() => void)[] = [];
  const sleep = async (_ms: number, signal?: AbortSignal): Promise<void> =>
    await new Promise((resolve) => {
      if (signal) setMaxListeners(0, signal);
      signal?.addEventListener('abort', () => resolve());
      sleepers.push(resolve);
    });
  const feed = new Feed({ boot: 'boot', effects: { monotonic: () => now, sleep } });
  const pass = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second += 1) {
      now += 1000;
      for (const wake of sleepers.splice(0)) wake();
      await new Promise(setImmediate);
    }
  };
  return { feed, pass };
}

interface Reader extends FeedSink {
  text: string;
  waiting: number;
  isEnded: boolean;
  events(): StreamEvent[];
  numbers(): unknown[];
  leave(): void;
}

function subscribe(feed: Feed, { filter = ALL, lastId = null as string | null } = {}): Reader {
  const reader: Reader = {
    ...{ text: '', waiting: 0, isEnded: false },
    write: (text) => void (reader.text += text),
    waitingBytes: () => reader.waiting,
    end: () => void (reader.isEnded = true),
    events: () => parseEvents(reader.text).slice(1), // without the hello
    numbers: () => reader.events().flatMap(({ data }) => ('n' in data ? [data['n']] : [])),
    leave: () => leave(),
  };
  const leave = feed.subscribe(reader, filter, lastId, HELLO);
  return reader;
}

describe('a feed', () => {
  it('costs nothing with nobody listening: no event is kept, and its data is not made', () => {
    const { feed } = startFeed();
    expect(feed.isOn).toBe(false);
    feed.publish(event(1, { data: () => expect.fail('made the data') }));
    expect(subscribe(feed).numbers()).toEqual([]);
  });

  it('makes the data of an event once for all subscribers, in the order of publication', () => {
    const { feed } = startFeed();
    const readers = [subscribe(feed), subscribe(feed)];
    let made = 0;
    feed.publish(event(1, { data: () => ({ n: (made += 1) }) }));
    feed.publish(event(2));
    expect(readers.map((reader) => reader.numbers())).toEqual([
      [1, 2],
      [1, 2],
    ]);
    expect(readers[0]?.events().map(({ id }) => id)).toEqual(['boot-1', 'boot-2']);
  });

  it.each([
    [{ ...ALL, channel: 'shop' }, [1, 2]],
    [{ ...ALL, verdict: 'late' }, [2]],
    [{ ...ALL, target: 'tgt_a' }, [3, 4]],
    [{ ...ALL, channel: 'other' }, [3]],
  ] satisfies [FeedFilter, number[]][])('filtered by %j sends what matches', (filter, wanted) => {
    const { feed } = startFeed();
    const reader = subscribe(feed, { filter });
    feed.publish(event(1));
    feed.publish(event(2, { verdicts: ['new', 'late'] }));
    feed.publish(event(3, { kind: 'delivery', channel: 'other', target: 'tgt_a' }));
    feed.publish(event(4, { kind: 'breaker', channel: null, target: 'tgt_a', verdicts: [] }));
    expect(reader.numbers()).toEqual(wanted);
  });

  it('sends at most 50 events a second, and says once a second how many it left out', async () => {
    const { feed, pass } = startFeed();
    const reader = subscribe(feed);
    for (let n = 1; n <= 120; n += 1) feed.publish(event(n));
    expect(reader.numbers()).toHaveLength(50);
    await pass(1);
    expect(reader.events().at(-1)).toMatchObject({ kind: 'skipped', id: 'boot-120', data: { count: 70 } });
    feed.publish(event(121));
    expect(reader.numbers().at(-1)).toBe(121);
  });

  it('counts what one subscriber takes: a filter for little is not drowned by much', () => {
    const { feed } = startFeed();
    const reader = subscribe(feed, { filter: { ...ALL, channel: 'rare' } });
    for (let n = 1; n <= 500; n += 1) feed.publish(event(n));
    feed.publish(event(501, { channel: 'rare' }));
    expect(reader.numbers()).toEqual([501]);
  });

  it('sends a subscriber that does not read nothing more, and a gap once it has caught up', async () => {
    const { feed, pass } = startFeed();
    const reader = subscribe(feed);
    reader.waiting = 300_000;
    for (let n = 1; n <= 3; n += 1) feed.publish(event(n));
    await pass(1);
    expect(reader.events()).toEqual([]);
    reader.waiting = 0;
    await pass(1);
    feed.publish(event(4));
    expect(reader.events().map(({ kind, id }) => [kind, id])).toEqual([
      ['gap', 'boot-3'],
      ['webhook', 'boot-4'],
    ]);
  });

  it('writes a comment after 15 quiet seconds', async () => {
    const { feed, pass } = startFeed();
    const reader = subscribe(feed);
    await pass(14);
    expect(reader.text).not.toContain('\n:\n\n');
    await pass(1);
    expect(reader.text).toContain('\n:\n\n');
  });

  it('ends every subscription when it is closed, and takes no more', () => {
    const { feed } = startFeed();
    const reader = subscribe(feed);
    feed.close();
    feed.publish(event(1));
    expect([reader.isEnded, reader.numbers(), subscribe(feed).isEnded]).toEqual([true, [], true]);
  });
});

describe('a subscriber that comes back', () => {
  it('gets what it missed, also what happened while nobody listened', async () => {
    const { feed, pass } = startFeed();
    const first = subscribe(feed);
    feed.publish(event(1));
    first.leave();
    await pass(60);
    feed.publish(event(2));
    const again = subscribe(feed, { lastId: first.events().at(-1)?.id ?? null });
    feed.publish(event(3));
    expect(again.events().map(({ kind }) => kind)).toEqual(['webhook', 'webhook']);
    expect(again.numbers()).toEqual([2, 3]);
  });

  it('misses nothing although it left before its first event', () => {
    const { feed } = startFeed();
    const first = subscribe(feed);
    first.leave();
    feed.publish(event(1));
    const [hello] = parseEvents(first.text);
    expect(subscribe(feed, { lastId: hello?.id ?? null }).numbers()).toEqual([1]);
  });

  it.each([
    ['an id that has left the ring', 'boot-1'],
    ['an id of another process', 'other-1990'],
    ['an id that was never given', 'boot-9999'],
    ['no id of a feed', 'x'],
  ])('with %s is told of a gap', (_what, lastId) => {
    const { feed } = startFeed();
    subscribe(feed);
    for (let n = 1; n <= 2000; n += 1) feed.publish(event(n));
    expect(subscribe(feed, { lastId }).events()).toMatchObject([{ kind: 'gap', id: 'boot-2000' }]);
    expect(subscribe(feed, { lastId: 'boot-1000' }).numbers()).toHaveLength(1000);
  });

  it('two minutes after the last one left is told of a gap', async () => {
    const { feed, pass } = startFeed();
    const first = subscribe(feed);
    feed.publish(event(1));
    first.leave();
    await pass(121);
    expect(feed.isOn).toBe(false);
    feed.publish(event(2));
    expect(subscribe(feed, { lastId: 'boot-1' }).events()).toMatchObject([{ kind: 'gap' }]);
  });
});
