import { describe, expect, it } from 'vitest';
import { BREAKER_INTERVALS } from '../src/delivery/breaker.js';
import { systemEffects } from '../src/effects.js';
import { startSimulator } from '../src/simulator/simulator.js';
import { startBot } from './support/bot.js';
import type { Bot } from './support/bot.js';
import { KEYS } from './support/engines.js';
import { startLocal } from './support/gateway.js';
import type { LocalGateway, LocalOptions } from './support/gateway.js';
import { until } from './support/intervals.js';
import { rowsOf, runSql, useDatabases } from './support/postgres/fixture.js';
import { finished, intervalsWith, lose, sendWebhooksTo } from './support/resync.js';
import { HOUR, MINUTE, SECOND } from './support/store.js';
import { textWebhook } from './support/texts.js';

const databases = useDatabases({});

/** A Whapi that is down. */
const NOWHERE = 'http://127.0.0.1:1';

/** Two replicas: the machine of one is an hour ahead of PostgreSQL, that of the other one an hour behind. */
interface TwoClocks {
  readonly url: string;
  readonly ahead: LocalGateway;
  readonly behind: LocalGateway;
  readonly bot: Bot;
  readonly target: string;
}

async function startTwo(
  settings: Record<string, unknown> = {},
  intervals: LocalOptions['intervals'] = {},
): Promise<TwoClocks> {
  const url = await databases.create();
  const start = async (byMs: number): Promise<LocalGateway> =>
    await startLocal({
      env: { ...KEYS, DATABASE_URL: url },
      effects: { now: () => systemEffects.now() + byMs, monotonic: () => systemEffects.monotonic() + 2 * HOUR + byMs },
      intervals: { ...intervalsWith(), ...intervals },
    });
  const [ahead, behind, bot] = await Promise.all([start(HOUR), start(-HOUR), startBot()]);
  await ahead.addChannel({ whapi_base_url: NOWHERE });
  const { id } = await ahead.addTarget({ url: bot.url, ...settings });
  await until(async () => expect((await webhook(behind, 'first')).status).toBe(200));
  await bot.received(1);
  return { url, ahead, behind, bot, target: id };
}

async function webhook(gateway: LocalGateway, id: string, sentMsAgo = 0, chat = `chat-of-${id}`) {
  const at = Math.floor((Date.now() - sentMsAgo) / SECOND);
  return await gateway.webhook(textWebhook({ id, chat, at }));
}

async function verdicts(gateway: LocalGateway, id: string, sentMsAgo: number, chat: string): Promise<unknown> {
  return (await webhook(gateway, id, sentMsAgo, chat)).body.verdicts;
}

/** How the deliveries ended, the newest first. */
async function statuses(gateway: LocalGateway): Promise<string[]> {
  await gateway.settled();
  return (await gateway.call<{ data: { status: string }[] }>('GET', '/v1/deliveries')).body.data.map(
    (each) => each.status,
  );
}

async function breakerAt(gateway: LocalGateway, target: string) {
  const { body } = await gateway.call<{ breaker: { state: string; next_probe_at: string | null } }>(
    'GET',
    `/v1/targets/${target}`,
  );
  return body.breaker;
}

describe('two replicas whose clocks are hours apart go by the clock of PostgreSQL:', () => {
  it('messages expire by their real age', async () => {
    const { ahead, behind } = await startTwo({ max_age_seconds: (30 * MINUTE) / SECOND });
    await webhook(ahead, 'young', 5 * MINUTE);
    await webhook(behind, 'young-too', 5 * MINUTE);
    await webhook(ahead, 'old', 50 * MINUTE);
    await webhook(behind, 'old-too', 50 * MINUTE);
    expect(await statuses(behind)).toEqual(['expired', 'expired', 'delivered', 'delivered', 'delivered']);
  });

  it('an older message of a chat is late after an hour, and not before (rule 9)', async () => {
    const { url, ahead, behind } = await startTwo();
    await webhook(behind, 'newest', 0, 'chat');
    expect(await verdicts(ahead, 'a-retry', 30 * MINUTE, 'chat')).toEqual({ new: 1 });
    await runSql(url, `UPDATE gateway.chats SET received_at = received_at - ${1.5 * HOUR}`);
    expect(await verdicts(behind, 'lost-before', 30 * MINUTE, 'chat')).toEqual({ late: 1 });
  });

  it('a retry waits until the moment that the bot names (Retry-After)', async () => {
    const { ahead, behind, bot } = await startTwo();
    const busy = 3 * SECOND;
    bot.answers.push(...Array.from({ length: 2 }, () => refuseUntil(busy)));
    const begun = Date.now();
    await webhook(ahead, 'a');
    await webhook(behind, 'b');
    await bot.received(5);
    const tookMs = Date.now() - begun;
    expect(tookMs).toBeGreaterThan(busy - SECOND); // the header has whole seconds
    expect(tookMs).toBeLessThan(busy + 10 * SECOND);
  });

  it('a circuit breaker that one opens pauses both, and both know until when', async () => {
    const pause = 3 * SECOND;
    const breaker = { ...BREAKER_INTERVALS, failures: 1, pausesMs: [pause] };
    const { ahead, behind, bot, target } = await startTwo({}, { breaker });
    bot.answers.push(503);
    await webhook(ahead, 'a');
    await until(async () => expect((await breakerAt(behind, target)).state).toBe('open'));
    const [one, other] = [await breakerAt(ahead, target), await breakerAt(behind, target)];
    expect(one.next_probe_at).toBe(other.next_probe_at);
    expect(Math.abs(Date.parse(one.next_probe_at ?? '') - Date.now())).toBeLessThan(2 * pause);
    await webhook(behind, 'b');
    expect(
      (await bot.received(4))
        .slice(2)
        .flatMap(({ ids }) => ids)
        .sort(),
    ).toEqual(['a', 'b']);
  });

  it('a resync through one recognizes what comes back through the other (rule 3)', async () => {
    const { ahead, behind } = await startTwo();
    const whapi = await startSimulator({ timeScale: 1000 });
    await ahead.addChannel({ name: 'lossy', whapi_token: whapi.token, whapi_base_url: whapi.url });
    sendWebhooksTo(behind, whapi, 'lossy');
    lose(whapi, ['lost-1', 'lost-2']);
    const { body } = await ahead.call<{ id: string }>('POST', '/v1/resyncs', {
      ...{ channel: 'lossy', message_ids: ['lost-1', 'lost-2'] },
    });
    expect(await finished(behind, body.id)).toMatchObject({ status: 'finished', counts: { restored: 2 } });
    await whapi.close();
  });

  it('sessions, claims and the grace period of a signing secret last as long for both', async () => {
    const { ahead, behind, bot, target } = await startTwo();
    for (const [one, other] of [[ahead, behind] as const, [behind, ahead] as const]) {
      expect(await readWithSession(one, other)).toBe(200);
      expect(await claimTwice(one, other)).toEqual([201, 409]);
      await one.call('POST', `/v1/targets/${target}/rotate-secret`, { grace_seconds: 60 });
      await until(async () => {
        await webhook(other, `after-${bot.requests.length}`);
        await other.settled();
        expect(String(bot.requests.at(-1)?.headers['webhook-signature']).split(' ').length).toBeGreaterThan(1);
      });
    }
    for (const { headers } of bot.requests)
      expect(Math.abs(Number(headers['webhook-timestamp']) * SECOND - Date.now())).toBeLessThan(MINUTE);
  });

  it('statistics of the last minute count both, and the doctor names both clocks', async () => {
    const { ahead, behind } = await startTwo();
    await webhook(ahead, 'a');
    await webhook(behind, 'b');
    await until(async () => expect((await webhooksIn(ahead)) + (await webhooksIn(behind))).toBe(6));
    expect(await clockCheck(ahead)).toMatch(/3600 s ahead of/);
    expect(await clockCheck(behind)).toMatch(/3600 s behind/);
  });

  it('no time that is stored or told comes from the clock of a replica', async () => {
    const { url, ahead, behind, bot, target } = await startTwo();
    bot.answers.push(503, 500);
    for (const [at, gateway] of [ahead, behind].entries()) {
      await webhook(gateway, `message-${at}`);
      await gateway.webhook('{}', { secret: 'wrong' });
      await claimTwice(gateway, gateway);
      await gateway.call('POST', '/v1/resyncs', { channel: 'main', message_ids: [`lost-${at}`] });
      await gateway.call('POST', '/v1/channels/main/seed');
      await gateway.call('POST', '/v1/deliveries/retry', { status: 'dead', target });
      await gateway.addChannel({ name: `channel-${at}`, whapi_base_url: NOWHERE });
    }
    await ahead.settled();
    for (const gateway of [ahead, behind]) {
      expect(await toldTimes(gateway)).toEqual([]);
      await gateway.close();
    }
    expect(await storedTimes(url)).toEqual([]);
  });
});

function refuseUntil(ms: number): Bot['otherwise'] {
  return (_, response) => {
    response.writeHead(503, { 'retry-after': new Date(Date.now() + ms).toUTCString() }).end();
  };
}

/** Logs in at one, and reads from the other. */
async function readWithSession(one: LocalGateway, other: LocalGateway): Promise<number> {
  const answer = await fetch(`${one.url}/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: one.url },
    body: JSON.stringify({ token: KEYS.ADMIN_TOKEN }),
  });
  const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
  return (await fetch(`${other.url}/v1/targets`, { headers: { cookie } })).status;
}

async function claimTwice(one: LocalGateway, other: LocalGateway): Promise<number[]> {
  const path = `/claims/claimed-at-${new URL(one.url).port}`;
  const headers = { authorization: 'Bearer a-whapi-token' };
  const claims = [
    await one.call('POST', path, { owner: 'one', ttl_seconds: 60 }, headers),
    await other.call('POST', path, { owner: 'other' }, headers),
  ];
  return claims.map(({ status }) => status);
}

async function webhooksIn(gateway: LocalGateway): Promise<number> {
  const { body } = await gateway.call<{ channels: { webhooks: number }[] }>('GET', '/v1/stats?minutes=1');
  return body.channels[0]?.webhooks ?? 0;
}

async function clockCheck(gateway: LocalGateway): Promise<string> {
  const { body } = await gateway.call<{ checks: { name: string; message: string }[] }>('GET', '/v1/doctor');
  return body.checks.find(({ name }) => name === 'database_clock')?.message ?? '';
}

/** Between a time of PostgreSQL and one of a replica, which is an hour away. */
const MOST = HOUR / 2;
const TOLD = [
  '/v1/channels',
  '/v1/targets',
  '/v1/deliveries',
  '/v1/items',
  '/v1/webhooks',
  '/v1/resyncs',
  '/v1/audits',
  '/v1/jobs',
];

/** Times in answers of the API that are too far away. */
async function toldTimes(gateway: LocalGateway): Promise<string[]> {
  const wrong: string[] = [];
  for (const path of TOLD) {
    const text = JSON.stringify((await gateway.call('GET', path)).body);
    for (const [, name = '', time = ''] of text.matchAll(/"(\w+)":"(\d{4}-\d\d-\d\dT[^"]+Z)"/g))
      if (!ASKED_FOR.test(name) && Math.abs(Date.parse(time) - Date.now()) > MOST)
        wrong.push(`${path} ${name} ${time}`);
  }
  return wrong;
}

/** What a request names, or lies far ahead on purpose. */
const ASKED_FOR = /since|until|closes_at|expires_at/;

/** Columns with times that are too far away. A view of a table is left out. */
async function storedTimes(url: string): Promise<unknown[]> {
  const columns = (await rowsOf(
    url,
    `SELECT c.table_name AS table, c.column_name AS name FROM information_schema.columns c
       JOIN information_schema.tables t USING (table_schema, table_name)
     WHERE c.table_schema = 'gateway' AND t.table_type = 'BASE TABLE' AND c.data_type = 'bigint'
       AND c.column_name ~ '(^at|_at|^until|_until|^start)$' AND c.table_name <> 'audits' AND c.column_name <> 'closes_at'`,
  )) as { table: string; name: string }[];
  const found = columns.map(
    ({ table, name }) =>
      `SELECT '${table}.${name}' AS name, ${name} AS time FROM gateway.${table} WHERE ${name} > 0
       ${table === 'rollups' ? 'AND step_ms <= 300000' : ''}`, // an hour of counts begins up to an hour ago
  );
  const now = 'extract(epoch FROM clock_timestamp()) * 1000';
  return await rowsOf(url, `SELECT * FROM (${found.join(' UNION ALL ')}) f WHERE abs(time - ${now}) > ${MOST}`);
}
