import { describe, expect, it } from 'vitest';
import {
  allPages,
  channel,
  HOUR,
  message,
  messages,
  refusal,
  idsIn,
  register,
  revisions,
  SECOND,
  settlement,
  stage,
  START,
  status,
  takeCall,
  target,
} from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';
import type { Page, PageRequest } from '../../../src/store/paging.js';

const ALL = { limit: 50, cursor: null };

/** Fills every list with entries numbered from `from`, oldest first. */
async function fill(fixture: StoreFixture, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i += 1) {
    await fixture.record(messages(message(`M${i}`, `chat ${i}`)));
    await register(fixture, [`R${i}`], { windowSeconds: i });
    fixture.clock.advance(SECOND);
  }
}

type List = (fixture: StoreFixture, page: PageRequest) => Promise<Page<number>>;

/** Every list, as the numbers that `fill` gave its entries. */
const LISTS: readonly (readonly [name: string, list: List])[] = [
  [
    'deliveries',
    async ({ store }, page) =>
      numbered(await store.outbox.deliveries({}, page), (view) => (view.createdAt - START) / SECOND),
  ],
  [
    'messages',
    async ({ store }, page) =>
      numbered(await store.items.messages({}, page), (view) => Number(view.messageId.slice(1))),
  ],
  ['resyncs', async ({ store }, page) => numbered(await store.resyncs.list(page), (view) => view.windowSeconds)],
];

function numbered<T>({ data, nextCursor }: Page<T>, number: (view: T) => number): Page<number> {
  return { data: data.map(number), nextCursor };
}

function cursorOf(json: string): string {
  return Buffer.from(json).toString('base64url');
}

/** Message A: sent at the second attempt, brought back by a resync an hour later, held, and read. */
async function liveOn(fixture: StoreFixture): Promise<{ deliveryId: string; firstAttempt: unknown; resyncId: string }> {
  await fixture.record(messages('A'));
  const { id: deliveryId, lease } = await fixture.claimOne();
  const failed = settlement({ id: deliveryId, lease }, 'pending', START);
  await fixture.store.outbox.settle(failed);
  await fixture.deliverAll();
  fixture.clock.advance(HOUR);
  const { id: resyncId } = await register(fixture, ['A']);
  await takeCall(fixture);
  await fixture.record(messages('B', 'A'));
  await fixture.record(status('A'));
  return { deliveryId, firstAttempt: failed.attempt, resyncId };
}

/** The lists and details that people read. */
export function viewsContract(open: OpenFixture): void {
  it('returns when the newest webhook of a channel since a given time came', async () => {
    const fixture = await stage(open);
    await fixture.store.registry.addChannel(channel('second'));
    expect(await fixture.store.traffic.lastWebhookAt('main', 0)).toBeNull();
    await fixture.record(messages('A'));
    fixture.clock.advance(HOUR);
    await fixture.record(messages('B'), { channel: 'second' });
    expect(await fixture.store.traffic.lastWebhookAt('main', 0)).toBe(START);
    expect(await fixture.store.traffic.lastWebhookAt('second', START + HOUR)).toBe(START + HOUR);
    expect(await fixture.store.traffic.lastWebhookAt('main', START + 1)).toBeNull();
  });

  it('returns the form of the newest webhook of an event, for given channels or any', async () => {
    const fixture = await stage(open);
    await fixture.store.registry.addChannel(channel('second'));
    const event = { type: 'messages', method: 'post' } as const;
    expect(await fixture.store.traffic.lastForm(event, null)).toBeNull();
    await fixture.record(messages('A'), { suffix: '/messages' });
    await fixture.record(messages('B'), { channel: 'second', suffix: '/messages/post' });
    await fixture.record({ presences: [{ contact_id: 'alice' }] }, { suffix: '/presences' });
    expect(await fixture.store.traffic.lastForm(event, null)).toEqual({
      event,
      method: 'POST',
      suffix: '/messages/post',
    });
    expect(await fixture.store.traffic.lastForm(event, ['other', 'main'])).toEqual({
      event,
      method: 'POST',
      suffix: '/messages',
    });
    const other = { type: 'calls', method: 'post' } as const;
    expect(await fixture.store.traffic.lastForm(other, null)).toMatchObject({ suffix: '/presences' });
  });

  describe('lists', () => {
    it.each(LISTS)('of %s are newest first and paged to the end', async (_, list) => {
      const fixture = await stage(open);
      await fill(fixture, 0, 7);
      expect((await list(fixture, { limit: 3, cursor: null })).data).toEqual([6, 5, 4]);
      expect(await allPages(3, async (page) => await list(fixture, page))).toEqual([6, 5, 4, 3, 2, 1, 0]);
      expect(await list(fixture, { limit: 7, cursor: null })).toMatchObject({ nextCursor: null });
    });

    it.each(LISTS)('of %s skip and repeat nothing while entries are added', async (_, list) => {
      const fixture = await stage(open);
      await fill(fixture, 0, 4);
      let added = 4;
      const seen = await allPages(2, async (page) => {
        const found = await list(fixture, page);
        await fill(fixture, added, (added += 3));
        return found;
      });
      expect(seen).toEqual([3, 2, 1, 0]);
    });

    it.each(['', 'nonsense', cursorOf('[]'), cursorOf('["a"]'), cursorOf('[1,2,3]'), cursorOf('{}')])(
      'refuse the cursor "%s"',
      async (cursor) => {
        const { store } = await stage(open);
        const page = { limit: 2, cursor };
        const lists = [store.outbox.deliveries({}, page), store.items.messages({}, page), store.resyncs.list(page)];
        const answers = await Promise.allSettled([...lists, store.resyncs.messages('rsy_any', page)]);
        const refused = { status: 'rejected', reason: refusal('GW_BAD_REQUEST') };
        expect(answers).toEqual([refused, refused, refused, refused]);
      },
    );

    it('take a cursor with numbers that no entry has', async () => {
      const { store, record: recordOne } = await stage(open);
      await recordOne(messages('A'));
      const found = [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER].map(async (number) => {
        const page = (length: number) => ({ limit: 2, cursor: cursorOf(JSON.stringify(Array(length).fill(number))) });
        const [listed, audits] = [await store.items.messages({}, page(2)), await store.audits.list(page(1))];
        return [listed.data.length, audits.data.length];
      });
      expect(await Promise.all(found)).toEqual([
        [1, 0],
        [0, 0],
      ]);
    });

    it('of messages continue in the middle of a webhook', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A', 'B', 'C', 'D', 'E'));
      const found = await allPages(2, async (page) => await fixture.store.items.messages({}, page));
      expect(found.map(({ messageId }) => messageId)).toEqual(['E', 'D', 'C', 'B', 'A']);
    });

    it("of a resync's messages keep the order of the request", async () => {
      const fixture = await stage(open);
      const ids = ['C', 'A', 'E', 'B', 'D'];
      const { id } = await register(fixture, ids);
      const given = await allPages(2, async (page) => await fixture.store.resyncs.messages(id, page));
      expect(given.map(({ messageId }) => messageId)).toEqual(ids);
      expect(await fixture.store.resyncs.messages('rsy_nobody', ALL)).toEqual({ data: [], nextCursor: null });
    });

    it.each([
      [{}, ['old', 'X', 'A', 'A']],
      [{ channel: 'second' }, ['X']],
      [{ verdict: 'new' }, ['X', 'A']],
      [{ verdict: 'duplicate' }, ['A']],
      [{ verdict: 'restored', held: true }, ['old']],
      [{ held: false }, ['X', 'A']],
      [{ channel: 'second', held: true }, []],
    ] as const)('of messages filter by %j', async (filter, ids) => {
      const fixture = await stage(open);
      await fixture.store.registry.addChannel(channel('second'));
      await register(fixture, ['old']);
      await fixture.record(messages('A'));
      await fixture.record(messages('A'));
      await fixture.record(messages('X'), { channel: 'second' });
      await fixture.record(messages('old'));
      await fixture.record(status('A'));
      const found = await allPages(1, async (page) => await fixture.store.items.messages(filter, page));
      expect(found.map(({ messageId }) => messageId)).toEqual(ids);
    });

    it.each([
      [{}, ['X', 'B', 'A']],
      [{ status: 'pending' }, ['X']],
      [{ status: 'dead' }, ['B']],
      [{ status: 'delivered', channel: 'main' }, ['A']],
      [{ channel: 'second' }, ['X']],
      [{ target: 'bot' }, ['X', 'B', 'A']],
      [{ target: 'nobody' }, []],
      [{ event: 'messages.post' }, ['B', 'A']],
      [{ event: 'messages.put' }, ['X']],
      [{ event: 'messages' }, ['X', 'B', 'A']],
      [{ event: 'messages.*', status: 'dead' }, ['B']],
      [{ event: 'message' }, []],
      [{ since: START + SECOND }, ['X', 'B']],
      [{ until: START + 2 * SECOND }, ['B', 'A']],
      [{ since: START + SECOND, until: START + 2 * SECOND }, ['B']],
      [{ since: START + 3 * SECOND }, []],
      [{ since: Date.UTC(9999, 0) }, []],
      [{ until: START, status: 'pending' }, []],
      [{ status: 'expired' }, []],
    ] as const)('of deliveries filter by %j', async (filter, ids) => {
      const fixture = await stage(open, [target('bot')]);
      await fixture.store.registry.addChannel(channel('second'));
      await fixture.record(messages('A'));
      await fixture.settle(await fixture.claimOne(), 'delivered');
      fixture.clock.advance(SECOND);
      await fixture.record(messages('B'));
      await fixture.settle(await fixture.claimOne(), 'dead');
      fixture.clock.advance(SECOND);
      await fixture.record(revisions(message('X')), { channel: 'second' });
      const found = await allPages(1, async (page) => await fixture.store.outbox.deliveries(filter, page));
      const bodies = await Promise.all(
        found.map(async ({ id }) => (await fixture.store.outbox.delivery(id))?.body ?? ''),
      );
      expect(idsIn(bodies.map((body) => ({ body: Buffer.from(body) })))).toEqual(ids);
    });

    it('of deliveries since a time include those from before the clock went back', async () => {
      const fixture = await stage(open);
      await fill(fixture, 0, 2);
      fixture.clock.advance(-HOUR);
      await fill(fixture, 2, 3);
      const since = async (ms: number) => (await fixture.store.outbox.deliveries({ since: ms }, ALL)).data.length;
      expect([await since(START - HOUR), await since(START), await since(START + SECOND)]).toEqual([3, 2, 1]);
    });

    it('find a few matches among thousands of entries, wherever they are', async () => {
      const fixture = await stage(open, []);
      await fixture.store.registry.addTarget(target('bot'));
      await fixture.store.registry.addChannel(channel('second'));
      await fixture.record(messages('first'), { channel: 'second' });
      const ids = Array.from({ length: 11_000 }, (_, index) => `M${index}`);
      await Promise.all(ids.map(async (id) => await fixture.record(messages(message(id, id)))));
      await fixture.record(messages('last'), { channel: 'second' });
      const found = await allPages(
        1,
        async (page) => await fixture.store.outbox.deliveries({ channel: 'second' }, page),
      );
      expect(found.map((view) => view.channel)).toEqual(['second', 'second']);
    });
  });

  describe('a delivery', () => {
    it('has no planned attempt while it waits for an earlier one of its chat', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      await fixture.record(messages('B'));
      const { data } = await fixture.store.outbox.deliveries({}, ALL);
      expect(data.map(({ nextAttemptAt }) => nextAttemptAt)).toEqual([null, START]);
    });

    it('counts all of its attempts, including those its log no longer keeps', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      for (let i = 0; i < 60; i += 1) await fixture.settle(await fixture.claimOne(), 'pending', START);
      const { data } = await fixture.store.outbox.deliveries({}, ALL);
      expect(data.map(({ attempts }) => attempts)).toEqual([60]);
    });

    it('is unknown under an invalid id', async () => {
      const { store } = await stage(open);
      const ids = ['dlv_00000000000', 'dlv_', 'nonsense', ''];
      expect(await Promise.all(ids.map(async (id) => await store.outbox.delivery(id)))).toEqual([
        null,
        null,
        null,
        null,
      ]);
    });
  });

  describe('the explanation of a message', () => {
    it('contains every sighting with its verdict and rule', async () => {
      const fixture = await stage(open);
      await liveOn(fixture);
      const common = { channel: 'main', messageId: 'A', carrier: 'messages', event: 'messages.post' };
      const explained = await fixture.store.items.explain('main', 'A');
      expect(explained?.ledger).toEqual({ firstSeenAt: START, lastSeenAt: START + HOUR, rule: 10, seededAt: null });
      expect(explained?.sightings).toMatchObject([
        { ...common, verdict: 'new', rule: 10, held: false, seenAt: START },
        { ...common, verdict: 'restored', rule: 3, held: true, seenAt: START + HOUR },
        { ...common, verdict: 'event', rule: 14, held: false, carrier: 'statuses', event: 'statuses.post' },
      ]);
    });

    it('contains each resync, and each delivery with its attempts', async () => {
      const fixture = await stage(open);
      const { deliveryId, firstAttempt, resyncId } = await liveOn(fixture);
      const explained = await fixture.store.items.explain('main', 'A');
      expect(explained?.resyncs).toMatchObject([
        { resyncId, status: 'restored', calls: 1, askedAt: START + HOUR, restoredAt: START + HOUR },
      ]);
      expect(explained?.deliveries).toMatchObject([
        { id: deliveryId, status: 'delivered', target: 'bot', log: [firstAttempt, { status: 200, error: null }] },
        { status: 'pending', event: 'statuses.post', log: [] },
      ]);
    });

    it('omits deliveries of a webhook from which the message was withheld', async () => {
      const fixture = await stage(open);
      await register(fixture, ['old']);
      await fixture.record(messages('A', 'old', 'B'));
      expect(await fixture.store.items.explain('main', 'old')).toMatchObject({
        sightings: [{ held: true }],
        deliveries: [],
      });
      expect((await fixture.store.items.explain('main', 'B'))?.deliveries).toHaveLength(1);
    });

    it('contains the newest five hundred sightings', async () => {
      const fixture = await stage(open);
      const vote = (tally: number) => message('poll', 'alice', { type: 'poll_update', tally });
      for (let from = 0; from < 600; from += 100) {
        await fixture.record(messages(...Array.from({ length: 100 }, (_, at) => vote(from + at))));
      }
      const { sightings = [] } = (await fixture.store.items.explain('main', 'poll')) ?? {};
      expect(sightings).toHaveLength(500);
      expect(sightings.map(({ seenAt }) => seenAt)).toEqual(sightings.map(({ seenAt }) => seenAt).sort());
    });

    it('contains an id of a megabyte in full, while lists show its beginning', async () => {
      const fixture = await stage(open);
      const [id, other] = ['A', 'B'].map((end) => 'i'.repeat(1_000_000) + end) as [string, string];
      expect(await fixture.record(messages(id, other, id))).toEqual(['new', 'new', 'duplicate']);
      const { data } = await fixture.store.items.messages({}, { limit: 10, cursor: null });
      expect(data.map(({ messageId }) => messageId.length)).toEqual([1024, 1024, 1024]);
      expect((await fixture.store.items.explain('main', id))?.sightings).toHaveLength(2);
    });

    it('is null for an unknown message, and limited to one channel', async () => {
      const fixture = await stage(open);
      await fixture.store.registry.addChannel(channel('second'));
      await fixture.record(messages('A'));
      expect(await fixture.store.items.explain('main', 'B')).toBeNull();
      expect(await fixture.store.items.explain('second', 'A')).toBeNull();
    });

    it('contains a registration from before the first sighting', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['old']);
      expect(await fixture.store.items.explain('main', 'old')).toMatchObject({
        ...{ ledger: null, sightings: [], deliveries: [] },
        resyncs: [{ resyncId: id, status: 'queued', registeredAt: START, askedAt: null, windowClosesAt: null }],
      });
    });
  });
}
