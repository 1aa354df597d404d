import { describe, expect, it } from 'vitest';
import type { HistoryReading, PastWebhook } from '../../../src/store/history.js';
import { messages, MINUTE, stage, START } from '../../support/store.js';
import type { OpenFixture } from '../../support/store.js';

/** Pages of at most this many webhooks. */
const PAGE = 50;

async function pagesOf(reading: HistoryReading): Promise<(readonly PastWebhook[])[]> {
  const pages: (readonly PastWebhook[])[] = [];
  for (let page = await reading.next(); page !== null; page = await reading.next()) pages.push(page);
  return pages;
}

function idsIn(webhooks: readonly PastWebhook[]): (string | null)[] {
  return webhooks.flatMap(({ document }) => document.items.map(({ messageId }) => messageId));
}

/** Recorded webhooks, read again. */
export function historyContract(open: OpenFixture): void {
  describe('the history', () => {
    it('gives webhooks in order and in small pages, and those that come meanwhile not', async () => {
      const fixture = await stage(open);
      const ids = Array.from({ length: 120 }, (_, at) => `M${at}`);
      for (const id of ids) await fixture.record(messages(id));
      const reading = await fixture.store.history.read({ since: START, most: 1000 });
      await fixture.record(messages('later'));
      const pages = await pagesOf(reading);
      expect(pages.map((page) => page.length)).toEqual([PAGE, PAGE, 20]);
      expect(idsIn(pages.flat())).toEqual(ids);
      expect([reading.since, reading.isComplete]).toEqual([START, true]);
    });

    it('begins at its time, or later if there are more webhooks than it may read', async () => {
      const fixture = await stage(open);
      for (const id of ['A', 'B', 'C', 'D']) {
        await fixture.record(messages(id));
        fixture.clock.advance(MINUTE);
      }
      const read = async (since: number, most: number) => {
        const reading = await fixture.store.history.read({ since, most });
        return [reading.isComplete, reading.since, idsIn((await pagesOf(reading)).flat())];
      };
      expect(await read(START + MINUTE, 10)).toEqual([true, START + MINUTE, ['B', 'C', 'D']]);
      expect(await read(START + MINUTE, 3)).toEqual([true, START + MINUTE, ['B', 'C', 'D']]);
      expect(await read(START, 2)).toEqual([false, START + 2 * MINUTE, ['C', 'D']]);
      expect(await read(START + 10 * MINUTE, 2)).toEqual([true, START + 10 * MINUTE, []]);
    });

    it('gives the deliveries of each webhook with the time of their end, without releases', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A', 'B'));
      await fixture.record(messages('A', 'C'));
      const reading = await fixture.store.history.read({ since: START, most: 10 });
      const claimed = await fixture.claimOne();
      fixture.clock.advance(MINUTE);
      await fixture.settle(claimed, 'delivered');
      await fixture.store.outbox.release('main', 'A', null);
      const [first, second] = (await pagesOf(reading)).flat();
      expect(first?.deliveries).toEqual([{ targetId: 'bot', positions: null, settledAt: START + MINUTE }]);
      expect(second?.deliveries).toEqual([{ targetId: 'bot', positions: [1], settledAt: null }]);
      expect(second?.items).toMatchObject([{ rule: 8 }, { rule: 10 }]);
    });

    it('reads one channel, and nothing of an empty store', async () => {
      const fixture = await stage(open);
      expect(await pagesOf(await fixture.store.history.read({ since: 0, most: 10 }))).toEqual([]);
      await fixture.record(messages('A'));
      const other = await fixture.store.history.read({ since: 0, most: 10, channel: 'shop' });
      expect((await pagesOf(other)).flat()).toEqual([]);
    });
  });
}
