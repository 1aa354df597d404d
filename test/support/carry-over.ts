import { join } from 'node:path';
import { systemEffects } from '../../src/effects.js';
import { carryOverStore } from '../../src/store/open.js';
import type { CarriedOver, CarryOverProgress } from '../../src/store/carry-over.js';
import { openPostgresStore } from '../../src/store/postgres/engine.js';
import { openSqliteStore } from '../../src/store/sqlite/engine.js';
import type { StoreSizes } from '../../src/store/sqlite/engine.js';
import type { Store } from '../../src/store/store.js';
import { temporaryFolderInMemory } from './files.js';
import { locationOf } from './postgres/fixture.js';
import {
  HOUR,
  message,
  messages,
  openFixture,
  register,
  revisions,
  START,
  stage,
  status,
  takeCall,
  target,
} from './store.js';
import type { Clock, StoreFixture } from './store.js';

/** A store in a SQLite file, and that file. */
export interface SqliteStore {
  readonly file: string;
  readonly fixture: StoreFixture;
}

/** With the channel `main` and the targets `bot` and `log`. */
export async function sqliteStore(sizes: StoreSizes = {}): Promise<SqliteStore> {
  const file = join(temporaryFolderInMemory(), 'gateway.db');
  const targets = [target('bot'), target('log', { deliver: ['new', 'restored'] })];
  const fixture = await stage(
    async () => await openFixture((effects) => closedOnce(openSqliteStore(file, effects, sizes))),
    targets,
  );
  return { file, fixture };
}

/** Tests close it before it is carried over, and once more at their end. */
function closedOnce(store: Store): Store {
  let closed: Promise<void> | null = null;
  return { ...store, close: async () => await (closed ??= store.close()) };
}

/**
 * Fills it with all that a store may hold: verdicts of every kind, deliveries that are pending, waiting behind others, delivered
 * and dead, open registrations, claims, an audit and a job. Message A was delivered, B waits for a retry, C waits behind it.
 */
export async function fill(fixture: StoreFixture): Promise<void> {
  const { store, clock } = fixture;
  await fixture.record(messages('A', message('A2', 'bob')));
  await fixture.record(status('A'));
  await fixture.deliverAll();
  await fixture.record(messages('D'), {});
  for (const delivery of (await fixture.claim()).deliveries) await fixture.settle(delivery, 'dead');
  await register(fixture, ['A', 'X', 'Y']);
  const call = await takeCall(fixture);
  await store.resyncs.settleCall(call, { status: 'waiting', nextAt: clock.now() + HOUR, closesAt: clock.now() + HOUR });
  await fixture.record(messages('A', 'X')); // restored, held for "bot"
  await fixture.deliverAll();
  await fixture.record(revisions(message('A', 'alice', { text: { body: 'revised' } })));
  await fixture.deliverAll();
  await store.claims.claim({ channel: 'main', messageId: 'A', owner: 'one', ttlSeconds: 3600 });
  await store.audits.begin({ kind: 'audit', channel: 'main', since: 1, until: START / 1000, memorySince: 0 });
  await store.calls.countCall('main');
  await store.registry.rememberConnection('main', {
    webhookUrl: 'https://gw.example/w',
    hasSetPersist: true,
    connectedAt: START,
  });
  await store.jobs.add({ kind: 'retry', filter: { target: 'bot' } } as never);
  clock.advance(1000);
  await fixture.record(messages('B'));
  for (const delivery of (await fixture.claim()).deliveries)
    await fixture.settle(delivery, 'pending', clock.now() + HOUR);
  await fixture.record(messages('C', message('C2', 'bob')));
}

/** Carries a closed SQLite store over. */
export async function carry(
  file: string,
  url: string,
  onProgress: (progress: CarryOverProgress, stop: () => void) => void = () => undefined,
): Promise<CarriedOver> {
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  return await carryOverStore(file, locationOf(url), systemEffects, {
    signal: stopped.signal,
    onProgress: (progress) => onProgress(progress, stop),
  });
}

/** A handle on the PostgreSQL store, with the clock of the SQLite one. */
export async function postgresStore(url: string, clock: Clock): Promise<StoreFixture> {
  return await openFixture(async (effects) => await openPostgresStore(locationOf(url), effects, effects.now), clock);
}

/** What both engines tell, to be compared. */
export async function readAll({ store }: StoreFixture): Promise<unknown> {
  const page = { limit: 100, cursor: null };
  const { data: resyncs } = await store.resyncs.list(page);
  const { data: webhooks } = await store.items.webhooks({}, page);
  const since = { since: START + 1000 };
  return {
    channels: await store.registry.channels(),
    connection: await store.registry.connection('main'),
    targets: await store.registry.targets(),
    deliveries: (await store.outbox.deliveries({}, page)).data,
    newDeliveries: (await store.outbox.deliveries(since, page)).data,
    details: await Promise.all(webhooks.map(async ({ id }) => await store.items.webhook(id))),
    webhooks,
    newWebhooks: (await store.items.webhooks(since, page)).data,
    items: (await store.items.list({}, page)).data,
    held: (await store.items.list({ held: true }, page)).data,
    newItems: (await store.items.list(since, page)).data,
    explained: await Promise.all(
      ['A', 'B', 'C', 'D', 'X', 'Y'].map(async (id) => await store.items.explain('main', id)),
    ),
    audits: (await store.audits.list(page)).data,
    resyncs,
    messages: await Promise.all(resyncs.map(async ({ id }) => (await store.resyncs.messages(id, page)).data)),
    calls: await store.calls.stateOf('main'),
    nextCalls: await store.calls.nextCalls('main'),
  };
}
