import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import { errorText } from '../../src/errors.js';
import type { PostgresLocation } from '../../src/postgres-url.js';
import { connect } from '../../src/store/postgres/engine.js';
import { examineDatabase } from '../../src/store/postgres/examine.js';
import { asStartError } from '../../src/store/postgres/faults.js';
import { locationOf, runSql, useDatabases } from '../support/postgres/fixture.js';
import { freePort } from '../support/sockets.js';

const databases = useDatabases();
const SECRET = 'hunter2';

function changed(url: string, parts: Partial<Record<'username' | 'password' | 'port' | 'pathname', string>>): string {
  return Object.assign(new URL(url), parts).href;
}

/** The text with which the start ends. */
async function startErrorOf(location: PostgresLocation): Promise<string> {
  const opened = connect(location, systemEffects);
  await expect(opened).rejects.toMatchObject({ name: 'StartError', code: 'GW_STORE_UNUSABLE' });
  return await opened.then(String, errorText);
}

/** A user without any right on the database. */
async function stranger(url: string): Promise<string> {
  const name = `stranger${new URL(url).pathname.slice(1)}`;
  await runSql(url, `CREATE ROLE ${name} LOGIN PASSWORD '${SECRET}'`);
  onTestFinished(async () => await runSql(url, `DROP OWNED BY ${name}; DROP ROLE ${name}`));
  return changed(url, { username: name, password: SECRET });
}

describe('the start says what is wrong and what to do', () => {
  it.each([
    [
      'a wrong password',
      { password: SECRET },
      /password authentication failed.*Check user and password in DATABASE_URL/,
    ],
    ['no password', { password: '' }, /needs a password.*Add it to DATABASE_URL/],
    ['an unknown database', { pathname: '/nowhere' }, /"nowhere" does not exist.*createdb --owner=<user> nowhere/],
  ])('with %s', async (_, parts, text) => {
    const told = await startErrorOf(locationOf(changed(await databases.create(), parts)));
    expect(told).toMatch(text);
    expect(told).not.toContain(SECRET);
  });

  it('with a server that is down', async () => {
    const url = changed(await databases.create(), { port: String(await freePort()), password: SECRET });
    const told = await startErrorOf(locationOf(url));
    expect(told).toMatch(/cannot be reached at 127\.0\.0\.1:\d+ \(ECONNREFUSED\).*Check that the server runs/);
    expect(told).not.toContain(SECRET);
  });

  it('with a user who may not create the schema', async () => {
    const told = await startErrorOf(locationOf(await stranger(await databases.createBare())));
    expect(told).toMatch(/permission denied.*needs CREATE on the database/);
  });

  it('with a server that does not encrypt', async () => {
    const told = await startErrorOf({ ...locationOf(await databases.create()), tls: 'checked' });
    expect(told).toMatch(/does not support SSL.*sslmode=disable/);
  });
});

describe('a user who may not create a schema', () => {
  it('can use one that was made for them, which the doctor finds in order', async () => {
    const url = await databases.createBare();
    const location = locationOf(await stranger(url));
    await runSql(url, `CREATE SCHEMA gateway AUTHORIZATION ${new URL(location.url).username}`);
    expect(await examineDatabase(location)).toMatchObject({ isEmpty: true });
    const { db } = await connect(location, systemEffects);
    expect(await db.all('SELECT version FROM gateway.schema')).toHaveLength(1);
    await db.end();
  });

  it('is told by the doctor what is missing', async () => {
    const location = locationOf(await stranger(await databases.createBare()));
    await expect(examineDatabase(location)).rejects.toThrow(/may not create them.*Grant it CREATE on the database/);
  });
});

it.each([
  ['42P05', 'prepared statement "x" already exists', /max_prepared_statements = 500/],
  ['08P01', 'unsupported startup parameter: lock_timeout', /ignore_startup_parameters/],
  ['25006', 'cannot execute CREATE SCHEMA in a read-only transaction', /standby.* lead to the primary/],
])('the start says what to do about the fault %s of a pooler or a standby', (code, message, words) => {
  const error = Object.assign(new pg.DatabaseError(message, message.length, 'error'), { code });
  expect(errorText(asStartError(error))).toMatch(words);
});

it('a connection compiles no statements (jit), and has the options of the URL', async () => {
  const url = `${await databases.create()}?options=${encodeURIComponent('-c work_mem=5MB')}`;
  const { db } = await connect(locationOf(url), systemEffects);
  onTestFinished(async () => await db.end());
  const settings = "SELECT current_setting('jit') AS jit, current_setting('work_mem') AS memory";
  expect(await db.one(settings)).toEqual({ jit: 'off', memory: '5MB' });
});
