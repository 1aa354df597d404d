import { describe, expect, it } from 'vitest';
import type { Page, PageRequest } from '../../../src/ledger/views.js';
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
} from '../../support/ledger.js';
import type { OpenStore, Store } from '../../support/ledger.js';

const ALL = { limit: 50, cursor: null };

/** Fills every list with entries numbered from `from`, oldest first. */
async function fill(store: Store, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i += 1) {
    await store.record(messages(message(`M${i}`, `chat ${i}`)));
    await register(store, [`R${i}`], { windowSeconds: i });
    store.clock.advance(SECOND);
  }
}

type List = (store: Store, page: PageRequest) => Promise<Page<number>>;

/** Every list, as the numbers that `fill` gave its entries. */
const LISTS: readonly (readonly [name: string, list: List])[] = [
  [
    'deliveries',
    async ({ ledger }, page) =>
      numbered(await ledger.deliveries({}, page), (view) => (view.createdAt - START) / SECOND),
  ],
  [
    'messages',
    async ({ ledger }, page) => numbered(await ledger.messages({}, page), (view) => Number(view.messageId.slice(1))),
  ],
  ['resyncs', async ({ ledger }, page) => numbered(await ledger.resyncs(page), (view) => view.windowSeconds)],
];

function numbered<T>({ data, nextCursor }: Page<T>, number: (view: T) => number): Page<number> {
  return { data: data.map(number), nextCursor };
}

function cursorOf(json: string): string {
  return Buffer.from(json).toString('base64url');
}

/** Message A: sent at the second attempt; an hour later brought back by a resync, held, and read. */
async function liveOn(store: Store): Promise<{ deliveryId: string; firstAttempt: unknown; resyncId: string }> {
  await store.record(messages('A'));
  const { id: deliveryId, lease } = await store.claimOne();
  const failed = settlement({ id: deliveryId, lease }, 'pending', START);
  await store.ledger.settle(failed);
  await store.deliverAll();
  store.clock.advance(HOUR);
  const { id: resyncId } = await register(store, ['A']);
  await takeCall(store);
  await store.record(messages('B', 'A'));
  await store.record(status('A'));
  return { deliveryId, firstAttempt: failed.attempt, resyncId };
}

/** What people look at. */
export function viewsContract(open: OpenStore): void {
  it('tells when the newest webhook of a channel came, from a time on', async () => {
    const store = await stage(open);
    await store.ledger.addChannel(channel('second'));
    expect(await store.ledger.lastWebhookAt('main', 0)).toBeNull();
    await store.record(messages('A'));
    store.clock.advance(HOUR);
    await store.record(messages('B'), { channel: 'second' });
    expect(await store.ledger.lastWebhookAt('main', 0)).toBe(START);
    expect(await store.ledger.lastWebhookAt('second', START + HOUR)).toBe(START + HOUR);
    expect(await store.ledger.lastWebhookAt('main', START + 1)).toBeNull();
  });

  it('tells in which form the newest webhook of an event came, of some channels or of any', async () => {
    const store = await stage(open);
    await store.ledger.addChannel(channel('second'));
    const event = { type: 'messages', method: 'post' } as const;
    expect(await store.ledger.lastForm(event, null)).toBeNull();
    await store.record(messages('A'), { suffix: '/messages' });
    await store.record(messages('B'), { channel: 'second', suffix: '/messages/post' });
    await store.record({ presences: [{ contact_id: 'alice' }] }, { suffix: '/presences' });
    expect(await store.ledger.lastForm(event, null)).toEqual({ event, method: 'POST', suffix: '/messages/post' });
    expect(await store.ledger.lastForm(event, ['other', 'main'])).toEqual({
      event,
      method: 'POST',
      suffix: '/messages',
    });
    const other = { type: 'calls', method: 'post' } as const;
    expect(await store.ledger.lastForm(other, null)).toMatchObject({ suffix: '/presences' });
  });

  describe('lists', () => {
    it.each(LISTS)('of %s are newest first, page after page, to an end', async (_, list) => {
      const store = await stage(open);
      await fill(store, 0, 7);
      expect((await list(store, { limit: 3, cursor: null })).data).toEqual([6, 5, 4]);
      expect(await allPages(3, async (page) => await list(store, page))).toEqual([6, 5, 4, 3, 2, 1, 0]);
      expect(await list(store, { limit: 7, cursor: null })).toMatchObject({ nextCursor: null });
    });

    it.each(LISTS)('of %s leave nothing out and repeat nothing while more comes in', async (_, list) => {
      const store = await stage(open);
      await fill(store, 0, 4);
      let added = 4;
      const seen = await allPages(2, async (page) => {
        const found = await list(store, page);
        await fill(store, added, (added += 3));
        return found;
      });
      expect(seen).toEqual([3, 2, 1, 0]);
    });

    it.each(['', 'nonsense', cursorOf('[]'), cursorOf('["a"]'), cursorOf('[1,2,3]'), cursorOf('{}')])(
      'refuse the cursor "%s"',
      async (cursor) => {
        const { ledger } = await stage(open);
        const page = { limit: 2, cursor };
        const lists = [ledger.deliveries({}, page), ledger.messages({}, page), ledger.resyncs(page)];
        const answers = await Promise.allSettled([...lists, ledger.resyncMessages('rsy_any', page)]);
        const refused = { status: 'rejected', reason: refusal('GW_BAD_REQUEST') };
        expect(answers).toEqual([refused, refused, refused, refused]);
      },
    );

    it('of messages go on in the middle of a webhook', async () => {
      const store = await stage(open);
      await store.record(messages('A', 'B', 'C', 'D', 'E'));
      const found = await allPages(2, async (page) => await store.ledger.messages({}, page));
      expect(found.map(({ messageId }) => messageId)).toEqual(['E', 'D', 'C', 'B', 'A']);
    });

    it('of the messages of a resync are in the order in which they were given', async () => {
      const store = await stage(open);
      const ids = ['C', 'A', 'E', 'B', 'D'];
      const { id } = await register(store, ids);
      const given = await allPages(2, async (page) => await store.ledger.resyncMessages(id, page));
      expect(given.map(({ messageId }) => messageId)).toEqual(ids);
      expect(await store.ledger.resyncMessages('rsy_nobody', ALL)).toEqual({ data: [], nextCursor: null });
    });

    it.each([
      [{}, ['old', 'X', 'A', 'A']],
      [{ channel: 'second' }, ['X']],
      [{ verdict: 'new' }, ['X', 'A']],
      [{ verdict: 'duplicate' }, ['A']],
      [{ verdict: 'restored', held: true }, ['old']],
      [{ held: false }, ['X', 'A']],
      [{ channel: 'second', held: true }, []],
    ] as const)('of messages, filtered by %j', async (filter, ids) => {
      const store = await stage(open);
      await store.ledger.addChannel(channel('second'));
      await register(store, ['old']);
      await store.record(messages('A'));
      await store.record(messages('A'));
      await store.record(messages('X'), { channel: 'second' });
      await store.record(messages('old'));
      await store.record(status('A'));
      const found = await allPages(1, async (page) => await store.ledger.messages(filter, page));
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
    ] as const)('of deliveries, filtered by %j', async (filter, ids) => {
      const store = await stage(open, [target('bot')]);
      await store.ledger.addChannel(channel('second'));
      await store.record(messages('A'));
      await store.settle(await store.claimOne(), 'delivered');
      store.clock.advance(SECOND);
      await store.record(messages('B'));
      await store.settle(await store.claimOne(), 'dead');
      store.clock.advance(SECOND);
      await store.record(revisions(message('X')), { channel: 'second' });
      const found = await allPages(1, async (page) => await store.ledger.deliveries(filter, page));
      const bodies = await Promise.all(found.map(async ({ id }) => (await store.ledger.delivery(id))?.body ?? ''));
      expect(idsIn(bodies.map((body) => ({ body: Buffer.from(body) })))).toEqual(ids);
    });

    it('of deliveries since a time have those of a clock that was set back meanwhile', async () => {
      const store = await stage(open);
      await fill(store, 0, 2);
      store.clock.advance(-HOUR);
      await fill(store, 2, 3);
      const since = async (ms: number) => (await store.ledger.deliveries({ since: ms }, ALL)).data.length;
      expect([await since(START - HOUR), await since(START), await since(START + SECOND)]).toEqual([3, 2, 1]);
    });

    it('of what few of thousands are like are found wherever these stand', async () => {
      const store = await stage(open, []);
      await store.ledger.addTarget(target('bot'));
      await store.ledger.addChannel(channel('second'));
      await store.record(messages('first'), { channel: 'second' });
      const ids = Array.from({ length: 11_000 }, (_, index) => `M${index}`);
      await Promise.all(ids.map(async (id) => await store.record(messages(message(id, id)))));
      await store.record(messages('last'), { channel: 'second' });
      const found = await allPages(1, async (page) => await store.ledger.deliveries({ channel: 'second' }, page));
      expect(found.map((view) => view.channel)).toEqual(['second', 'second']);
    });
  });

  describe('a delivery', () => {
    it('tells of a later one of its chat that no attempt is planned yet', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      await store.record(messages('B'));
      const { data } = await store.ledger.deliveries({}, ALL);
      expect(data.map(({ nextAttemptAt }) => nextAttemptAt)).toEqual([null, START]);
    });

    it('counts all of its attempts, also where they are more than its log keeps', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      for (let i = 0; i < 60; i += 1) await store.settle(await store.claimOne(), 'pending', START);
      const { data } = await store.ledger.deliveries({}, ALL);
      expect(data.map(({ attempts }) => attempts)).toEqual([60]);
    });

    it('is unknown under an id that is none', async () => {
      const { ledger } = await stage(open);
      const ids = ['dlv_00000000000', 'dlv_', 'nonsense', ''];
      expect(await Promise.all(ids.map(async (id) => await ledger.delivery(id)))).toEqual([null, null, null, null]);
    });
  });

  describe('the explanation of a message', () => {
    it('has every sighting of it, with its verdict and the rule that gave it', async () => {
      const store = await stage(open);
      await liveOn(store);
      const common = { channel: 'main', messageId: 'A', carrier: 'messages', event: 'messages.post' };
      const explained = await store.ledger.explain('main', 'A');
      expect(explained?.ledger).toEqual({ firstSeenAt: START, lastSeenAt: START + HOUR, rule: 10, seededAt: null });
      expect(explained?.sightings).toMatchObject([
        { ...common, verdict: 'new', rule: 10, held: false, seenAt: START },
        { ...common, verdict: 'restored', rule: 3, held: true, seenAt: START + HOUR },
        { ...common, verdict: 'event', rule: 14, held: false, carrier: 'statuses', event: 'statuses.post' },
      ]);
    });

    it('has each resync of it, and each delivery with its attempts', async () => {
      const store = await stage(open);
      const { deliveryId, firstAttempt, resyncId } = await liveOn(store);
      const explained = await store.ledger.explain('main', 'A');
      expect(explained?.resyncs).toMatchObject([
        { resyncId, status: 'restored', calls: 1, askedAt: START + HOUR, restoredAt: START + HOUR },
      ]);
      expect(explained?.deliveries).toMatchObject([
        { id: deliveryId, status: 'delivered', target: 'bot', log: [firstAttempt, { status: 200, error: null }] },
        { status: 'pending', event: 'statuses.post', log: [] },
      ]);
    });

    it('has no delivery of a webhook from which the message was withheld', async () => {
      const store = await stage(open);
      await register(store, ['old']);
      await store.record(messages('A', 'old', 'B'));
      expect(await store.ledger.explain('main', 'old')).toMatchObject({ sightings: [{ held: true }], deliveries: [] });
      expect((await store.ledger.explain('main', 'B'))?.deliveries).toHaveLength(1);
    });

    it('has the newest five hundred sightings of a message that has more', async () => {
      const store = await stage(open);
      const vote = (tally: number) => message('poll', 'alice', { type: 'poll_update', tally });
      for (let from = 0; from < 600; from += 100) {
        await store.record(messages(...Array.from({ length: 100 }, (_, at) => vote(from + at))));
      }
      const { sightings = [] } = (await store.ledger.explain('main', 'poll')) ?? {};
      expect(sightings).toHaveLength(500);
      expect(sightings.map(({ seenAt }) => seenAt)).toEqual(sightings.map(({ seenAt }) => seenAt).sort());
    });

    it('is of the whole id, also where that has a megabyte; lists show where it begins', async () => {
      const store = await stage(open);
      const [id, other] = ['A', 'B'].map((end) => 'i'.repeat(1_000_000) + end) as [string, string];
      expect(await store.record(messages(id, other, id))).toEqual(['new', 'new', 'duplicate']);
      const { data } = await store.ledger.messages({}, { limit: 10, cursor: null });
      expect(data.map(({ messageId }) => messageId.length)).toEqual([1024, 1024, 1024]);
      expect((await store.ledger.explain('main', id))?.sightings).toHaveLength(2);
    });

    it('is null where nothing is known, and of one channel only', async () => {
      const store = await stage(open);
      await store.ledger.addChannel(channel('second'));
      await store.record(messages('A'));
      expect(await store.ledger.explain('main', 'B')).toBeNull();
      expect(await store.ledger.explain('second', 'A')).toBeNull();
    });

    it('has a registration before anything was seen', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['old']);
      expect(await store.ledger.explain('main', 'old')).toMatchObject({
        ...{ ledger: null, sightings: [], deliveries: [] },
        resyncs: [{ resyncId: id, status: 'queued', registeredAt: START, askedAt: null, windowClosesAt: null }],
      });
    });
  });
}
