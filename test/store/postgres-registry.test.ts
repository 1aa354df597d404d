import { expect, it, onTestFinished } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import { connect, openPostgresStore } from '../../src/store/postgres/engine.js';
import { locationOf, rowsOf, runSql, useDatabases } from '../support/postgres/fixture.js';
import { channel, target } from '../support/store.js';

const databases = useDatabases();

async function stage() {
  const url = await databases.create();
  const store = await openPostgresStore(locationOf(url), systemEffects);
  onTestFinished(async () => await store.close());
  await store.registry.addChannel(channel('main'));
  const base = await connect(locationOf(url), systemEffects);
  onTestFinished(async () => await base.db.end());
  return { url, store, base };
}

async function versionOf(url: string): Promise<string> {
  const [row] = (await rowsOf(url, "SELECT value FROM gateway.meta WHERE key = 'registry_version'")) as {
    value: string;
  }[];
  return row?.value ?? '';
}

it('a read of the registry that ends late does not hide what was changed meanwhile', async () => {
  const { store, base } = await stage();
  const { all } = base.db;
  let answer = (): void => undefined;
  let answers = 0;
  const held = new Promise<void>((resolve) => (answer = resolve));
  base.db.all = async (...query) => {
    const rows = await all.apply(base.db, query);
    answers += 1;
    await held;
    return rows as never;
  };
  const late = base.registry.refresh();
  await expect.poll(() => answers).toBe(2); // channels and targets
  base.db.all = all.bind(base.db);
  await store.registry.addTarget(target('bot'));
  base.registry.forget(); // as after a change of this process
  expect([...(await base.registry.current()).targets.keys()]).toEqual(['bot']);
  answer();
  await late;
  expect([...(await base.registry.current()).targets.keys()]).toEqual(['bot']);
});

it('a change that was lost in a failover does not share its version with the next one', async () => {
  const { url, store } = await stage();
  const before = await versionOf(url);
  await store.registry.addTarget(target('lost'));
  const lost = await versionOf(url);
  await runSql(url, `UPDATE gateway.meta SET value = '${before}' WHERE key = 'registry_version'`);
  await store.registry.addTarget(target('next'));
  expect(await versionOf(url)).not.toBe(lost);
});
