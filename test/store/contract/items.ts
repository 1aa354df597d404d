import { describe, expect, it } from 'vitest';
import type { Target } from '../../../src/model.js';
import {
  allPages,
  channel,
  DAY,
  first,
  HOUR,
  idsIn,
  message,
  messages,
  MINUTE,
  only,
  prune,
  refusal,
  register,
  revisions,
  runJob,
  SECOND,
  stage,
  START,
  status,
  target,
} from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';
import type { ItemDetail, ItemFilter } from '../../../src/store/items.js';

const ALL = { limit: 50, cursor: null };

async function items(fixture: StoreFixture, filter: ItemFilter = {}): Promise<readonly ItemDetail[]> {
  return await allPages(2, async (page) => await fixture.store.items.list(filter, page));
}

/** What a list shows, newest first, as `array/message id`. */
async function shown(fixture: StoreFixture, filter: ItemFilter = {}): Promise<string[]> {
  return (await items(fixture, filter)).map(({ carrier, messageId }) => `${carrier}/${messageId ?? ''}`);
}

/** A target that wants nothing, so that everything is held. */
function closed(id = 'bot', settings: Partial<Target> = {}): Target {
  return target(id, { deliver: ['restored'], ...settings });
}

const GROUP = { group_id: 'g@g.us', participants: ['a'], action: 'add' };
const LEFT = { groups_participants: [GROUP], event: { type: 'groups', event: 'put' } };
const STATE = { health: { status: { text: 'AUTH' } }, event: { type: 'channel', event: 'post' } };
const CHAT = { chats: [{ id: 'alice', name: 'Alice' }], event: { type: 'chats', event: 'post' } };
const UPDATE = {
  messages_updates: [{ id: 'A', after_update: { id: 'A', chat_id: 'alice' } }],
  event: { type: 'messages', event: 'patch' },
};
const VOTE = messages(message('poll', 'alice', { type: 'poll_update', tally: 1 }));

/** I4: every held item, of any event, is listed and can be released. */
export function itemsContract(open: OpenFixture): void {
  describe('the list of items', () => {
    it('contains every judged item of every event, newest first, in pages', async () => {
      const fixture = await stage(open);
      for (const body of [messages('A', 'B'), status('A'), LEFT, STATE, CHAT, UPDATE]) await fixture.record(body);
      const wanted = ['messages_updates/A', 'chats/', '/', 'groups_participants/', 'statuses/A', 'messages/B'];
      expect(await shown(fixture)).toEqual([...wanted, 'messages/A']);
    });

    it("shows each item's position, verdict and whether it is held", async () => {
      const fixture = await stage(open);
      await fixture.record(status('A'));
      fixture.clock.advance(SECOND);
      await fixture.record(status('A'));
      const [again] = await items(fixture);
      expect(again).toMatchObject({
        id: `itm_${again?.webhookId ?? ''}_0`,
        ...{ position: 0, channel: 'main', event: 'statuses.post', carrier: 'statuses', messageId: 'A' },
        ...{ verdict: 'duplicate', rule: 13, held: true, seenAt: START + SECOND, auditId: null },
      });
    });

    it.each<[ItemFilter, string[]]>([
      [{ channel: 'second' }, ['messages/X']],
      [{ verdict: 'duplicate' }, ['statuses/A', 'messages/A']],
      [{ verdict: 'new' }, ['messages/X', 'messages/A']],
      [{ event: 'statuses.post' }, ['statuses/A', 'statuses/A']],
      [{ event: 'messages' }, ['messages/X', 'messages/old', 'messages/A', 'messages/A']],
      [{ event: 'messages.*', held: true }, ['messages/old', 'messages/A']],
      [{ held: true }, ['messages/old', 'statuses/A', 'messages/A']],
      [{ held: false, verdict: 'event' }, ['statuses/A']],
      [{ since: START + MINUTE }, ['messages/X', 'messages/old']],
      [{ until: START + MINUTE, verdict: 'duplicate', event: 'statuses' }, ['statuses/A']],
      [{ messageId: 'A' }, ['statuses/A', 'statuses/A', 'messages/A', 'messages/A']],
      [{ messageId: 'A', channel: 'second' }, []],
      [{ messageId: 'A', verdict: 'new' }, ['messages/A']],
      [{ messageId: 'X', held: false }, ['messages/X']],
      [{ messagesOnly: true, held: true }, ['messages/old', 'messages/A']],
      [{ resync: 'rsy_none' }, []],
      [{ verdict: 'late' }, []],
    ])('filters by %j', async (filter, wanted) => {
      const fixture = await stage(open);
      await fixture.store.registry.addChannel(channel('second'));
      await register(fixture, ['old']);
      for (const body of [messages('A'), messages('A'), status('A'), status('A')]) await fixture.record(body);
      fixture.clock.advance(MINUTE);
      await fixture.record(messages('old'));
      await fixture.record(messages('X'), { channel: 'second' });
      expect(await shown(fixture, filter)).toEqual(wanted);
    });

    it('for a resync contains what came under its ids, first sightings included', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A', 'B'));
      await fixture.record(messages('other'));
      const { id } = await register(fixture, ['B', 'A', 'C']);
      await fixture.record(messages('A'));
      await fixture.record(status('C'));
      expect(await shown(fixture, { resync: id })).toEqual(['statuses/C', 'messages/A', 'messages/B', 'messages/A']);
      expect(await shown(fixture, { resync: id, held: true })).toEqual(['messages/A']);
      expect(await shown(fixture, { resync: id, messageId: 'B' })).toEqual(['messages/B']);
    });

    it('finds a few matches among thousands, wherever they are', async () => {
      const fixture = await stage(open);
      await fixture.record(status('first'));
      const ids = Array.from({ length: 2500 }, (_, index) => `M${index}`);
      for (let at = 0; at < ids.length; at += 500) await fixture.record(messages(...ids.slice(at, at + 500)));
      await fixture.record(status('last'));
      expect(await shown(fixture, { event: 'statuses' })).toEqual(['statuses/last', 'statuses/first']);
    });

    it('shows the evidence of a verdict: the registration that held it and the first sighting of its id', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      const [before] = await items(fixture);
      fixture.clock.advance(MINUTE);
      const { id } = await register(fixture, ['A']);
      await fixture.record(messages('A', 'B'));
      await fixture.record(LEFT);
      const [group, fresh, restored] = await items(fixture);
      const known = { firstSeenAt: START, firstWebhookId: before?.webhookId };
      expect(restored).toMatchObject({ verdict: 'restored', resyncIds: [id], ...known });
      expect(fresh).toMatchObject({ resyncIds: [], firstSeenAt: START + MINUTE, firstWebhookId: restored?.webhookId });
      expect(group).toMatchObject({ messageId: null, resyncIds: [], firstSeenAt: null, firstWebhookId: null });
    });
  });

  describe('releasing an item', () => {
    it.each([
      ['a receipt', status('A')],
      ['a group event', LEFT],
      ['a chat', CHAT],
      ['a webhook without items', STATE],
      ['an update of a message', UPDATE],
      ['a vote', VOTE],
      ['a message', messages('A')],
      ['a message without an id', messages({ type: 'text' })],
    ])('I4: sends %s after all, byte for byte, once', async (_, body) => {
      const fixture = await stage(open, [closed()]);
      await fixture.record(body);
      const { id } = only(await items(fixture, { held: true }));
      const made = await fixture.store.outbox.releaseItem(id, null);
      const sent = only(await fixture.deliverAll());
      expect([made, sent.body.toString()]).toEqual([[sent.id], JSON.stringify(body)]);
      expect(await items(fixture, { held: true })).toEqual([]);
      await expect(fixture.store.outbox.releaseItem(id, null)).rejects.toEqual(refusal('GW_NOT_HELD'));
    });

    it('sends only the chosen item of a batch and leaves the others held', async () => {
      const fixture = await stage(open, [closed()]);
      const [one, two] = [GROUP, { ...GROUP, action: 'remove' }];
      await fixture.record({ ...LEFT, groups_participants: [one, two] });
      const { id } = first(await items(fixture, { held: true }));
      await fixture.store.outbox.releaseItem(id, null);
      expect(JSON.parse(only(await fixture.deliverAll()).body.toString())).toEqual({
        ...LEFT,
        groups_participants: [two],
      });
      expect((await items(fixture, { held: true })).map(({ position }) => position)).toEqual([0]);
    });

    it('to chosen targets leaves it held for the others and sends nothing twice', async () => {
      const fixture = await stage(open, [closed('bot'), closed('archive')]);
      await fixture.record(status('A'));
      const { id } = only(await items(fixture, { held: true }));
      expect(await fixture.store.outbox.releaseItem(id, ['archive', 'archive'])).toHaveLength(1);
      await expect(fixture.store.outbox.releaseItem(id, ['archive'])).rejects.toEqual(refusal('GW_NOT_HELD'));
      await fixture.store.outbox.releaseItem(id, null);
      expect((await fixture.deliverAll()).map((each) => each.target.id).sort()).toEqual(['archive', 'bot']);
    });

    it('releases this sighting of a message with its repetitions, while a revision is released separately', async () => {
      const fixture = await stage(open, [target('bot', { deliver: ['late'] })]);
      await fixture.record(messages('A'));
      await fixture.record(messages('A'));
      await fixture.record(revisions(message('A', 'alice', { text: { body: 'Revised' } })));
      const [revised, , oldest] = await items(fixture, { held: true });
      await fixture.store.outbox.releaseItem(oldest?.id ?? '', null);
      expect(first(await fixture.deliverAll()).verdicts).toEqual(['new']);
      expect((await items(fixture, { held: true })).map(({ id }) => id)).toEqual([revised?.id]);
    });

    it('releases a poll without its votes, and a vote without its poll', async () => {
      const fixture = await stage(open, [closed()]);
      for (const body of [messages(message('poll', 'alice', { type: 'poll' })), VOTE, VOTE]) await fixture.record(body);
      await fixture.store.outbox.release('main', 'poll', null);
      expect(only(await fixture.deliverAll()).verdicts).toEqual(['new']);
      expect((await items(fixture, { held: true })).map(({ rule }) => rule)).toEqual([1, 2]);
      await fixture.store.outbox.releaseItem(first(await items(fixture, { held: true })).id, null);
      expect((await items(fixture, { held: true })).map(({ rule }) => rule)).toEqual([2]);
    });

    it('is refused for an invalid id, an unknown item and an unknown target', async () => {
      const fixture = await stage(open, [closed()]);
      await fixture.record(status('A'));
      const { id } = only(await items(fixture));
      const none = ['', 'A', 'itm_', 'itm_00000000000_0', id.replace(/_0$/, '_1'), id.replace(/_0$/, '_00')];
      for (const each of none) {
        await expect(fixture.store.outbox.releaseItem(each, null)).rejects.toEqual(refusal('GW_NOT_FOUND'));
      }
      await expect(fixture.store.outbox.releaseItem(id, ['nobody'])).rejects.toEqual(refusal('GW_NOT_FOUND'));
      expect(await fixture.deliverAll()).toEqual([]);
    });

    it('I4: is refused with an explanation once its payload is pruned', async () => {
      const fixture = await stage(open, [closed()]);
      await fixture.record(status('A'));
      const { id, webhookId } = only(await items(fixture));
      fixture.clock.advance(8 * DAY);
      await prune(fixture, { payloadMs: 7 * DAY, ledgerMs: 400 * DAY });
      await expect(fixture.store.outbox.releaseItem(id, null)).rejects.toEqual(refusal('GW_PAYLOAD_GONE'));
      await expect(fixture.store.items.webhook(webhookId)).rejects.toEqual(refusal('GW_PAYLOAD_GONE'));
    });

    it('creates a delivery that never expires and stays marked as released when it is retried', async () => {
      const fixture = await stage(open, [closed('bot', { maxAgeSeconds: 60 })]);
      await fixture.record(messages('A'));
      const [id = ''] = await fixture.store.outbox.release('main', 'A', null);
      const claimed = await fixture.claimOne();
      expect(claimed).toMatchObject({ id, newestMessageAt: null });
      await fixture.settle(claimed, 'dead');
      expect(await fixture.store.outbox.retry(id)).toMatchObject({ released: true, status: 'pending' });
      const { deliveries = [] } = (await fixture.store.items.explain('main', 'A')) ?? {};
      expect(deliveries.map(({ released }) => released)).toEqual([true]);
    });
  });

  describe('a bulk release of items', () => {
    it('releases every held item that the filter matches, of any event', async () => {
      const fixture = await stage(open, [closed()]);
      for (const body of [messages('A'), status('A'), LEFT, STATE]) await fixture.record(body);
      expect(await runJob(fixture, { kind: 'release', filter: { event: 'statuses' } })).toMatchObject({ done: 1 });
      expect(await runJob(fixture, { kind: 'release', filter: { messageId: 'A' } })).toMatchObject({
        total: 1,
        done: 1,
      });
      expect(await runJob(fixture, { kind: 'release', filter: {} })).toMatchObject({ total: 2, done: 2, skipped: 0 });
      expect(await fixture.deliverAll()).toHaveLength(4);
      expect(await items(fixture, { held: true })).toEqual([]);
    });

    it('previews its size, targets, verdicts and first items without releasing anything', async () => {
      const fixture = await stage(open, [closed('bot'), closed('archive', { events: ['messages'] })]);
      await fixture.record(messages('A', 'B'));
      for (let i = 0; i < 30; i += 1) await fixture.record(status(`S${i}`));
      const { sample, ...counts } = await fixture.store.jobs.survey({ kind: 'release', filter: {} });
      expect(counts).toEqual({
        ...{ kind: 'release', count: 32 },
        ...{ byTarget: { bot: 32, archive: 2 }, alreadySent: {}, byVerdict: { new: 2, event: 30 } },
      });
      expect(sample).toHaveLength(20);
      expect(first<unknown>(sample)).toMatchObject({ messageId: 'A', verdict: 'new', held: true });
      expect(await fixture.deliverAll()).toEqual([]);
    });

    it('counts only what it sends: repetitions go with their message, and targets that have it are skipped', async () => {
      const fixture = await stage(open, [closed('bot'), closed('archive')]);
      for (let time = 0; time < 3; time += 1) await fixture.record(messages('A'));
      const named = { verdict: 'duplicate', targets: ['bot'] } as const;
      const survey = async () => (await fixture.store.jobs.survey({ kind: 'release', filter: named })).count;
      expect(await survey()).toBe(1);
      await runJob(fixture, { kind: 'release', filter: named });
      expect([await survey(), (await fixture.deliverAll()).length]).toEqual([0, 1]);
    });

    it('is refused without creating a job when it matches over a tenth more than expected', async () => {
      const fixture = await stage(open, [closed()]);
      await fixture.record(messages(...Array.from({ length: 11 }, (_, at) => `M${at}`)));
      const work = { kind: 'release', filter: {} } as const;
      await expect(fixture.store.jobs.add(work, 9)).rejects.toMatchObject({
        ...{ code: 'GW_CONFLICT', message: expect.stringMatching(/\b11\b.*\b9\b/) as unknown },
      });
      expect((await fixture.store.jobs.list(ALL)).data).toEqual([]);
      expect(await fixture.store.jobs.add(work, 10)).toMatchObject({ total: 11 });
    });
  });

  describe('a webhook', () => {
    it('shows its content, its items with their bytes, and what each target was sent', async () => {
      const fixture = await stage(open);
      await register(fixture, ['old']);
      const body = Buffer.from('{"messages":[{"id":"é"},{"id":"old"}],"event":{"type":"messages","event":"post"}}');
      await fixture.record(body, { method: 'PUT', suffix: '/messages', contentType: 'text/plain' });
      const { webhookId } = first(await items(fixture));
      await fixture.store.outbox.release('main', 'old', null);
      const shownOf = await fixture.store.items.webhook(webhookId);
      expect(shownOf).toMatchObject({
        ...{ id: webhookId, channel: 'main', method: 'PUT', suffix: '/messages', contentType: 'text/plain' },
        ...{ event: 'messages.post', receivedAt: START, auditId: null, body },
        items: [
          { messageId: 'é', verdict: 'new' },
          { messageId: 'old', verdict: 'restored', held: false },
        ],
      });
      const bytes = shownOf.items.map(({ span }) => body.toString('utf8', span?.start, span?.end));
      expect(bytes).toEqual(['{"id":"é"}', '{"id":"old"}']);
      expect(shownOf.deliveries.map(({ positions, released }) => [positions, released])).toEqual([
        [[0], false],
        [[1], true],
      ]);
    });

    it('that was forwarded whole shows all items as sent, and an unknown one is refused', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A', 'B'));
      const { webhookId } = first(await items(fixture));
      expect((await fixture.store.items.webhook(webhookId)).deliveries.map(({ positions }) => positions)).toEqual([
        [0, 1],
      ]);
      for (const id of ['', 'nonsense', '00000000000', 'zzzzzzzzzzz'])
        await expect(fixture.store.items.webhook(id)).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });
  });

  describe('the held count of a resync', () => {
    /** The resync's report, the messages that it lists as held, and what releasing its messages would send. */
    async function counts(fixture: StoreFixture, id: string) {
      const page = await fixture.store.resyncs.messages(id, ALL, { held: true });
      const filter = { resync: id, messagesOnly: true };
      const { count } = await fixture.store.jobs.survey({ kind: 'release', filter });
      return [(await fixture.store.resyncs.report(id))?.held, page.data.length, count];
    }

    it('excludes a repeated receipt of the same id', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      await fixture.record(messages('A'));
      await fixture.store.outbox.release('main', 'A', null);
      for (let time = 0; time < 2; time += 1) await fixture.record(status('A'));
      expect(await shown(fixture, { resync: id, held: true })).toEqual(['statuses/A']);
      expect(await counts(fixture, id)).toEqual([0, 0, 0]);
    });

    it('includes a message that another rule held, and counts one that came several times once', async () => {
      const fixture = await stage(open, [target('bot', { deliver: ['late'] })]);
      await fixture.record(messages('A', 'B'));
      const { id } = await register(fixture, ['A', 'B', 'C']);
      for (let time = 0; time < 2; time += 1) await fixture.record(messages('B'));
      expect(await counts(fixture, id)).toEqual([2, 2, 2]);
      await runJob(fixture, { kind: 'release', filter: { resync: id, messagesOnly: true } });
      expect(idsIn(await fixture.deliverAll())).toEqual(['A', 'B']);
      expect(await counts(fixture, id)).toEqual([0, 0, 0]);
    });

    it('excludes messages that no target subscribes to any more', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      await fixture.record(messages('A'));
      expect(await counts(fixture, id)).toEqual([1, 1, 1]);
      await fixture.store.registry.changeTarget('bot', { events: ['statuses'] });
      expect(await counts(fixture, id)).toEqual([0, 0, 0]);
    });

    it('matches the paged list among thousands of items', async () => {
      const fixture = await stage(open);
      const ids = Array.from({ length: 900 }, (_, at) => `M${at}`);
      const { id } = await register(fixture, ids, { windowSeconds: HOUR / SECOND });
      await fixture.record(messages('M7', 'M500', 'M899'));
      const held = await allPages(1, async (page) => await fixture.store.resyncs.messages(id, page, { held: true }));
      expect(held.map(({ messageId }) => messageId)).toEqual(['M7', 'M500', 'M899']);
      expect(await shown(fixture, { resync: id, held: true })).toHaveLength(3);
    });
  });
}
