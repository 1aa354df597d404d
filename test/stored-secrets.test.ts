import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { retainForever } from '../src/store/sqlite/database.js';
import { startApi, unreachableUrl } from './support/api.js';
import { startBot } from './support/bot.js';
import type { Bot } from './support/bot.js';
import { WEBHOOK_SECRET } from './support/client.js';
import { startLocal } from './support/gateway.js';
import type { LocalGateway } from './support/gateway.js';
import { sealedUnbound } from './support/secrets.js';
import { signersOf } from './support/signatures.js';
import { textWebhook } from './support/texts.js';

const CURRENT = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const PREVIOUS = `whsec_${Buffer.alloc(32, 2).toString('base64')}`;
const HEADERS = '{"x-key":"hush"}';

/** Every sealed secret in the database of a stopped gateway, by its table and column. */
const SECRETS = `
  SELECT 'channels ' || name || ' whapi_token' AS place, whapi_token AS sealed FROM channels
  UNION ALL SELECT 'channels ' || name || ' webhook_secret', webhook_secret FROM channels
  UNION ALL SELECT 'targets headers', headers FROM targets
  UNION ALL SELECT 'targets secret', secret FROM targets
  UNION ALL SELECT 'targets previous_secrets', previous_secrets ->> '$[0].secret' FROM targets`;

function inDatabase<T>(folder: string, action: (db: Database.Database) => T): T {
  const db = retainForever(new Database(join(folder, 'gateway.db')));
  try {
    return action(db);
  } finally {
    db.close();
  }
}

function sealedIn(folder: string): string[] {
  return inDatabase(folder, (db) => db.prepare<[], string>(`SELECT sealed FROM (${SECRETS})`).pluck().all());
}

/** A stopped gateway with a channel `main`, and a bot with headers and two signing secrets. */
async function usedGateway(): Promise<{ gateway: LocalGateway; bot: Bot }> {
  const bot = await startBot();
  const gateway = await startApi();
  const { id } = await gateway.addTarget({ url: bot.url, secret: PREVIOUS, headers: JSON.parse(HEADERS) as unknown });
  await gateway.call('POST', `/v1/targets/${id}/rotate-secret`, { secret: CURRENT });
  await gateway.close();
  return { gateway, bot };
}

/** Puts every secret back into the form of the version before. */
function unbind(folder: string): void {
  const key = Buffer.from(readFileSync(join(folder, 'encryption-key'), 'utf8'), 'base64');
  const old = (secret: string): string => sealedUnbound(secret, key);
  inDatabase(folder, (db) => {
    db.prepare('UPDATE channels SET whapi_token = ?, webhook_secret = ?').run(
      old('a-whapi-token'),
      old(WEBHOOK_SECRET),
    );
    db.prepare(
      "UPDATE targets SET headers = ?, secret = ?, previous_secrets = json_set(previous_secrets, '$[0].secret', ?)",
    ).run(old(HEADERS), old(CURRENT), old(PREVIOUS));
  });
}

/** A webhook goes in and reaches the bot with its headers and both signatures. */
async function worksAsBefore(gateway: LocalGateway, bot: Bot): Promise<void> {
  expect((await gateway.webhook(textWebhook('m-1'))).status).toBe(200);
  await gateway.settled();
  const [request] = bot.requests;
  expect(request?.headers['x-key']).toBe('hush');
  expect(request && signersOf(request, { CURRENT, PREVIOUS })).toEqual(['CURRENT', 'PREVIOUS']);
}

describe('the secrets in the database', () => {
  it('are all bound to their place, and a rotated one to its new place', async () => {
    const { gateway, bot } = await usedGateway();
    expect(sealedIn(gateway.folder)).toEqual(
      Array.from({ length: 5 }, () => expect.stringMatching(/^v2\./) as unknown),
    );
    const again = await startLocal({ folder: gateway.folder });
    expect(again.logs.filter(({ level }) => level >= 40)).toEqual([]);
    await worksAsBefore(again, bot);
  });

  it('of an earlier version are read and sealed anew at the start', async () => {
    const { gateway, bot } = await usedGateway();
    unbind(gateway.folder);
    inDatabase(gateway.folder, (db) => db.exec("UPDATE meta SET value = '1' WHERE key = 'secrets_version'"));
    const again = await startLocal({ folder: gateway.folder });
    await worksAsBefore(again, bot);
    await again.close();
    expect(sealedIn(gateway.folder)).toEqual(
      Array.from({ length: 5 }, () => expect.stringMatching(/^v2\./) as unknown),
    );
  });

  it('do not open unbound once that was done, so that the binding cannot be evaded', async () => {
    const { gateway } = await usedGateway();
    unbind(gateway.folder);
    const again = await startLocal({ folder: gateway.folder });
    expect(again.logs.filter(({ level }) => level === 50)).toHaveLength(5);
    expect((await again.webhook(textWebhook('m-1'))).status).toBe(500);
  });
});

describe('a secret that was moved in the database', () => {
  it.each([
    [
      'to another column',
      "UPDATE channels SET webhook_secret = whapi_token WHERE name = 'main'",
      'webhook_secret of channel "main"',
    ],
    [
      'to another channel',
      "UPDATE channels SET webhook_secret = (SELECT webhook_secret FROM channels WHERE name = 'other') WHERE name = 'main'",
      'webhook_secret of channel "main"',
    ],
  ])('%s opens nothing; the log and the answer name its place', async (_, sql, place) => {
    const gateway = await startApi();
    await gateway.addChannel({
      name: 'other',
      webhook_secret: 'the-secret-of-the-attacker',
      whapi_base_url: await unreachableUrl(),
    });
    await gateway.close();
    inDatabase(gateway.folder, (db) => db.exec(sql));
    const again = await startLocal({ folder: gateway.folder });
    expect(again.logs.filter(({ level }) => level === 50)).toEqual([
      expect.objectContaining({ msg: 'stored secret does not open', secret: place }),
    ]);
    for (const secret of ['a-whapi-token', 'the-secret-of-the-attacker']) {
      const { status, body } = await again.webhook(textWebhook('m-1'), { secret });
      expect({ status, body }).toMatchObject({ status: 500, body: { code: 'GW_INTERNAL' } });
      expect(JSON.stringify(body)).toContain(place.replaceAll('"', '\\"'));
    }
    const other = { channel: 'other', secret: 'the-secret-of-the-attacker' };
    expect((await again.webhook(textWebhook('m-1'), other)).status).toBe(200);
  });

  it('does not let the token of one channel act for another, which keeps working', async () => {
    const gateway = await startApi();
    await gateway.addChannel({
      name: 'other',
      whapi_token: 'the-token-of-another',
      whapi_base_url: await unreachableUrl(),
    });
    await gateway.close();
    const copied = "(SELECT whapi_token FROM channels WHERE name = 'other')";
    inDatabase(gateway.folder, (db) => db.exec(`UPDATE channels SET whapi_token = ${copied} WHERE name = 'main'`));
    const again = await startLocal({ folder: gateway.folder });
    const statusFor = async (token: string): Promise<number> =>
      (await again.call('GET', '/whapi/settings', undefined, { authorization: `Bearer ${token}` })).status;
    expect([await statusFor('the-token-of-another'), await statusFor('a-whapi-token')]).toEqual([502, 401]);
    await again.call('DELETE', '/v1/channels/other');
    expect(await statusFor('the-token-of-another')).toBe(401);
  });
});
