import { describe, expect, it, vi } from 'vitest';
import { laneKeys } from '../../src/store/rules/keys.js';
import { parseDeliveryId } from '../../src/store/rules/ids.js';
import { Claims } from '../../src/store/postgres/claims.js';
import type { Base } from '../../src/store/postgres/base.js';
import { PostgresDeliveries } from '../../src/store/postgres/deliveries.js';
import { Leases } from '../../src/store/postgres/leases.js';
import { addDeliveries } from '../../src/store/postgres/new-deliveries.js';
import { takeNumbers } from '../../src/store/postgres/numbers.js';
import { stageReplicas, useDatabases } from '../support/postgres/fixture.js';
import { first, idsIn, LEASE, message, messages, MINUTE, only, START, target } from '../support/store.js';
import type { StoreFixture } from '../support/store.js';
import type { LeftOutStatus, Target } from '../../src/model.js';

const databases = useDatabases();

const stageTwo = async (settings?: Partial<Target>) => await stageReplicas(databases, settings);

/** Records messages of one chat each, given as `chat/id`. */
async function recordEach(fixture: StoreFixture, ...notes: string[]): Promise<void> {
  for (const note of notes) await fixture.record(messages(noted(note)));
}

function noted(note: string): Record<string, unknown> {
  const [chat = '', id = ''] = note.split('/');
  return message(id, chat);
}

async function heldPositions({ db }: Base): Promise<number[]> {
  const rows = await db.all<{ position: number }>(
    'SELECT position FROM gateway.sightings WHERE held ORDER BY position',
  );
  return rows.map(({ position }) => position);
}

async function leaveOut(fixture: StoreFixture, status: LeftOutStatus, id: string): Promise<string> {
  const claimed = first((await fixture.claim()).deliveries.filter((each) => idsIn([each]).includes(id)));
  await fixture.store.outbox.settle({ id: claimed.id, lease: claimed.lease, status, attempt: null });
  return claimed.id;
}

describe('two replicas', () => {
  it('I5: never claim the same delivery, however often they claim at once', async () => {
    const { one, other } = await stageTwo();
    const ids = Array.from({ length: 40 }, (_, at) => `m${at}`);
    await recordEach(one, ...ids.map((id) => `${id}/${id}`));
    const claims = Array.from({ length: 20 }, async (_, at) => await (at % 2 === 0 ? one : other).claim({ limit: 3 }));
    const claimed = (await Promise.all(claims)).flatMap(({ deliveries }) => idsIn(deliveries));
    expect(claimed.sort()).toEqual(ids.sort());
  });

  it('I5, I6: settle what the other one has claimed, with all attempts in its log', async () => {
    const { one, other } = await stageTwo();
    await recordEach(one, 'alice/A1', 'alice/A2');
    await one.settle(await one.claimOne(), 'pending', START);
    const claimed = await other.claimOne();
    expect(await one.settle(claimed, 'delivered')).toBe(true);
    expect(await other.settle(claimed, 'dead')).toBe(false);
    expect(await other.store.outbox.delivery(claimed.id)).toMatchObject({ attempts: 2, log: [{}, { status: 200 }] });
    expect(idsIn([await other.claimOne()])).toEqual(['A2']);
  });

  it('I5: settle a delivery once, whichever of them is first', async () => {
    const { one, other } = await stageTwo();
    await recordEach(one, 'alice/A1');
    const claimed = await one.claimOne();
    const settled = await Promise.all([one, other, one, other].map(async (each) => await each.settle(claimed, 'dead')));
    expect(settled.filter(Boolean)).toEqual([true]);
    expect(await one.store.outbox.delivery(claimed.id)).toMatchObject({ status: 'dead', attempts: 1 });
  });

  it('I6: retry a delivery behind what the other one has recorded since', async () => {
    const { one, other } = await stageTwo();
    await recordEach(one, 'alice/A1');
    const claimed = await one.claimOne();
    await one.settle(claimed, 'dead');
    await recordEach(other, 'alice/A2');
    await one.store.outbox.retry(claimed.id);
    expect(idsIn(await other.deliverAll())).toEqual(['A2', 'A1']);
  });
});

describe('settlements that share a transaction', () => {
  it('I6: free a batch that waits in the lanes of several of them', async () => {
    const { one } = await stageTwo();
    await recordEach(one, 'alice/A1', 'bob/B1');
    await one.record(messages(noted('alice/A2'), noted('bob/B2')));
    const { deliveries } = await one.claim();
    expect(await Promise.all(deliveries.map(async (each) => await one.settle(each, 'delivered')))).toEqual([
      true,
      true,
    ]);
    expect(idsIn([await one.claimOne()])).toEqual(['A2', 'B2']);
  });

  it('hold the items of those that were left out, and of no other', async () => {
    const { one, base } = await stageTwo({ split: 'item' });
    await one.record(messages(noted('alice/A'), noted('bob/B'), noted('carol/C')));
    const outcomes = ['superseded', 'delivered', 'withheld'] as const;
    await Promise.all(
      (await one.claim()).deliveries.map(
        async ({ id, lease }, at) =>
          await one.store.outbox.settle({ id, lease, status: outcomes[at] ?? 'delivered', attempt: null }),
      ),
    );
    expect(await heldPositions(base)).toEqual([0, 2]);
  });
});

describe('a retry of a delivery that was left out', () => {
  it('keeps its items held for as long as another target lacks them', async () => {
    const { one, base } = await stageTwo();
    await one.store.registry.addTarget(target('archive'));
    await recordEach(one, 'alice/A');
    const ids = [await leaveOut(one, 'superseded', 'A')];
    one.clock.advance(LEASE);
    ids.push(await leaveOut(one, 'superseded', 'A'));
    const held: number[][] = [];
    for (const id of ids) {
      await one.store.outbox.retry(id);
      held.push(await heldPositions(base));
    }
    expect(held).toEqual([[0], []]);
  });
});

describe('a claim that fails after its commit', () => {
  it('I5: is made again at once by the same process', async () => {
    const { one, base } = await stageTwo();
    await recordEach(one, 'alice/A1');
    const claims = new Claims(base, new Leases());
    const claim = async () => await claims.claim([{ targetId: 'bot', limit: 9 }], one.clock.now(), MINUTE, new Set());
    vi.spyOn(base.registry, 'atLeast').mockRejectedValueOnce(new Error('The connection is gone.'));
    await expect(claim()).rejects.toThrow('gone');
    expect((await one.claim()).deliveries).toEqual([]);
    expect(idsIn((await claim()).deliveries)).toEqual(['A1']);
  });
});

describe('a claim whose answer was lost', () => {
  it('I5: is made again at once by the same replica, and by others when its lease ends', async () => {
    const { one, base } = await stageTwo();
    await recordEach(one, 'alice/A1');
    const claims = new Claims(base, new Leases());
    const claim = async () => await claims.claim([{ targetId: 'bot', limit: 9 }], one.clock.now(), MINUTE, new Set());
    const { transaction } = base.db;
    base.db.transaction = async (work) => {
      await transaction.call(base.db, work);
      throw new Error('The connection is gone.');
    };
    await expect(claim()).rejects.toThrow('gone');
    base.db.transaction = transaction.bind(base.db);
    expect((await one.claim()).deliveries).toEqual([]);
    expect(idsIn((await claim()).deliveries)).toEqual(['A1']);
  });
});

/** Adds a late message for `bot` in each of these chats, with a body of its own or that of the recorded webhook. */
async function addEach(base: Base, added: readonly { readonly chatId: string; readonly body: Buffer | null }[]) {
  const webhook = await base.db.one<{ id: number }>('SELECT id FROM gateway.webhooks');
  await base.db.transaction(async (tx) => {
    await tx.lockChannels(['main']);
    const registry = await base.registry.in(tx);
    const shared = {
      ...{ webhookId: webhook?.id ?? 0, target: registry.requireTarget('bot').number, channel: 'main' },
      ...{ verdicts: ['late' as const], positions: [0], newestMessageAt: null },
    };
    const deliveries = added.map(({ chatId, body }) => {
      return { ...shared, body, lanes: laneKeys('main', [{ eventType: 'messages', chatId }]) };
    });
    await addDeliveries(tx, registry, deliveries, await takeNumbers(tx, added.length, base.now()), base.now());
  });
}

describe('deliveries that are added together', () => {
  it('I6: wait for those before them, and each has its own body', async () => {
    const { one, base } = await stageTwo();
    await recordEach(one, 'alice/A1');
    const bodyOf = (note: string): Buffer => Buffer.from(JSON.stringify(messages(noted(note))));
    await addEach(base, [
      { chatId: 'alice', body: bodyOf('alice/A2') },
      { chatId: 'bob', body: null },
      { chatId: 'bob', body: bodyOf('bob/B2') },
    ]);
    expect(idsIn((await one.claim()).deliveries)).toEqual(['A1', 'A1']);
    one.clock.advance(LEASE);
    expect(idsIn(await one.deliverAll())).toEqual(['A1', 'A1', 'A2', 'B2']);
  });
});

describe('the removal of a target', () => {
  it('I4: ends its pending deliveries in steps, as dead, and nothing of other targets', async () => {
    const { one, base } = await stageTwo({ split: 'item' });
    await one.store.registry.addTarget(target('archive'));
    await one.record(messages(...Array.from({ length: 25 }, (_, at) => message(`m${at}`, `chat ${at}`))));
    const deliveries = new PostgresDeliveries(base);
    const { number } = (await base.registry.refresh()).requireTarget('bot');
    const step = async (): Promise<boolean> =>
      await base.db.transaction(async (tx) => {
        await tx.lockRegistry();
        return await deliveries.endSomeOfRemoved(tx, number, 10, base.now());
      });
    expect([await step(), await step(), await step()]).toEqual([true, true, false]);
    expect(await one.store.outbox.loadOf('bot')).toMatchObject({ pending: 0, deadLastDay: 25 });
    expect(await one.store.outbox.loadOf('archive')).toMatchObject({ pending: 1 });
    expect(only((await one.claim()).deliveries).target.id).toBe('archive');
  });
});

describe('the id of a delivery', () => {
  it('stays the same when it is retried', async () => {
    const { one, base } = await stageTwo();
    await recordEach(one, 'alice/A1');
    const { id, lease } = await one.claimOne();
    await one.settle({ id, lease }, 'dead');
    await one.store.outbox.retry(id);
    const rows = await base.db.all('SELECT d.id, d.status FROM gateway.deliveries d');
    expect(rows).toEqual([{ id: parseDeliveryId(id), status: 'pending' }]);
  });
});
