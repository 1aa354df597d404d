import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeCursor, deliveryId, encodeCursor, parseDeliveryId } from '../../src/store/rules/ids.js';
import { Ids } from '../../src/store/sqlite/numbering.js';
import { DAY, refusal, START } from '../support/store.js';

const safe = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

describe('ids', () => {
  it('increase, however the clock jumps and however many are created in a millisecond', () => {
    const moments = fc.array(fc.integer({ min: START - DAY, max: START + DAY }), { minLength: 2, maxLength: 200 });
    fc.assert(
      fc.property(moments, (times) => {
        const ids = new Ids(0);
        const given = times.flatMap((now) => [ids.next(now), ids.next(now)]);
        expect(given).toEqual([...new Set(given)].sort((a, b) => a - b));
      }),
    );
  });

  it('stay close to the current time, so that a new database repeats none', () => {
    const before = new Ids(0);
    Array.from({ length: 2000 }, () => before.next(START));
    expect(before.next(START)).toBeLessThan(new Ids(0).next(START + 1));
  });

  it('continue above the highest one from before a restart', () => {
    const last = new Ids(0).next(START + DAY);
    expect(new Ids(last).next(START)).toBe(last + 1);
  });

  it('are safe integers for the next eighty years', () => {
    expect(new Ids(0).next(Date.UTC(2106, 0, 1))).toBeLessThan(Number.MAX_SAFE_INTEGER);
  });
});

describe('public delivery ids', () => {
  it('decode to their number and sort like their numbers', () => {
    fc.assert(
      fc.property(safe, safe, (a, b) => {
        expect(parseDeliveryId(deliveryId(a))).toBe(a);
        expect(deliveryId(a) < deliveryId(b)).toBe(a < b);
      }),
    );
  });

  it.each(['', 'dlv_', 'dlv_1', 'dlv_0000000000A', 'dlv_0000000000 ', 'rsy_00000000000', 'dlv_zzzzzzzzzzz'])(
    'are rejected when malformed: "%s"',
    (text) => {
      expect(parseDeliveryId(text)).toBeNull();
    },
  );
});

describe('cursors', () => {
  it('decode to their numbers, and need no escaping in a URL', () => {
    fc.assert(
      fc.property(safe, safe, (a, b) => {
        const cursor = encodeCursor(a, b);
        expect(encodeURIComponent(cursor)).toBe(cursor);
        expect(decodeCursor(cursor, 2)).toEqual([a, b]);
      }),
    );
  });

  it.each(['[1]', '[1,2,3]', '[1,"2"]', '[1,2.5]', '[1,1e300]', '{"length":2}', 'null', '[1,'])(
    'of two numbers are rejected when malformed: %s',
    (json) => {
      const cursor = Buffer.from(json).toString('base64url');
      expect(() => decodeCursor(cursor, 2)).toThrow(refusal('GW_BAD_REQUEST'));
    },
  );
});
