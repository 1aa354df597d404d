import { describe, expect, it } from 'vitest';
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
} from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';
import type { ReleaseFilter } from '../../../src/store/items.js';
import type { BulkWork } from '../../../src/store/jobs.js';

const RETRY_DEAD = { kind: 'retry', filter: { status: 'dead' } } as const;
const RELEASE_ALL: BulkWork = { kind: 'release', filter: {} };

async function countOf({ store }: StoreFixture, work: BulkWork): Promise<number> {
  return (await store.jobs.survey(work)).count;
}

/** Records messages, each in its own chat, and settles their deliveries as dead. */
async function bury(fixture: StoreFixture, ...ids: string[]): Promise<void> {
  await Promise.all(ids.map(async (id) => await fixture.record(messages(message(id, `chat of ${id}`)))));
  const { deliveries } = await fixture.claim({ limit: ids.length });
  await Promise.all(deliveries.map(async (each) => await fixture.settle(each, 'dead')));
}

/** Messages that a resync brought back, each in its own webhook, held. Returns the id of the resync. */
async function hold(fixture: StoreFixture, ...ids: string[]): Promise<string> {
  const { id } = await register(fixture, ids);
  for (const each of ids) await fixture.record(messages(message(each, `chat of ${each}`)));
  return id;
}

async function heldIds(fixture: StoreFixture): Promise<string[]> {
  const held = await allPages(500, async (page) => await fixture.store.items.messages({ held: true }, page));
  return held.map(({ messageId }) => messageId).reverse();
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `M${index}`);
}

async function stepAll(fixture: StoreFixture): Promise<void> {
  while ((await fixture.store.jobs.step()) !== null);
}

function releaseOf(filter: ReleaseFilter): BulkWork {
  return { kind: 'release', filter };
}

/** Bulk retries and releases, run as jobs. */
export function bulkContract(open: OpenFixture): void {
  describe('a job', () => {
    it('starts with nothing done and reports its progress step by step', async () => {
      const fixture = await stage(open);
      await bury(fixture, ...numbered(300));
      fixture.clock.advance(SECOND);
      const job = await fixture.store.jobs.add(RETRY_DEAD);
      const made = { ...RETRY_DEAD, total: 300, createdAt: START + SECOND, finishedAt: null, skipped: 0, busyMs: 0 };
      expect(job).toEqual({ ...made, id: job.id, status: 'running', done: 0 });
      expect((await fixture.claim()).deliveries).toEqual([]);
      const step = (await fixture.store.jobs.step()) ?? 0;
      expect(await fixture.store.jobs.get(job.id)).toMatchObject({ status: 'running', done: step });
      expect([step > 0, step < 300]).toEqual([true, true]);
      await stepAll(fixture);
      const over = { status: 'finished', done: 300, finishedAt: START + SECOND };
      expect(await fixture.store.jobs.get(job.id)).toMatchObject(over);
    });

    it('counts how long its steps take, without the time in which no step ran', async () => {
      const fixture = await stage(open);
      await bury(fixture, ...numbered(500));
      const { id } = await fixture.store.jobs.add(RETRY_DEAD);
      for (const pause of [SECOND, 2 * SECOND]) {
        fixture.clock.advance(pause);
        await fixture.store.jobs.step();
      }
      expect(await fixture.store.jobs.get(id)).toMatchObject({ status: 'running', busyMs: 3 * SECOND });
      fixture.clock.advance(HOUR);
      await fixture.restart();
      await fixture.store.jobs.step();
      expect((await fixture.store.jobs.get(id))?.busyMs).toBeLessThan(MINUTE);
    });

    it('I4: resumes after a restart and processes each item once', async () => {
      const fixture = await stage(open);
      await bury(fixture, ...numbered(900));
      const { id } = await fixture.store.jobs.add(RETRY_DEAD);
      await fixture.store.jobs.step();
      await fixture.restart();
      await fixture.store.jobs.step();
      await fixture.restart();
      await stepAll(fixture);
      expect(await fixture.store.jobs.get(id)).toMatchObject({ status: 'finished', total: 900, done: 900 });
      expect(idsIn(await fixture.deliverAll()).sort()).toEqual(numbered(900).sort());
    });

    it('takes as many items per step from one huge webhook as from small ones, and reads that webhook once', async () => {
      const fixture = await stage(open, [target('bot', { deliver: ['late'] })]);
      const long = { text: { body: 'x'.repeat(40_000) } };
      await fixture.record(messages(...numbered(60).map((id) => message(id, `chat of ${id}`, long))));
      await fixture.store.jobs.add(RELEASE_ALL);
      expect(await fixture.store.jobs.step()).toBeGreaterThan(10);
    });

    it('keeps what is done when it is cancelled, and does nothing more', async () => {
      const fixture = await stage(open);
      await bury(fixture, ...numbered(300));
      const { id } = await fixture.store.jobs.add(RETRY_DEAD);
      const done = await fixture.store.jobs.step();
      expect(await fixture.store.jobs.cancel(id)).toMatchObject({ status: 'cancelled', done, finishedAt: START });
      expect(await fixture.store.jobs.step()).toBeNull();
      expect((await fixture.claim({ limit: 500 })).deliveries).toHaveLength(done ?? -1);
    });

    it('ignores a cancellation once it is over, and a cancellation of an unknown job is refused', async () => {
      const fixture = await stage(open);
      const job = await runJob(fixture, RETRY_DEAD);
      fixture.clock.advance(SECOND);
      expect(await fixture.store.jobs.cancel(job.id)).toEqual(job);
      for (const id of ['job_00000000000', 'nonsense', ''])
        await expect(fixture.store.jobs.cancel(id)).rejects.toEqual(refusal('GW_NOT_FOUND'));
      expect(await fixture.store.jobs.get('nonsense')).toBeNull();
    });

    it('waits for the jobs created before it', async () => {
      const fixture = await stage(open, [target('bot'), target('archive')]);
      await bury(fixture, ...numbered(300));
      const { id: one } = await fixture.store.jobs.add({ kind: 'retry', filter: { status: 'dead', target: 'bot' } });
      const { id: two } = await fixture.store.jobs.add({
        kind: 'retry',
        filter: { status: 'dead', target: 'archive' },
      });
      await fixture.store.jobs.step();
      expect(await fixture.store.jobs.get(two)).toMatchObject({ status: 'running', done: 0 });
      await stepAll(fixture);
      const jobs = await allPages(1, async (page) => await fixture.store.jobs.list(page));
      expect(jobs.map(({ id, done }) => [id, done])).toEqual([
        [two, 300],
        [one, 300],
      ]);
    });

    it('is pruned with the payloads of its time, but not while it runs', async () => {
      const fixture = await stage(open);
      await bury(fixture, 'A');
      const over = await runJob(fixture, RETRY_DEAD);
      const running = await fixture.store.jobs.add(RELEASE_ALL);
      const retention = { payloadMs: 7 * DAY, ledgerMs: 400 * DAY };
      fixture.clock.advance(7 * DAY);
      await prune(fixture, retention);
      expect(await fixture.store.jobs.get(over.id)).toEqual(over);
      fixture.clock.advance(1);
      await prune(fixture, retention);
      const { data } = await fixture.store.jobs.list({ limit: 9, cursor: null });
      expect(data).toEqual([running]);
    });
  });

  describe('a bulk retry', () => {
    it('retries what its filter matches, and nothing on a dry run', async () => {
      const fixture = await stage(open);
      for (const id of ['A', 'B', 'C']) {
        await bury(fixture, id);
        fixture.clock.advance(DAY);
      }
      const work: BulkWork = { kind: 'retry', filter: { status: 'dead', since: START + DAY, until: START + 2 * DAY } };
      expect(await countOf(fixture, work)).toBe(1);
      expect((await fixture.claim()).deliveries).toEqual([]);
      expect(await runJob(fixture, work)).toMatchObject({ total: 1, done: 1 });
      expect(idsIn((await fixture.claim()).deliveries)).toEqual(['B']);
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
    ] as const)('with the filter %j finds %i deliveries', async (filter, count) => {
      const fixture = await stage(open, [target('bot'), target('archive', { channels: ['second'] })]);
      await bury(fixture, 'A', 'B', 'C');
      expect(await countOf(fixture, { kind: 'retry', filter })).toBe(count);
      expect(await runJob(fixture, { kind: 'retry', filter })).toMatchObject({ total: count, done: count, filter });
      expect((await fixture.claim()).deliveries).toHaveLength(count);
    });

    it('skips deliveries that settled after the job was created, including those that it has retried itself', async () => {
      const fixture = await stage(open);
      await bury(fixture, ...numbered(300));
      await fixture.record(messages('pending'));
      const pending = await fixture.claimOne();
      const { id } = await fixture.store.jobs.add(RETRY_DEAD);
      fixture.clock.advance(SECOND);
      await fixture.settle(pending, 'dead');
      while ((await fixture.store.jobs.step()) !== null) {
        for (const each of (await fixture.claim({ limit: 500 })).deliveries) await fixture.settle(each, 'dead');
      }
      expect(await fixture.store.jobs.get(id)).toMatchObject({ status: 'finished', total: 300, done: 300 });
      expect(await fixture.store.outbox.delivery(pending.id)).toMatchObject({ status: 'dead', attempts: 1 });
    });

    it('sends each delivery once when two jobs are created at the same instant', async () => {
      const fixture = await stage(open);
      await bury(fixture, ...numbered(30));
      const jobs = await Promise.all([fixture.store.jobs.add(RETRY_DEAD), fixture.store.jobs.add(RETRY_DEAD)]);
      await stepAll(fixture);
      const done = await Promise.all(jobs.map(async ({ id }) => (await fixture.store.jobs.get(id))?.done));
      expect(done.sort()).toEqual([0, 30]);
      expect(await fixture.deliverAll()).toHaveLength(30);
    });

    it('sends a delivered one once more, even if it is delivered again while the job runs', async () => {
      const fixture = await stage(open);
      await Promise.all(numbered(300).map(async (id) => await fixture.record(messages(message(id, id)))));
      await fixture.deliverAll();
      await fixture.store.jobs.add({ kind: 'retry', filter: { status: 'delivered' } });
      const sent: string[] = [];
      while ((await fixture.store.jobs.step()) !== null) sent.push(...idsIn(await fixture.deliverAll()));
      expect(sent.sort()).toEqual(numbered(300).sort());
    });

    it('is refused for an unknown target', async () => {
      const { store } = await stage(open);
      const work: BulkWork = { kind: 'retry', filter: { status: 'dead', target: 'nobody' } };
      await expect(store.jobs.survey(work)).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await expect(store.jobs.add(work)).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('skips deliveries whose target was removed before or after the job was created', async () => {
      const fixture = await stage(open, [target('bot'), target('archive'), target('third')]);
      await fixture.record(messages('A'));
      for (const delivery of (await fixture.claim()).deliveries) await fixture.settle(delivery, 'dead');
      await fixture.store.registry.removeTarget('bot');
      const { id, total } = await fixture.store.jobs.add(RETRY_DEAD);
      await fixture.store.registry.removeTarget('archive');
      await stepAll(fixture);
      expect([total, (await fixture.store.jobs.get(id))?.done]).toEqual([2, 1]);
      expect((await fixture.claimOne()).target.id).toBe('third');
    });
  });

  describe('a bulk release', () => {
    it('sends each held message once, in order of time', async () => {
      const fixture = await stage(open);
      await hold(fixture, 'C', 'A', 'B');
      expect(await countOf(fixture, RELEASE_ALL)).toBe(3);
      expect(await fixture.deliverAll()).toEqual([]);
      expect(await runJob(fixture, RELEASE_ALL)).toMatchObject({ status: 'finished', total: 3, done: 3, skipped: 0 });
      expect(idsIn(await fixture.deliverAll())).toEqual(['C', 'A', 'B']);
      expect(await heldIds(fixture)).toEqual([]);
      expect(await countOf(fixture, RELEASE_ALL)).toBe(0);
    });

    it('processes hundreds of messages in small steps, including those of one webhook', async () => {
      const fixture = await stage(open);
      const ids = numbered(220);
      await register(fixture, ids);
      await fixture.record(messages(...ids));
      const { id } = await fixture.store.jobs.add(RELEASE_ALL);
      const step = (await fixture.store.jobs.step()) ?? 0;
      expect([step > 0, step < 220]).toEqual([true, true]);
      await fixture.restart();
      await stepAll(fixture);
      expect(await fixture.store.jobs.get(id)).toMatchObject({ total: 220, done: 220 });
      expect(idsIn(await fixture.deliverAll())).toEqual(ids);
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
    ] as const)('with the filter %j sends %j', async (filter, ids) => {
      const fixture = await stage(open);
      await fixture.store.registry.addChannel(channel('second'));
      await hold(fixture, 'one');
      await fixture.record(messages(message('A', 'chat of A')));
      await fixture.record(messages(message('A', 'chat of A')));
      await fixture.deliverAll();
      fixture.clock.advance(MINUTE);
      await hold(fixture, 'two');
      await register(fixture, ['shop'], { channel: 'second' });
      await fixture.record(messages('shop'), { channel: 'second' });
      expect(await runJob(fixture, releaseOf(filter))).toMatchObject({ total: ids.length, done: ids.length });
      expect(idsIn(await fixture.deliverAll())).toEqual(ids);
    });

    it('of one resync releases only messages that this resync asked for', async () => {
      const fixture = await stage(open);
      await hold(fixture, 'A');
      const second = await hold(fixture, 'B', 'C');
      await runJob(fixture, releaseOf({ resync: second }));
      expect(idsIn(await fixture.deliverAll())).toEqual(['B', 'C']);
      expect(await heldIds(fixture)).toEqual(['A']);
    });

    it('sends a message that was held several times once, and its revision separately', async () => {
      const fixture = await stage(open, [target('bot', { deliver: ['late'] })]);
      await fixture.record(messages('A'));
      await fixture.record(messages('A'));
      await fixture.record(revisions(message('A', 'alice', { text: { body: 'Revised' } })));
      await fixture.record(messages('A'));
      await runJob(fixture, RELEASE_ALL);
      await runJob(fixture, releaseOf({ verdict: 'duplicate' }));
      const bodies = (await fixture.deliverAll()).map(({ body }) => body.toString().includes('Revised'));
      expect(bodies).toEqual([false, true]);
      expect(await heldIds(fixture)).toEqual([]);
    });

    it('to chosen targets leaves messages held for the others, and sends nothing twice when repeated', async () => {
      const fixture = await stage(open, [target('bot'), target('archive')]);
      await hold(fixture, 'A', 'B');
      expect(await runJob(fixture, releaseOf({ targets: ['archive'] }))).toMatchObject({ done: 2, skipped: 0 });
      expect(await runJob(fixture, releaseOf({ targets: ['archive'] }))).toMatchObject({ done: 0, skipped: 2 });
      expect((await fixture.deliverAll()).map((each) => each.target.id)).toEqual(['archive', 'archive']);
      expect(await heldIds(fixture)).toEqual(['A', 'B']);
      expect(await runJob(fixture, RELEASE_ALL)).toMatchObject({ done: 2 });
      expect((await fixture.deliverAll()).map((each) => each.target.id)).toEqual(['bot', 'bot']);
    });

    it('leaves messages held that came after the job was created or that no target subscribes to', async () => {
      const fixture = await stage(open, [target('bot', { events: ['messages.post'] })]);
      await register(fixture, ['A', 'B', 'C']);
      await fixture.record(messages('A'));
      await fixture.record(revisions(message('B')));
      const { id } = await fixture.store.jobs.add(RELEASE_ALL);
      await fixture.record(messages('C'));
      await stepAll(fixture);
      expect(await fixture.store.jobs.get(id)).toMatchObject({ total: 1, done: 1 });
      expect(idsIn(await fixture.deliverAll())).toEqual(['A']);
      expect(await heldIds(fixture)).toEqual(['C']);
    });

    it('skips a message whose target was removed in the meantime', async () => {
      const fixture = await stage(open, [target('bot'), target('archive')]);
      await hold(fixture, 'A');
      const { id } = await fixture.store.jobs.add(releaseOf({ targets: ['archive'] }));
      await fixture.store.registry.removeTarget('archive');
      await stepAll(fixture);
      expect(await fixture.store.jobs.get(id)).toMatchObject({ status: 'finished', done: 0, skipped: 1 });
      expect(await heldIds(fixture)).toEqual(['A']);
    });

    it('releases only messages, not items that merely name one, when messagesOnly is set', async () => {
      const fixture = await stage(open);
      await fixture.record(status('A'));
      await fixture.record(status('A'));
      expect(await countOf(fixture, releaseOf({ verdict: 'duplicate', messagesOnly: true }))).toBe(0);
      expect(await countOf(fixture, releaseOf({ verdict: 'duplicate' }))).toBe(1);
    });

    it('is refused for an unknown target and an unknown resync', async () => {
      const { store } = await stage(open);
      for (const filter of [{ targets: ['bot', 'nobody'] }, { resync: 'rsy_none' }]) {
        await expect(store.jobs.survey(releaseOf(filter))).rejects.toEqual(refusal('GW_NOT_FOUND'));
        await expect(store.jobs.add(releaseOf(filter))).rejects.toEqual(refusal('GW_NOT_FOUND'));
      }
      expect(await store.jobs.list({ limit: 9, cursor: null })).toEqual({ data: [], nextCursor: null });
    });

    it('I6: queues behind what already waits in the chat, and ahead of what comes later', async () => {
      const fixture = await stage(open);
      await register(fixture, ['old', 'older']);
      await fixture.record(messages('older', 'old'));
      await fixture.record(messages('A1'));
      await runJob(fixture, RELEASE_ALL);
      await fixture.record(messages('A2'));
      const waiting = first((await fixture.claim()).deliveries);
      await fixture.settle(waiting, 'delivered');
      expect(idsIn([waiting, ...(await fixture.deliverAll())])).toEqual(['A1', 'older', 'old', 'A2']);
    });
  });
}
