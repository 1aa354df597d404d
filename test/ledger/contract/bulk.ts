import { describe, expect, it } from 'vitest';
import type { ReleaseFilter } from '../../../src/ledger/items.js';
import type { BulkWork } from '../../../src/ledger/jobs.js';
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
} from '../../support/ledger.js';
import type { OpenStore, Store } from '../../support/ledger.js';

const RETRY_DEAD = { kind: 'retry', filter: { status: 'dead' } } as const;
const RELEASE_ALL: BulkWork = { kind: 'release', filter: {} };

async function countOf({ ledger }: Store, work: BulkWork): Promise<number> {
  return (await ledger.surveyWork(work)).count;
}

/** Records messages, each in a chat of its own, and ends their deliveries as dead. */
async function bury(store: Store, ...ids: string[]): Promise<void> {
  await Promise.all(ids.map(async (id) => await store.record(messages(message(id, `chat of ${id}`)))));
  const { deliveries } = await store.claim({ limit: ids.length });
  await Promise.all(deliveries.map(async (each) => await store.settle(each, 'dead')));
}

/** Messages that a resync brought back, each in a webhook of its own, held. Gives the id of the resync. */
async function hold(store: Store, ...ids: string[]): Promise<string> {
  const { id } = await register(store, ids);
  for (const each of ids) await store.record(messages(message(each, `chat of ${each}`)));
  return id;
}

async function heldIds(store: Store): Promise<string[]> {
  const held = await allPages(500, async (page) => await store.ledger.messages({ held: true }, page));
  return held.map(({ messageId }) => messageId).reverse();
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `M${index}`);
}

async function stepAll(store: Store): Promise<void> {
  while ((await store.ledger.stepJob()) !== null);
}

function releaseOf(filter: ReleaseFilter): BulkWork {
  return { kind: 'release', filter };
}

/** Retries and releases of many, as jobs. */
export function bulkContract(open: OpenStore): void {
  describe('a job', () => {
    it('has nothing done when it is made, and tells step by step how far it is', async () => {
      const store = await stage(open);
      await bury(store, ...numbered(300));
      store.clock.advance(SECOND);
      const job = await store.ledger.addJob(RETRY_DEAD);
      const made = { ...RETRY_DEAD, total: 300, createdAt: START + SECOND, finishedAt: null, skipped: 0 };
      expect(job).toEqual({ ...made, id: job.id, status: 'running', done: 0 });
      expect((await store.claim()).deliveries).toEqual([]);
      const step = (await store.ledger.stepJob()) ?? 0;
      expect(await store.ledger.job(job.id)).toMatchObject({ status: 'running', done: step });
      expect([step > 0, step < 300]).toEqual([true, true]);
      await stepAll(store);
      const over = { status: 'finished', done: 300, finishedAt: START + SECOND };
      expect(await store.ledger.job(job.id)).toMatchObject(over);
    });

    it('I4: goes on after a restart where it was, and takes each once', async () => {
      const store = await stage(open);
      await bury(store, ...numbered(900));
      const { id } = await store.ledger.addJob(RETRY_DEAD);
      await store.ledger.stepJob();
      await store.restart();
      await store.ledger.stepJob();
      await store.restart();
      await stepAll(store);
      expect(await store.ledger.job(id)).toMatchObject({ status: 'finished', total: 900, done: 900 });
      expect(idsIn(await store.deliverAll()).sort()).toEqual(numbered(900).sort());
    });

    it('takes as many items of one huge webhook in a step as of small ones: it is read once for all of them', async () => {
      const store = await stage(open, [target('bot', { deliver: ['late'] })]);
      const long = { text: { body: 'x'.repeat(40_000) } };
      await store.record(messages(...numbered(60).map((id) => message(id, `chat of ${id}`, long))));
      await store.ledger.addJob(RELEASE_ALL);
      expect(await store.ledger.stepJob()).toBeGreaterThan(10);
    });

    it('that is cancelled leaves what it has done, and does nothing more', async () => {
      const store = await stage(open);
      await bury(store, ...numbered(300));
      const { id } = await store.ledger.addJob(RETRY_DEAD);
      const done = await store.ledger.stepJob();
      expect(await store.ledger.cancelJob(id)).toMatchObject({ status: 'cancelled', done, finishedAt: START });
      expect(await store.ledger.stepJob()).toBeNull();
      expect((await store.claim({ limit: 500 })).deliveries).toHaveLength(done ?? -1);
    });

    it('that is over stays as it is when it is cancelled; one that there is not is refused', async () => {
      const store = await stage(open);
      const job = await runJob(store, RETRY_DEAD);
      store.clock.advance(SECOND);
      expect(await store.ledger.cancelJob(job.id)).toEqual(job);
      for (const id of ['job_00000000000', 'nonsense', ''])
        await expect(store.ledger.cancelJob(id)).rejects.toEqual(refusal('GW_NOT_FOUND'));
      expect(await store.ledger.job('nonsense')).toBeNull();
    });

    it('waits for those that were made before it', async () => {
      const store = await stage(open, [target('bot'), target('archive')]);
      await bury(store, ...numbered(300));
      const { id: one } = await store.ledger.addJob({ kind: 'retry', filter: { status: 'dead', target: 'bot' } });
      const { id: two } = await store.ledger.addJob({ kind: 'retry', filter: { status: 'dead', target: 'archive' } });
      await store.ledger.stepJob();
      expect(await store.ledger.job(two)).toMatchObject({ status: 'running', done: 0 });
      await stepAll(store);
      const jobs = await allPages(1, async (page) => await store.ledger.jobs(page));
      expect(jobs.map(({ id, done }) => [id, done])).toEqual([
        [two, 300],
        [one, 300],
      ]);
    });

    it('is forgotten with the payloads of its time, but not while it runs', async () => {
      const store = await stage(open);
      await bury(store, 'A');
      const over = await runJob(store, RETRY_DEAD);
      const running = await store.ledger.addJob(RELEASE_ALL);
      const retention = { payloadMs: 7 * DAY, ledgerMs: 400 * DAY };
      store.clock.advance(7 * DAY);
      await prune(store, retention);
      expect(await store.ledger.job(over.id)).toEqual(over);
      store.clock.advance(1);
      await prune(store, retention);
      const { data } = await store.ledger.jobs({ limit: 9, cursor: null });
      expect(data).toEqual([running]);
    });
  });

  describe('a retry of many', () => {
    it('takes what its filter names, and nothing where it is only counted', async () => {
      const store = await stage(open);
      for (const id of ['A', 'B', 'C']) {
        await bury(store, id);
        store.clock.advance(DAY);
      }
      const work: BulkWork = { kind: 'retry', filter: { status: 'dead', since: START + DAY, until: START + 2 * DAY } };
      expect(await countOf(store, work)).toBe(1);
      expect((await store.claim()).deliveries).toEqual([]);
      expect(await runJob(store, work)).toMatchObject({ total: 1, done: 1 });
      expect(idsIn((await store.claim()).deliveries)).toEqual(['B']);
    });

    it.each([
      [{ status: 'dead' }, 3],
      [{ status: 'delivered' }, 0],
      [{ status: 'dead', target: 'bot' }, 3],
      [{ status: 'dead', channel: 'main' }, 3],
      [{ status: 'dead', channel: 'second' }, 0],
      [{ status: 'dead', target: 'archive' }, 0],
      [{ status: 'dead', event: 'messages' }, 3],
      [{ status: 'dead', event: 'statuses.post' }, 0],
      [{ status: 'dead', since: START + 1 }, 0],
      [{ status: 'dead', until: START }, 0],
    ] as const)('filtered by %j finds %i', async (filter, count) => {
      const store = await stage(open, [target('bot'), target('archive', { channels: ['second'] })]);
      await bury(store, 'A', 'B', 'C');
      expect(await countOf(store, { kind: 'retry', filter })).toBe(count);
      expect(await runJob(store, { kind: 'retry', filter })).toMatchObject({ total: count, done: count, filter });
      expect((await store.claim()).deliveries).toHaveLength(count);
    });

    it('leaves alone what was settled after it was made, what it has sent again itself included', async () => {
      const store = await stage(open);
      await bury(store, ...numbered(300));
      await store.record(messages('pending'));
      const pending = await store.claimOne();
      const { id } = await store.ledger.addJob(RETRY_DEAD);
      store.clock.advance(SECOND);
      await store.settle(pending, 'dead');
      while ((await store.ledger.stepJob()) !== null) {
        for (const each of (await store.claim({ limit: 500 })).deliveries) await store.settle(each, 'dead');
      }
      expect(await store.ledger.job(id)).toMatchObject({ status: 'finished', total: 300, done: 300 });
      expect(await store.ledger.delivery(pending.id)).toMatchObject({ status: 'dead', attempts: 1 });
    });

    it('made twice at one instant sends each once', async () => {
      const store = await stage(open);
      await bury(store, ...numbered(30));
      const jobs = await Promise.all([store.ledger.addJob(RETRY_DEAD), store.ledger.addJob(RETRY_DEAD)]);
      await stepAll(store);
      const done = await Promise.all(jobs.map(async ({ id }) => (await store.ledger.job(id))?.done));
      expect(done.sort()).toEqual([0, 30]);
      expect(await store.deliverAll()).toHaveLength(30);
    });

    it('of what was delivered sends it once more, though it is delivered again while the job runs', async () => {
      const store = await stage(open);
      await Promise.all(numbered(300).map(async (id) => await store.record(messages(message(id, id)))));
      await store.deliverAll();
      await store.ledger.addJob({ kind: 'retry', filter: { status: 'delivered' } });
      const sent: string[] = [];
      while ((await store.ledger.stepJob()) !== null) sent.push(...idsIn(await store.deliverAll()));
      expect(sent.sort()).toEqual(numbered(300).sort());
    });

    it('is refused for a target that there is not', async () => {
      const { ledger } = await stage(open);
      const work: BulkWork = { kind: 'retry', filter: { status: 'dead', target: 'nobody' } };
      await expect(ledger.surveyWork(work)).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await expect(ledger.addJob(work)).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('leaves out those whose target was removed, before it was made or after', async () => {
      const store = await stage(open, [target('bot'), target('archive'), target('third')]);
      await store.record(messages('A'));
      for (const delivery of (await store.claim()).deliveries) await store.settle(delivery, 'dead');
      await store.ledger.removeTarget('bot');
      const { id, total } = await store.ledger.addJob(RETRY_DEAD);
      await store.ledger.removeTarget('archive');
      await stepAll(store);
      expect([total, (await store.ledger.job(id))?.done]).toEqual([2, 1]);
      expect((await store.claimOne()).target.id).toBe('third');
    });
  });

  describe('a release of many', () => {
    it('sends each held message once, in order of time', async () => {
      const store = await stage(open);
      await hold(store, 'C', 'A', 'B');
      expect(await countOf(store, RELEASE_ALL)).toBe(3);
      expect(await store.deliverAll()).toEqual([]);
      expect(await runJob(store, RELEASE_ALL)).toMatchObject({ status: 'finished', total: 3, done: 3, skipped: 0 });
      expect(idsIn(await store.deliverAll())).toEqual(['C', 'A', 'B']);
      expect(await heldIds(store)).toEqual([]);
      expect(await countOf(store, RELEASE_ALL)).toBe(0);
    });

    it('goes through hundreds in small steps, also through those of one webhook', async () => {
      const store = await stage(open);
      const ids = numbered(220);
      await register(store, ids);
      await store.record(messages(...ids));
      const { id } = await store.ledger.addJob(RELEASE_ALL);
      const step = (await store.ledger.stepJob()) ?? 0;
      expect([step > 0, step < 220]).toEqual([true, true]);
      await store.restart();
      await stepAll(store);
      expect(await store.ledger.job(id)).toMatchObject({ total: 220, done: 220 });
      expect(idsIn(await store.deliverAll())).toEqual(ids);
    });

    it.each([
      [{}, ['one', 'two', 'shop']],
      [{ channel: 'second' }, ['shop']],
      [{ verdict: 'restored' }, ['one', 'two', 'shop']],
      [{ verdict: 'duplicate' }, ['A']],
      [{ verdict: 'late' }, []],
      [{ since: START + MINUTE }, ['two', 'shop']],
      [{ until: START + MINUTE }, ['one']],
      [{ channel: 'main', since: START + MINUTE, until: START + HOUR }, ['two']],
    ] as const)('filtered by %j sends %j', async (filter, ids) => {
      const store = await stage(open);
      await store.ledger.addChannel(channel('second'));
      await hold(store, 'one');
      await store.record(messages(message('A', 'chat of A')));
      await store.record(messages(message('A', 'chat of A')));
      await store.deliverAll();
      store.clock.advance(MINUTE);
      await hold(store, 'two');
      await register(store, ['shop'], { channel: 'second' });
      await store.record(messages('shop'), { channel: 'second' });
      expect(await runJob(store, releaseOf(filter))).toMatchObject({ total: ids.length, done: ids.length });
      expect(idsIn(await store.deliverAll())).toEqual(ids);
    });

    it('of one resync takes only messages that this resync asked for', async () => {
      const store = await stage(open);
      await hold(store, 'A');
      const second = await hold(store, 'B', 'C');
      await runJob(store, releaseOf({ resync: second }));
      expect(idsIn(await store.deliverAll())).toEqual(['B', 'C']);
      expect(await heldIds(store)).toEqual(['A']);
    });

    it('sends a message that was held several times once, and its revision by itself', async () => {
      const store = await stage(open, [target('bot', { deliver: ['late'] })]);
      await store.record(messages('A'));
      await store.record(messages('A'));
      await store.record(revisions(message('A', 'alice', { text: { body: 'Revised' } })));
      await store.record(messages('A'));
      await runJob(store, RELEASE_ALL);
      await runJob(store, releaseOf({ verdict: 'duplicate' }));
      const bodies = (await store.deliverAll()).map(({ body }) => body.toString().includes('Revised'));
      expect(bodies).toEqual([false, true]);
      expect(await heldIds(store)).toEqual([]);
    });

    it('to chosen targets leaves them held for the others, and is done twice without sending twice', async () => {
      const store = await stage(open, [target('bot'), target('archive')]);
      await hold(store, 'A', 'B');
      expect(await runJob(store, releaseOf({ targets: ['archive'] }))).toMatchObject({ done: 2, skipped: 0 });
      expect(await runJob(store, releaseOf({ targets: ['archive'] }))).toMatchObject({ done: 0, skipped: 2 });
      expect((await store.deliverAll()).map((each) => each.target.id)).toEqual(['archive', 'archive']);
      expect(await heldIds(store)).toEqual(['A', 'B']);
      expect(await runJob(store, RELEASE_ALL)).toMatchObject({ done: 2 });
      expect((await store.deliverAll()).map((each) => each.target.id)).toEqual(['bot', 'bot']);
    });

    it('leaves held what came after it was made, and what nobody subscribes to', async () => {
      const store = await stage(open, [target('bot', { events: ['messages.post'] })]);
      await register(store, ['A', 'B', 'C']);
      await store.record(messages('A'));
      await store.record(revisions(message('B')));
      const { id } = await store.ledger.addJob(RELEASE_ALL);
      await store.record(messages('C'));
      await stepAll(store);
      expect(await store.ledger.job(id)).toMatchObject({ total: 1, done: 1 });
      expect(idsIn(await store.deliverAll())).toEqual(['A']);
      expect(await heldIds(store)).toEqual(['C']);
    });

    it('passes over a message whose target was removed meanwhile', async () => {
      const store = await stage(open, [target('bot'), target('archive')]);
      await hold(store, 'A');
      const { id } = await store.ledger.addJob(releaseOf({ targets: ['archive'] }));
      await store.ledger.removeTarget('archive');
      await stepAll(store);
      expect(await store.ledger.job(id)).toMatchObject({ status: 'finished', done: 0, skipped: 1 });
      expect(await heldIds(store)).toEqual(['A']);
    });

    it('takes messages only, not what merely names one, where it is told to', async () => {
      const store = await stage(open);
      await store.record(status('A'));
      await store.record(status('A'));
      expect(await countOf(store, releaseOf({ verdict: 'duplicate', messagesOnly: true }))).toBe(0);
      expect(await countOf(store, releaseOf({ verdict: 'duplicate' }))).toBe(1);
    });

    it('is refused for a target and a resync that there is not', async () => {
      const { ledger } = await stage(open);
      for (const filter of [{ targets: ['bot', 'nobody'] }, { resync: 'rsy_none' }]) {
        await expect(ledger.surveyWork(releaseOf(filter))).rejects.toEqual(refusal('GW_NOT_FOUND'));
        await expect(ledger.addJob(releaseOf(filter))).rejects.toEqual(refusal('GW_NOT_FOUND'));
      }
      expect(await ledger.jobs({ limit: 9, cursor: null })).toEqual({ data: [], nextCursor: null });
    });

    it('I6: stands behind what waits in its chat, and before what comes later', async () => {
      const store = await stage(open);
      await register(store, ['old', 'older']);
      await store.record(messages('older', 'old'));
      await store.record(messages('A1'));
      await runJob(store, RELEASE_ALL);
      await store.record(messages('A2'));
      const waiting = first((await store.claim()).deliveries);
      await store.settle(waiting, 'delivered');
      expect(idsIn([waiting, ...(await store.deliverAll())])).toEqual(['A1', 'older', 'old', 'A2']);
    });
  });
}
