import { describe, expect, it } from 'vitest';
import type { ListedMessage } from '../../../src/model.js';
import {
  allPages,
  channel,
  DAY,
  HOUR,
  idsIn,
  judgements,
  LEASE,
  message,
  messages,
  only,
  prune,
  refusal,
  register,
  SECOND,
  stage,
  START,
  status,
  target,
} from '../../support/store.js';
import type { OpenFixture, OpenTwo, StoreFixture } from '../../support/store.js';
import { stageStores } from './turns.js';
import type { AuditCounts, AuditLease, AuditRequest, AuditView, AuditWalk } from '../../../src/store/audits.js';

const NOON = START / SECOND;

async function begin(fixture: StoreFixture, request: Partial<AuditRequest> = {}): Promise<string> {
  const usual = { channel: 'main', since: NOON - 1000, until: NOON, memorySince: 0 };
  return (await fixture.store.audits.begin({ kind: 'audit', ...usual, ...request })).id;
}

/** An element of Whapi's list, in a byte order that no serializer would produce. */
function listed(id: string, fields: Record<string, unknown> = {}): ListedMessage {
  const { timestamp, type, chat_id, ...rest } = message(id, 'alice', fields);
  const tail = JSON.stringify(rest).slice(1);
  const json = Buffer.from(`{ "timestamp":${String(timestamp)},"type":"text" , "chat_id":"${String(chat_id)}",${tail}`);
  return { id, timestamp: timestamp as number, type: type as string, chatId: chat_id as string, json };
}

function walk(change: Partial<AuditWalk> = {}): AuditWalk {
  const usual = { stage: 'read', from: NOON, widthSeconds: 60, count: 500, total: 9, round: 1 } as const;
  return { ...usual, totalsAreOff: false, unsettled: false, ...change };
}

/** The lease of a running audit; of one that is over or waits for its turn, a lease that no holder has. */
async function leaseOf({ store }: StoreFixture, id: string): Promise<AuditLease> {
  const run = (await store.audits.take('one', LEASE)).find((each) => each.id === id);
  return run ?? { id, lease: -1 };
}

async function note(
  fixture: StoreFixture,
  id: string,
  ids: readonly (string | ListedMessage)[],
  round = 1,
): Promise<void> {
  const list = ids.map((each) => (typeof each === 'string' ? listed(each) : each));
  await fixture.store.audits.noteWindow(await leaseOf(fixture, id), list, walk({ round }));
}

async function end(fixture: StoreFixture, id: string, error: string | null = null): Promise<boolean> {
  return await fixture.store.audits.end(await leaseOf(fixture, id), error);
}

/** A finished seeding that found these messages at Whapi. */
async function seed(fixture: StoreFixture, ids: readonly string[]): Promise<void> {
  const id = await begin(fixture, { kind: 'seed' });
  await note(fixture, id, ids);
  await end(fixture, id);
}

/** A finished audit that found that no webhook delivered these messages. */
async function audited(fixture: StoreFixture, ids: readonly (string | ListedMessage)[]): Promise<string> {
  const id = await begin(fixture);
  await note(fixture, id, ids);
  await end(fixture, id);
  return id;
}

async function viewOf({ store }: StoreFixture, id: string): Promise<AuditView> {
  const view = await store.audits.get(id);
  if (!view) throw new Error('There is no such audit.');
  return view;
}

async function countsOf(fixture: StoreFixture, id: string): Promise<AuditCounts> {
  return (await viewOf(fixture, id)).counts;
}

async function missingOf({ store }: StoreFixture, id: string): Promise<string[]> {
  const rows = await allPages(2, async (page) => await store.audits.messages(id, page));
  return rows.map(({ messageId }) => messageId);
}

const NO_COUNTS = { whapiHas: 0, seen: 0, neverCame: 0, beforeMemory: 0, seeded: 0, released: 0 };

/** Compares what Whapi has with what webhooks delivered, and records the result in the ledger. */
export function auditsContract(open: OpenFixture, openTwo: OpenTwo): void {
  describe('an audit', () => {
    it('counts delivered messages and lists the missing ones, oldest first, also after a restart', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A', 'B'));
      const id = await begin(fixture);
      await note(fixture, id, [
        'A',
        listed('Y', { timestamp: NOON - 5 }),
        'B',
        listed('X', { timestamp: NOON - 9 }),
        'Z',
      ]);
      await fixture.restart();
      expect(await countsOf(fixture, id)).toEqual({ ...NO_COUNTS, whapiHas: 5, seen: 2, neverCame: 3 });
      expect(await missingOf(fixture, id)).toEqual(['X', 'Y', 'Z']);
      expect((await fixture.store.audits.take('one', LEASE))[0]).toMatchObject({
        id,
        walk: walk(),
        channel: channel('main'),
      });
    });

    it('does not count an id as seen that was only asked for, seeded or named in a receipt', async () => {
      const fixture = await stage(open);
      await register(fixture, ['asked']);
      await seed(fixture, ['seeded']);
      await fixture.record(status('receipt'));
      const id = await begin(fixture);
      await note(fixture, id, ['asked', 'seeded', 'receipt']);
      expect(await missingOf(fixture, id)).toEqual(['asked', 'seeded', 'receipt']);
    });

    it("leaves messages from before the gateway's memory out of the missing ones, and counts those with a webhook as seen", async () => {
      const fixture = await stage(open);
      await fixture.record(messages('old-seen'));
      const id = await begin(fixture, { memorySince: START });
      const before = (name: string): ListedMessage => listed(name, { timestamp: NOON - 1 });
      await note(fixture, id, [before('old'), before('old-seen'), 'X']);
      expect(await countsOf(fixture, id)).toEqual({
        ...NO_COUNTS,
        whapiHas: 3,
        seen: 1,
        beforeMemory: 1,
        neverCame: 1,
      });
    });

    it('checks again at its end and drops what was delivered in the meantime', async () => {
      const fixture = await stage(open);
      const id = await begin(fixture);
      await note(fixture, id, ['A', 'B', 'C']);
      await fixture.record(messages('B'));
      await end(fixture, id);
      expect(await viewOf(fixture, id)).toMatchObject({ status: 'finished', endedAt: START, error: null });
      expect(await countsOf(fixture, id)).toMatchObject({ whapiHas: 3, seen: 1, neverCame: 2 });
      expect(await missingOf(fixture, id)).toEqual(['A', 'C']);
    });

    it('counts from zero in a new round and drops findings of earlier rounds at its end', async () => {
      const fixture = await stage(open);
      const id = await begin(fixture);
      await note(fixture, id, ['gone', 'A']);
      await note(fixture, id, [], 2);
      await note(fixture, id, ['A', 'late'], 2);
      await end(fixture, id);
      expect(await countsOf(fixture, id)).toMatchObject({ whapiHas: 2, neverCame: 2 });
      expect(await missingOf(fixture, id)).toEqual(['A', 'late']);
    });

    it('runs one at a time per channel, and in parallel across channels', async () => {
      const fixture = await stage(open);
      await fixture.store.registry.addChannel(channel('second'));
      const ids = [await begin(fixture), await begin(fixture), await begin(fixture, { channel: 'second' })];
      const running = async (): Promise<string[]> =>
        (await fixture.store.audits.take('one', LEASE)).map(({ id }) => id);
      expect((await running()).sort()).toEqual([ids[0], ids[2]].sort());
      await end(fixture, ids[0] ?? '');
      expect((await running()).sort()).toEqual([ids[1], ids[2]].sort());
    });

    it('stores nothing more once it is cancelled or its channel is removed', async () => {
      const fixture = await stage(open);
      const [one, two] = [await begin(fixture), await begin(fixture)];
      const lease = await leaseOf(fixture, one);
      expect(await fixture.store.audits.cancel(one)).toMatchObject({ status: 'cancelled', endedAt: START });
      expect(await fixture.store.audits.noteWindow(lease, [listed('A')], walk())).toBe(false);
      expect(await fixture.store.audits.end(lease, null)).toBe(false);
      expect(await viewOf(fixture, one)).toMatchObject({ status: 'cancelled', counts: NO_COUNTS });
      await fixture.store.registry.removeChannel('main');
      expect(await viewOf(fixture, two)).toMatchObject({ status: 'cancelled' });
      expect(await fixture.store.audits.take('one', LEASE)).toEqual([]);
    });

    it('shows why it waits until it makes progress, and why it failed permanently', async () => {
      const fixture = await stage(open);
      const id = await begin(fixture);
      await fixture.store.audits.noteTrouble(await leaseOf(fixture, id), '500 Internal Error');
      expect(await viewOf(fixture, id)).toMatchObject({ status: 'running', error: '500 Internal Error' });
      await note(fixture, id, []);
      expect(await viewOf(fixture, id)).toMatchObject({ error: null });
      await end(fixture, id, '404 Channel not found');
      expect(await viewOf(fixture, id)).toMatchObject({ status: 'failed', error: '404 Channel not found' });
    });

    it('is listed newest first in pages, and is refused for an unknown channel', async () => {
      const fixture = await stage(open);
      const ids = [await begin(fixture), await begin(fixture), await begin(fixture)];
      const list = await allPages(2, async (page) => await fixture.store.audits.list(page));
      expect(list.map(({ id }) => id)).toEqual(ids.reverse());
      await expect(begin(fixture, { channel: 'nobody' })).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await expect(fixture.store.audits.cancel('aud_nobody')).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('is pruned with its findings after the payload retention', async () => {
      const fixture = await stage(open);
      const [over, running] = [await audited(fixture, ['A', 'B']), await begin(fixture)];
      fixture.clock.advance(8 * DAY);
      await prune(fixture, { payloadMs: 7 * DAY, ledgerMs: 400 * DAY });
      expect(await fixture.store.audits.get(over)).toBeNull();
      expect(await fixture.store.items.explain('main', 'A')).toBeNull();
      expect(await viewOf(fixture, running)).toMatchObject({ status: 'running' });
    });
  });

  describe('an audit, taken by two processes', () => {
    it('is leased to one of them, whose lease goes on as long as it takes it again', async () => {
      const { fixture, a, b } = await stageStores(openTwo);
      await begin(fixture);
      const [run] = await a.audits.take('one', LEASE);
      fixture.clock.advance(LEASE - 1);
      expect(await b.audits.take('two', LEASE)).toEqual([]);
      expect(await a.audits.take('one', LEASE)).toEqual([run]);
      fixture.clock.advance(LEASE - 1);
      expect(await b.audits.take('two', LEASE)).toEqual([]);
    });

    it('is not overtaken by the next audit of its channel', async () => {
      const { fixture, a, b } = await stageStores(openTwo);
      const [first] = [await begin(fixture), await begin(fixture)];
      expect((await a.audits.take('one', LEASE)).map(({ id }) => id)).toEqual([first]);
      expect(await b.audits.take('two', LEASE)).toEqual([]);
    });

    it('counts a window once: who has lost the lease changes nothing, and is told', async () => {
      const { fixture, a, b } = await stageStores(openTwo);
      const id = await begin(fixture);
      const stale = only(await a.audits.take('one', LEASE));
      fixture.clock.advance(LEASE);
      const run = only(await b.audits.take('two', LEASE));
      expect(await b.audits.noteWindow(run, [listed('A')], walk())).toBe(true);
      expect(await a.audits.noteWindow(stale, [listed('A')], walk())).toBe(false);
      expect(await a.audits.noteTrouble(stale, '500 Internal Error')).toBe(false);
      expect(await a.audits.end(stale, '404 Channel not found')).toBe(false);
      expect(await viewOf(fixture, id)).toMatchObject({ status: 'running', error: null, counts: { whapiHas: 1 } });
      expect(await b.audits.end(run, null)).toBe(true);
    });

    it('can still be saved after its lease, while nobody else has taken it', async () => {
      const { fixture, a } = await stageStores(openTwo);
      await begin(fixture);
      const run = only(await a.audits.take('one', LEASE));
      fixture.clock.advance(LEASE);
      expect(await a.audits.noteWindow(run, [listed('A')], walk())).toBe(true);
    });
  });

  describe('releasing missing messages', () => {
    it('delivers each message once, as late, in the bytes that Whapi gave and the form of a webhook', async () => {
      const fixture = await stage(open);
      const found = listed('X', { big: 1 });
      const id = await audited(fixture, [found]);
      expect(await fixture.store.audits.release(id, null, false)).toEqual({
        messages: 1,
        cameMeanwhile: 0,
        deliveries: 1,
      });
      const { body, verdicts, event, method } = await fixture.claimOne();
      expect({ verdicts, event, method }).toEqual({
        ...{ verdicts: ['late'], event: { type: 'messages', method: 'post' }, method: 'POST' },
      });
      expect(body.toString()).toBe(
        `{"messages":[${found.json.toString()}],"event":{"type":"messages","event":"post"}}`,
      );
      expect(await judgements(fixture, 'X')).toEqual(['late 9']);
    });

    it('I3: never delivers a message twice: released again, by another audit, or followed by its webhook', async () => {
      const fixture = await stage(open);
      const [one, two] = [await audited(fixture, ['X']), await audited(fixture, ['X'])];
      const releases = await Promise.all(
        [one, one, two].map(async (id) => await fixture.store.audits.release(id, null, false)),
      );
      expect(releases.map(({ deliveries }) => deliveries).sort()).toEqual([0, 0, 1]);
      expect(await fixture.record(messages('X'))).toEqual(['duplicate']);
      expect(idsIn(await fixture.deliverAll())).toEqual(['X']);
    });

    it('skips messages that a webhook has delivered since, and counts them', async () => {
      const fixture = await stage(open);
      const id = await audited(fixture, ['X', 'Y']);
      await fixture.record(messages('X'));
      await fixture.deliverAll();
      expect(await fixture.store.audits.release(id, null, false)).toEqual({
        messages: 1,
        cameMeanwhile: 1,
        deliveries: 1,
      });
      expect(idsIn(await fixture.deliverAll())).toEqual(['Y']);
      expect(await countsOf(fixture, id)).toMatchObject({ released: 1 });
    });

    it('resumes after an interrupted step and delivers hundreds of messages in order of their time', async () => {
      const fixture = await stage(open);
      const all = Array.from({ length: 350 }, (_, at) => listed(`M${at}`, { timestamp: NOON - 400 + at }));
      const id = await audited(fixture, all);
      expect(await fixture.store.audits.release(id, null, true)).toMatchObject({ messages: 350, deliveries: 0 });
      expect(await fixture.store.audits.release(id, null, false)).toMatchObject({
        messages: 350,
        deliveries: 350,
      });
      expect(idsIn(await fixture.deliverAll())).toEqual(all.map((each) => each.id));
    });

    it('delivers to the chosen targets among those that want late messages, and holds the messages for the others', async () => {
      const live = target('live', { deliver: ['new'] });
      const fixture = await stage(open, [target('bot'), target('archive'), live]);
      const id = await audited(fixture, ['X']);
      await fixture.store.audits.release(id, ['archive'], false);
      expect((await fixture.deliverAll()).map((delivery) => delivery.target.id)).toEqual(['archive']);
      await fixture.store.outbox.release('main', 'X', ['bot']);
      expect((await fixture.deliverAll()).map((delivery) => delivery.target.id)).toEqual(['bot']);
    });

    it.each([
      ['an unknown audit', 'aud_nobody', null, 'GW_NOT_FOUND'],
      ['an unknown target', null, ['nobody'], 'GW_NOT_FOUND'],
      ['a target that wants no late messages', null, ['live'], 'GW_CONFLICT'],
      ['no target that wants them', null, null, 'GW_CONFLICT'],
    ] as const)('is refused for %s and changes nothing', async (_name, wrongId, targets, code) => {
      const fixture = await stage(open, [target('live', { deliver: ['new'] })]);
      const id = await audited(fixture, ['X']);
      await expect(fixture.store.audits.release(wrongId ?? id, targets, false)).rejects.toEqual(refusal(code));
      expect(await countsOf(fixture, id)).toMatchObject({ released: 0 });
      expect(await judgements(fixture, 'X')).toEqual([]);
    });

    it.each(['audit', 'seed'] as const)('is refused while a run of kind %s is in progress', async (kind) => {
      const fixture = await stage(open);
      const id = await begin(fixture, { kind });
      await note(fixture, id, ['X']);
      await expect(fixture.store.audits.release(id, null, false)).rejects.toEqual(refusal('GW_CONFLICT'));
    });

    it('leaves a message restored while a resync is bringing it back', async () => {
      const fixture = await stage(open);
      await register(fixture, ['X']);
      const id = await audited(fixture, ['X']);
      expect(await fixture.store.audits.release(id, null, false)).toMatchObject({ messages: 1, deliveries: 0 });
      expect(await judgements(fixture, 'X')).toEqual(['restored 3']);
    });

    it('delivers a message that is in the ledger only because of a seeding or an unsuccessful resync', async () => {
      const fixture = await stage(open);
      await seed(fixture, ['X']);
      fixture.clock.advance(2 * HOUR);
      await fixture.store.audits.release(await audited(fixture, ['X']), null, false);
      expect(await judgements(fixture, 'X')).toEqual(['late 9']);
    });

    it("uses the form of the channel's latest message webhook", async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'), { suffix: '/messages/post' });
      await fixture.deliverAll();
      await fixture.store.audits.release(await audited(fixture, ['X']), null, false);
      expect(await fixture.claimOne()).toMatchObject({ method: 'POST', suffix: '/messages/post' });
    });

    it("appears in the message's explanation", async () => {
      const fixture = await stage(open);
      const id = await audited(fixture, ['X']);
      fixture.clock.advance(SECOND);
      await fixture.store.audits.release(id, null, false);
      expect(await fixture.store.items.explain('main', 'X')).toMatchObject({
        sightings: [{ verdict: 'late', auditId: id, seenAt: START + SECOND }],
        audits: [{ auditId: id, foundAt: START, releasedAt: START + SECOND }],
      });
    });
  });

  describe('a seeding', () => {
    it('makes the messages that Whapi had duplicates an hour later, and leaves known ids unchanged', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      const before = await fixture.store.items.explain('main', 'A');
      const id = await begin(fixture, { kind: 'seed' });
      await note(fixture, id, ['A', 'old']);
      expect(await countsOf(fixture, id)).toEqual({ ...NO_COUNTS, whapiHas: 2, seen: 1, seeded: 1 });
      expect(await fixture.store.items.explain('main', 'A')).toEqual(before);
      fixture.clock.advance(HOUR);
      expect(await fixture.record(messages('old', 'live'))).toEqual(['duplicate', 'new']);
    });

    it('does not hide a message, even an old one, whose webhook comes after the seeding', async () => {
      const fixture = await stage(open);
      await seed(fixture, ['live', 'offline']);
      fixture.clock.advance(HOUR - 1);
      expect(await fixture.record(messages('live', message('offline', 'bob', { timestamp: 1_600_000_000 })))).toEqual([
        'new',
        'new',
      ]);
      expect(await fixture.record(messages('live'))).toEqual(['duplicate']);
      expect(idsIn(await fixture.deliverAll())).toEqual(['live', 'offline']);
    });

    it("appears in a message's explanation although no webhook has carried the message", async () => {
      const fixture = await stage(open);
      await seed(fixture, ['X']);
      expect(await fixture.store.items.explain('main', 'X')).toMatchObject({
        ledger: { firstSeenAt: null, rule: null, seededAt: START, lastSeenAt: START },
        sightings: [],
      });
    });

    it('does not stop deliver_unseen from delivering, because no webhook has carried the message', async () => {
      const fixture = await stage(open);
      await seed(fixture, ['X']);
      fixture.clock.advance(2 * HOUR);
      await register(fixture, ['X'], { deliverUnseen: true });
      expect(await fixture.record(messages('X'))).toEqual(['restored']);
      expect(idsIn(await fixture.deliverAll())).toEqual(['X']);
    });

    it('does not delay when an id becomes known after an unsuccessful resync', async () => {
      const fixture = await stage(open);
      await register(fixture, ['X']);
      await fixture.store.resyncs.takeCall('main', 'resync', HOUR);
      fixture.clock.advance(HOUR);
      await seed(fixture, ['X']);
      await fixture.store.resyncs.closeWindows();
      expect(await fixture.record(messages('X'))).toEqual(['duplicate']);
    });
  });
}
