import { expect, it } from 'vitest';
import { openPostgresStore } from '../../src/store/postgres/engine.js';
import type { Delivery } from '../../src/store/outbox.js';
import type { Store } from '../../src/store/store.js';
import { systemEffects } from '../../src/effects.js';
import { nextTurn } from '../../src/event-loop.js';
import { locationOf, runSql, useDatabases } from '../support/postgres/fixture.js';
import { channel, idsIn, LEASE, message, messages, record, settlement, target } from '../support/store.js';

const WEBHOOKS = 400;
const CHATS = 10;
/** Advisory locks that lock nothing, found before PostgreSQL's own. */
const WITHOUT_LOCKS = `CREATE SCHEMA no_locks;
  CREATE FUNCTION no_locks.pg_advisory_xact_lock(integer, integer) RETURNS void LANGUAGE sql AS '';
  CREATE FUNCTION no_locks.pg_advisory_xact_lock_shared(integer, integer) RETURNS void LANGUAGE sql AS '';`;

const databases = useDatabases();

interface Outcome {
  /** Webhooks that were judged new more than once, or never. */
  readonly misjudged: number;
  /** Deliveries of one chat that were in flight at the same time, or out of order. */
  readonly disordered: number;
  /** Messages that were not delivered, or more than once. */
  readonly wrong: number;
}

/** Three replicas record the same webhooks at the same time, each in an order of its own, while they claim and settle. */
async function race(url: string): Promise<Outcome> {
  const stores = await Promise.all([1, 2, 3].map(async () => await openPostgresStore(locationOf(url), systemEffects)));
  const [first] = stores;
  await first?.registry.addChannel(channel('main'));
  await first?.registry.addTarget(target('bot'));
  const ids = Array.from({ length: WEBHOOKS }, (_, at) => `m${at}`);
  const fresh: string[] = [];
  const recording = stores.map(async (store) => {
    for (const part of inParts(shuffled(ids), 40)) {
      await Promise.all(
        part.map(async (id) => {
          const { verdicts } = await record(store, messages(message(id, chatOf(id))));
          if (verdicts[0] === 'new') fresh.push(id);
        }),
      );
    }
  });
  const isDone = { value: false };
  const deliveries = deliver(stores, isDone);
  await Promise.all(recording);
  isDone.value = true;
  const { delivered, disordered } = await deliveries;
  await Promise.all(stores.map(async (store) => await store.close()));
  return {
    misjudged: fresh.length - WEBHOOKS + (WEBHOOKS - new Set(fresh).size),
    disordered,
    wrong: delivered.length - WEBHOOKS + 2 * (WEBHOOKS - new Set(delivered).size),
  };
}

/** Claims and settles through any of them, until all is recorded and nothing is due. */
async function deliver(stores: readonly Store[], isDone: { readonly value: boolean }) {
  const delivered: string[] = [];
  const inFlight = new Map<string, string>();
  let disordered = 0;
  const lastOf = new Map<string, string>();
  const one = async (store: Store, delivery: Delivery): Promise<void> => {
    const [id = ''] = idsIn([delivery]);
    const chat = chatOf(id);
    if (inFlight.has(chat) || (lastOf.get(chat) ?? '') > delivery.id) disordered += 1;
    inFlight.set(chat, id);
    lastOf.set(chat, delivery.id);
    await nextTurn();
    inFlight.delete(chat);
    delivered.push(id);
    await store.outbox.settle(settlement(delivery, 'delivered'));
  };
  for (let idle = 0; idle < 3;) {
    const claimed = await Promise.all(
      stores.map(async (store) => {
        const { deliveries } = await store.outbox.claim([{ targetId: 'bot', limit: 20 }], LEASE);
        await Promise.all(deliveries.map(async (delivery) => await one(store, delivery)));
        return deliveries.length;
      }),
    );
    idle = isDone.value && claimed.every((count) => count === 0) ? idle + 1 : 0;
  }
  return { delivered, disordered };
}

function chatOf(id: string): string {
  return `chat${Number(id.slice(1)) % CHATS}`;
}

function shuffled<T>(list: readonly T[]): T[] {
  return list
    .map((value) => [Math.random(), value] as const)
    .sort(([one], [other]) => one - other)
    .map(([, value]) => value);
}

function inParts<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, at) => list.slice(at * size, (at + 1) * size));
}

it('I3, I6: three replicas that record the same webhooks at once give one delivery each, in order', async () => {
  expect(await race(await databases.create())).toEqual({ misjudged: 0, disordered: 0, wrong: 0 });
});

it('without the locks of channels, the same race goes wrong', async () => {
  const url = await databases.create();
  await runSql(url, WITHOUT_LOCKS);
  const { misjudged } = await race(`${url}?options=${encodeURIComponent('-c search_path=no_locks,pg_catalog')}`);
  await runSql(url, 'DROP SCHEMA no_locks CASCADE');
  expect(misjudged).toBeGreaterThan(0);
});

it('I3, I6: does not depend on the isolation of transactions that is usual in the database', async () => {
  const url = await databases.createBare();
  const name = new URL(url).pathname.slice(1);
  await runSql(url, `ALTER DATABASE ${name} SET default_transaction_isolation = 'repeatable read'`);
  expect(await race(url)).toEqual({ misjudged: 0, disordered: 0, wrong: 0 });
});
