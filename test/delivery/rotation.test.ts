import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { retainForever } from '../../src/store/sqlite/database.js';
import { expectProblem } from '../support/api.js';
import { startBot } from '../support/bot.js';
import type { BotAnswer } from '../support/bot.js';
import { startClock } from '../support/clock.js';
import { requestTo, startDelivery } from '../support/delivery.js';
import type { DeliveryStage } from '../support/delivery.js';
import { startLocal } from '../support/gateway.js';
import type { LocalGateway } from '../support/gateway.js';
import { QUICK_RETRIES_MS } from '../support/intervals.js';
import { startProcess } from '../support/process.js';
import { isSignedBy, signersOf } from '../support/signatures.js';
import { textWebhook } from '../support/texts.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;

interface Rotated {
  readonly secret: string;
  readonly previous_secret_expires_at: string | null;
}

async function rotate(
  { gateway, target }: Pick<DeliveryStage, 'gateway' | 'target'>,
  body?: unknown,
): Promise<Rotated> {
  const answer = await gateway.call<Rotated & { id: string }>('POST', `/v1/targets/${target.id}/rotate-secret`, body);
  expect(answer).toMatchObject({ status: 200, body: { id: target.id } });
  return answer.body;
}

async function expiries({ gateway, target }: DeliveryStage): Promise<unknown> {
  const { body } = await gateway.call('GET', `/v1/targets/${target.id}`);
  expect(JSON.stringify(body)).not.toContain('whsec_');
  return body['previous_secrets_expire_at'];
}

/** All file contents of a gateway's folder. */
function diskOf({ folder }: { folder: string }): string {
  return readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'latin1'))
    .join('\n');
}

/** Reads or changes the database of a stopped gateway. */
function inDatabase<T>({ folder }: LocalGateway, action: (db: Database.Database) => T): T {
  const db = retainForever(new Database(join(folder, 'gateway.db')));
  try {
    return action(db);
  } finally {
    db.close();
  }
}

describe('a rotated secret', () => {
  it('signs together with its predecessor until that expires, newest first, then alone', async () => {
    const clock = startClock();
    const stage = await startDelivery({}, { effects: clock.effects });
    const secrets = { first: stage.target.secret, second: (await rotate(stage, { grace_seconds: 60 })).secret };
    await stage.gateway.webhook(textWebhook('m-1'));
    const during = await requestTo(stage.bot);
    clock.advance(61_000);
    await stage.gateway.webhook(textWebhook('m-2'));
    const after = await requestTo(stage.bot, 2);
    expect([signersOf(during, secrets), signersOf(after, secrets)]).toEqual([['first', 'second'], ['second']]);
    const newest = String(during.headers['webhook-signature']).split(' ')[0];
    const alone = { ...during, headers: { ...during.headers, 'webhook-signature': newest } };
    expect([isSignedBy(secrets.second, alone), isSignedBy(secrets.first, alone)]).toEqual([true, false]);
  });

  it('is generated and shown only once, while its predecessor stays valid for a day and shows only its expiry', async () => {
    const clock = startClock({ stopped: true });
    const stage = await startDelivery({}, { effects: clock.effects });
    const end = new Date(clock.now() + DAY_MS).toISOString();
    const { secret, previous_secret_expires_at } = await rotate(stage);
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(previous_secret_expires_at).toBe(end);
    expect(await expiries(stage)).toEqual([end]);
  });

  it('may be supplied by the user and rotated again within the grace period, and all of them sign', async () => {
    const stage = await startDelivery();
    const second = (await rotate(stage)).secret;
    expect((await rotate(stage, { secret: SECRET, grace_seconds: 604_800 })).secret).toBe(SECRET);
    await stage.gateway.webhook(textWebhook('m-1'));
    const secrets = { first: stage.target.secret, second, third: SECRET };
    expect(signersOf(await requestTo(stage.bot), secrets)).toEqual(['first', 'second', 'third']);
    expect(await expiries(stage)).toHaveLength(2);
  });

  it('with a grace period of 0 signs alone at once, as after a PATCH', async () => {
    const stage = await startDelivery();
    const second = (await rotate(stage)).secret;
    const third = await rotate(stage, { grace_seconds: 0 });
    expect([third.previous_secret_expires_at, await expiries(stage)]).toEqual([null, []]);
    await stage.gateway.webhook(textWebhook('m-1'));
    await rotate(stage);
    await stage.gateway.call('PATCH', `/v1/targets/${stage.target.id}`, { secret: SECRET });
    expect(await expiries(stage)).toEqual([]);
    await stage.gateway.webhook(textWebhook('m-2'));
    const secrets = { first: stage.target.secret, second, third: third.secret, fourth: SECRET };
    expect(signersOf(await requestTo(stage.bot, 1), secrets)).toEqual(['third']);
    expect(signersOf(await requestTo(stage.bot, 2), secrets)).toEqual(['fourth']);
  });

  it('signs the repetitions of a delivery that began before it, under the same webhook-id (I5)', async () => {
    const stage = await startDelivery({}, { intervals: { retryDelaysMs: QUICK_RETRIES_MS } });
    let second = '';
    const failAfterRotation: BotAnswer = (_request, response) =>
      void rotate(stage, { grace_seconds: 0 }).then(({ secret }) => {
        second = secret;
        response.writeHead(500).end();
      });
    stage.bot.answers.push(failAfterRotation);
    await stage.gateway.webhook(textWebhook('m-1'));
    const requests = await stage.bot.received(2);
    const secrets = { first: stage.target.secret, second };
    expect(requests.map((request) => signersOf(request, secrets))).toEqual([['first'], ['second']]);
    expect(new Set(requests.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  });

  it('is refused if the request is invalid, and nothing changes', async () => {
    const { gateway, target } = await startDelivery({ secret: SECRET });
    const path = `/v1/targets/${target.id}/rotate-secret`;
    for (const [body, fault] of [
      [{ grace_seconds: -1 }, '/grace_seconds'],
      [{ grace_seconds: 604_801 }, '/grace_seconds'],
      [{ grace_seconds: '60' }, '/grace_seconds'],
      [{ secret: 'whsec_c2hvcnQ=' }, '/secret'],
      [{ secret: SECRET }, '/secret'],
      [{ grace: 60 }, '/grace'],
    ] as const) {
      expect([body, expectProblem(await gateway.call('POST', path, body), 400, 'GW_BAD_REQUEST')]).toEqual([
        body,
        [fault],
      ]);
    }
    expectProblem(await gateway.call('POST', '/v1/targets/tgt_none/rotate-secret', {}), 404, 'GW_NOT_FOUND');
    expect(await gateway.call('GET', `/v1/targets/${target.id}`)).toMatchObject({
      body: { previous_secrets_expire_at: [] },
    });
  });

  it('is refused while four earlier ones still sign, because dropping one would break its verifiers', async () => {
    const stage = await startDelivery();
    for (let made = 0; made < 4; made++) await rotate(stage);
    const answer = await stage.gateway.call('POST', `/v1/targets/${stage.target.id}/rotate-secret`, {});
    expectProblem(answer, 409, 'GW_CONFLICT');
    expect(answer.body['detail']).toContain('"grace_seconds": 0');
    await stage.gateway.webhook(textWebhook('m-1'));
    expect(isSignedBy(stage.target.secret, await requestTo(stage.bot))).toBe(true);
  });
});

describe('secrets and headers at rest', () => {
  it('are in no file and no log line in clear text, and work after a restart', async () => {
    const bot = await startBot();
    const gateway = await startProcess();
    await gateway.client.addChannel();
    const headers = { authorization: 'Bearer hush-hush', 'x-plain': 'tenant-seven' };
    const target = await gateway.client.addTarget({ url: bot.url, headers });
    const { body } = await gateway.client.call<Rotated>('POST', `/v1/targets/${target.id}/rotate-secret`);
    await gateway.end('SIGTERM');
    await gateway.start();
    await gateway.client.webhook(textWebhook('m-1'));
    const request = await requestTo(bot);
    expect(signersOf(request, { first: target.secret, second: body.secret })).toEqual(['first', 'second']);
    expect(request.headers).toMatchObject(headers);
    for (const secret of [target.secret, body.secret, 'hush-hush', 'tenant-seven']) {
      expect(diskOf(gateway) + gateway.log.join('\n')).not.toContain(secret.replace('whsec_', ''));
    }
  });

  it('are deleted with their target', async () => {
    const stage = await startDelivery({ headers: { authorization: 'Bearer hush-hush' } });
    await rotate(stage);
    await stage.gateway.call('DELETE', `/v1/targets/${stage.target.id}`);
    await stage.gateway.close();
    const row = inDatabase(stage.gateway, (db) =>
      db.prepare('SELECT secret, previous_secrets, headers FROM targets').get(),
    );
    expect(row).toEqual({ secret: '', previous_secrets: '[]', headers: '' });
  });

  it('are encrypted at the next start if an earlier version stored headers in clear text', async () => {
    const { gateway, bot } = await startDelivery();
    await gateway.close();
    const clear = JSON.stringify({ authorization: 'Bearer hush-hush' });
    inDatabase(gateway, (db) => {
      db.prepare('UPDATE targets SET headers = ?').run(clear);
      db.exec("UPDATE meta SET value = '1' WHERE key = 'secrets_version'");
    });
    const again = await startLocal({ folder: gateway.folder });
    await again.webhook(textWebhook('m-1'));
    expect((await requestTo(bot)).headers.authorization).toBe('Bearer hush-hush');
    await again.close();
    expect(inDatabase(gateway, (db) => db.prepare('SELECT headers FROM targets').pluck().get())).toMatch(/^v2\./);
  });
});
