import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterFailure,
  afterPage,
  withSmallerPage,
  AUDIT_INTERVALS,
  startWalk,
  NOTHING_READ,
  queryFor,
} from '../../src/audit/policy.js';
import type { WindowReading } from '../../src/audit/policy.js';
import type { ListedMessage } from '../../src/model.js';
import type { ListQuery } from '../../src/whapi/client.js';
import type { MessagesPage } from '../../src/whapi/messages-page.js';
import type { AuditWalk } from '../../src/store/audits.js';

interface Sent {
  readonly id: string;
  readonly timestamp: number;
}

/**
 * The undocumented behaviour of the list: whether a window includes its ends, what `total` counts, how it is sorted.
 */
interface Habits {
  readonly endsIncluded: boolean;
  readonly totals: 'of the question' | 'of everything' | 'none';
  readonly mostPerCall: number;
}

const HABITS: Habits = { endsIncluded: true, totals: 'of the question', mostPerCall: 500 };

function answer(history: readonly Sent[], question: ListQuery, habits: Habits): MessagesPage {
  const { timeFrom, timeTo, count, offset } = question;
  const margin = habits.endsIncluded ? 0 : 1;
  const fitting = history
    .filter(({ timestamp }) => timestamp >= timeFrom + margin && timestamp <= timeTo - margin)
    .sort((a, b) => b.timestamp - a.timestamp);
  const page = fitting.slice(offset, offset + Math.min(count, habits.mostPerCall));
  const totals = { 'of the question': fitting.length, 'of everything': history.length + 1, none: null };
  return { messages: page.map(listed), length: page.length, total: totals[habits.totals] };
}

function listed({ id, timestamp }: Sent): ListedMessage {
  return { id, timestamp, type: 'text', chatId: 'alice', json: Buffer.from('{}') };
}

interface Walked {
  /** The messages of the last round, in the order in which they were returned. */
  readonly ids: string[];
  readonly calls: number;
  readonly walk: AuditWalk;
}

/** Reads the whole range. `meanwhile` is called before each call and may add messages. */
function readAll(
  span: { since: number; until: number; kind?: 'audit' | 'seed' },
  history: readonly Sent[],
  habits: Partial<Habits> = {},
  meanwhile: (call: number) => void = () => undefined,
): Walked {
  const range = { kind: 'audit' as const, ...span };
  let walk = startWalk(range);
  let reading: WindowReading = NOTHING_READ;
  let ids: string[] = [];
  for (let calls = 1; calls < 10_000; calls += 1) {
    meanwhile(calls);
    const page = answer(history, queryFor(range, walk, reading), { ...HABITS, ...habits });
    const step = afterPage(range, walk, reading, page);
    if (step.walk.round !== walk.round) ids = [];
    ids.push(...step.messages.map(({ id }) => id));
    walk = step.walk;
    reading = step.reading ?? NOTHING_READ;
    if (step.isOver) return { ids, calls, walk };
  }
  throw new Error('The walk does not end.');
}

function everySecond(count: number, from = 1_000_000): Sent[] {
  return Array.from({ length: count }, (_, at) => ({ id: `m${at}`, timestamp: from + at }));
}

const idsOf = (history: readonly Sent[]): string[] => history.map(({ id }) => id);

describe("a walk through Whapi's message list", () => {
  it('returns each message of the range once, for any history and any undocumented behaviour', () => {
    const gaps = fc.array(fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat(3), fc.nat(100_000)), {
      maxLength: 120,
      size: 'max',
    });
    const habits = fc.record({
      endsIncluded: fc.boolean(),
      totals: fc.constantFrom<Habits['totals'][]>('of the question', 'of everything', 'none'),
    });
    fc.assert(
      fc.property(gaps, habits, fc.integer({ min: 1, max: 9 }), (list, how, mostPerCall) => {
        let timestamp = 1000;
        const history = list.map((gap, at) => ({ id: `m${at}`, timestamp: (timestamp += gap) }));
        const limited = { ...how, mostPerCall: how.totals === 'of the question' ? mostPerCall : 500 };
        const { ids } = readAll({ since: 1000, until: timestamp }, history, limited);
        expect([...ids].sort()).toEqual(idsOf(history).sort());
      }),
      { numRuns: 300 },
    );
  });

  it('returns them oldest first and excludes those sent a second before or after the range', () => {
    const history = everySecond(10);
    const { ids } = readAll({ since: 1_000_001, until: 1_000_008 }, history);
    expect(ids).toEqual(idsOf(history).slice(1, 9));
  });

  it('takes few more calls than the messages need, even across empty years', () => {
    const evenly = readAll({ since: 1_000_000, until: 1_049_999 }, everySecond(50_000));
    expect(evenly.ids).toHaveLength(50_000);
    expect(evenly.calls).toBeLessThan(160);
    const burst = readAll({ since: 0, until: 1_700_000_000 }, everySecond(5000, 1_650_000_000));
    expect(burst.ids).toHaveLength(5000);
    expect(burst.calls).toBeLessThan(80);
  });

  it('reads a single second of thousands of messages by offset', () => {
    const history = Array.from({ length: 2345 }, (_, at) => ({ id: `m${at}`, timestamp: 5000 }));
    const { ids } = readAll({ since: 4000, until: 6000 }, history);
    expect([...ids].sort()).toEqual(idsOf(history).sort());
  });

  it('reads such a second again if a message is added to it between two pages', () => {
    const history = Array.from({ length: 1200 }, (_, at) => ({ id: `m${at}`, timestamp: 5000 }));
    let isThere = false;
    const { ids } = readAll({ since: 5000, until: 5000, kind: 'seed' }, history, {}, (call) => {
      if (call !== 3 || isThere) return;
      isThere = true;
      history.unshift({ id: 'late', timestamp: 5000 });
    });
    expect([...ids].sort()).toEqual(idsOf(history).sort());
  });

  it('reads the range again if messages are added to the part already read', () => {
    const history = everySecond(2000);
    const { ids, walk } = readAll({ since: 1_000_000, until: 1_001_999 }, history, {}, (call) => {
      if (call === 5) history.push({ id: 'late', timestamp: 1_000_003 });
    });
    expect(ids).toContain('late');
    expect(ids).toHaveLength(2001);
    expect(walk).toMatchObject({ round: 2, unsettled: false });
  });

  it('reports an unsettled list that changes during each of three rounds', () => {
    const history = everySecond(2000);
    const { walk } = readAll({ since: 1_000_000, until: 1_001_999 }, history, {}, (call) => {
      history.push({ id: `late-${call}`, timestamp: 1_000_003 });
    });
    expect(walk).toMatchObject({ round: 3, unsettled: true });
  });

  it('resumes after a crash at its current window', () => {
    const range = { kind: 'audit' as const, since: 1_000_000, until: 1_001_999 };
    const history = everySecond(2000);
    const begun = afterPage(
      range,
      startWalk(range),
      NOTHING_READ,
      answer(history, queryFor(range, startWalk(range), NOTHING_READ), HABITS),
    );
    const first = afterPage(
      range,
      begun.walk,
      NOTHING_READ,
      answer(history, queryFor(range, begun.walk, NOTHING_READ), HABITS),
    );
    const stored = JSON.parse(JSON.stringify(first.walk)) as AuditWalk;
    const next = afterPage(range, stored, NOTHING_READ, answer(history, queryFor(range, stored, NOTHING_READ), HABITS));
    expect(next.messages[0]?.id).toBe(`m${first.messages.length}`);
  });
});

describe('a failed page', () => {
  const at = { intervals: AUDIT_INTERVALS, now: 1_000_000, random: 0.5, failedBefore: 0 };

  it('that is too large is asked for in halves, down to one message', () => {
    const walk = { ...startWalk({ kind: 'audit', since: 0, until: 9 }), stage: 'read' as const };
    expect(withSmallerPage(walk)?.walk.count).toBe(250);
    expect(withSmallerPage({ ...walk, count: 1 })).toBeNull();
  });

  it.each([
    [0, 5000],
    [1, 10_000],
    [99, 300_000],
  ])('that is busy after %i failures is repeated after %i ms', (failedBefore, ms) => {
    const busy = { kind: 'busy', reason: '500 Internal Error', retryAfter: null } as const;
    expect(afterFailure(busy, { ...at, failedBefore })).toEqual({ reason: busy.reason, until: at.now + ms });
  });

  it('that is busy with a longer Retry-After is repeated after that time', () => {
    expect(afterFailure({ kind: 'busy', reason: '429', retryAfter: '60' }, at).until).toBe(at.now + 60_000);
  });

  it('that is refused is not repeated', () => {
    expect(afterFailure({ kind: 'refused', reason: '404 Channel not found' }, at)).toEqual({
      ...{ reason: '404 Channel not found', until: null },
    });
  });
});
