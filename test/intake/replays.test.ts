import { describe, expect, it } from 'vitest';
import { REPLAY_ENDS_AFTER_MS, ReplayWatch } from '../../src/intake/replays.js';
import { DAY, HOUR, MINUTE, SECOND, START } from '../support/store.js';

const SETTINGS = { name: 'main', replayAfterSeconds: (5 * DAY) / SECOND, replayMessages: 20 };

/** A watch and its channel's messages. `age`: between sending and arrival. */
function watching(settings: Partial<typeof SETTINGS> = {}) {
  const watch = new ReplayWatch();
  const all = { ...SETTINGS, ...settings };
  const messageOf = (id: number, age: number, now: number) => ({
    key: Buffer.from(String(id)),
    sentAt: (now - age) / SECOND,
  });
  return {
    watch,
    arrives: (id: number, age: number, now = START) => watch.count(all, messageOf(id, age, now), false, now),
    includes: (id: number, age: number, now = START) => watch.includes(all, messageOf(id, age, now), now),
  };
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

describe('a replay', () => {
  it('begins with the twentieth old message of a minute', () => {
    const { watch, arrives } = watching();
    expect(numbers(20).map((id) => arrives(id, 100 * DAY))).toEqual([...numbers(19).map(() => false), true]);
    expect(watch.last('main')).toMatchObject({
      beganAt: START,
      messages: 20,
      oldestSentAt: START / SECOND - 8_640_000,
    });
  });

  it('goes on, however slowly, until no old message has come for ten minutes', () => {
    const { watch, arrives } = watching();
    for (const id of numbers(20)) arrives(id, 100 * DAY);
    const last = START + REPLAY_ENDS_AFTER_MS;
    expect(arrives(20, 6 * DAY, last)).toBe(true);
    expect(arrives(21, 6 * DAY, last + REPLAY_ENDS_AFTER_MS + 1)).toBe(false);
    expect(watch.last('main')).toMatchObject({ messages: 21, lastAt: last });
  });

  it('does not begin with old messages that come in more than a minute', () => {
    const { watch, arrives } = watching();
    for (const id of numbers(500)) arrives(id, 100 * DAY, START + id * 3200);
    expect(watch.last('main')).toBeNull();
  });

  it('counts a message that Whapi sends again once', () => {
    const { watch, arrives } = watching();
    for (const id of numbers(100)) arrives(id % 19, 100 * DAY);
    expect(watch.last('main')).toBeNull();
  });

  it.each([0, -1e300])('does not count a message with the time %d', (sentAt) => {
    const watch = new ReplayWatch();
    const count = (id: number) => watch.count(SETTINGS, { key: Buffer.from(String(id)), sentAt }, false, START);
    expect(numbers(30).some(count)).toBe(false);
  });

  it('belongs to one channel', () => {
    const { watch, arrives } = watching();
    for (const id of numbers(19)) arrives(id, 100 * DAY);
    const other = { key: Buffer.from('20'), sentAt: 1 };
    expect(watch.count({ ...SETTINGS, name: 'other' }, other, false, START)).toBe(false);
  });

  it('includes the message that makes it one, before that is counted', () => {
    const { arrives, includes } = watching({ replayMessages: 2 });
    expect(includes(1, 100 * DAY)).toBe(false);
    arrives(1, 100 * DAY);
    expect([includes(1, 100 * DAY), includes(2, 100 * DAY), includes(2, DAY)]).toEqual([false, true, false]);
  });

  it('is not changed by a trial on a copy', () => {
    const { watch, arrives } = watching({ replayMessages: 2 });
    arrives(1, 100 * DAY);
    watch.copy().count({ ...SETTINGS, replayMessages: 2 }, { key: Buffer.from('2'), sentAt: 1 }, false, START);
    expect(watch.last('main')).toBeNull();
  });
});

describe('a reconnect is no replay: thousands of late messages at once', () => {
  it.each([
    ['an hour', HOUR],
    ['a day', DAY],
    ['a weekend', 63 * HOUR],
    ['four days', 4 * DAY],
  ])('after %s', (_, outage) => {
    const { watch, arrives } = watching();
    for (const id of numbers(5000)) arrives(id, (outage * (5000 - id)) / 5000, START + id);
    expect(watch.last('main')).toBeNull();
  });

  it('not even if some of their senders were offline for weeks', () => {
    const { watch, arrives } = watching();
    for (const id of numbers(5000)) arrives(id, id % 300 === 0 ? 20 * DAY : HOUR, START + id * (MINUTE / 5000));
    expect(watch.last('main')).toBeNull();
  });
});
