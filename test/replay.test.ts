import { describe, expect, it } from 'vitest';
import { adminTokenOf } from './support/api.js';
import { startBot } from './support/bot.js';
import type { Bot } from './support/bot.js';
import { startLocal } from './support/gateway.js';
import type { LocalGateway } from './support/gateway.js';
import { finished, lose, resync, startResyncs } from './support/resync.js';
import { textWebhook } from './support/texts.js';

const [HOUR, DAY] = [3600, 86_400];

interface Stage {
  readonly gateway: LocalGateway;
  readonly bot: Bot;
}

interface ChannelJson {
  readonly last_replay: { messages: number; held: number; began_at: string } | null;
}

async function startStage(settings: Record<string, unknown> = {}): Promise<Stage> {
  const gateway = await startLocal();
  await gateway.addChannel({ whapi_base_url: 'http://127.0.0.1:9', ...settings });
  const bot = await startBot();
  await gateway.addTarget({ url: bot.url });
  return { gateway, bot };
}

/** Whapi sends messages, each with a webhook of its own. `age`: in seconds. */
async function arrive({ gateway }: Pick<Stage, 'gateway'>, count: number, age: number, name = 'old'): Promise<void> {
  const now = Math.floor(Date.now() / 1000);
  for (let index = 0; index < count; index += 1)
    await gateway.webhook(textWebhook({ id: `${name}-${index}`, at: now - age - index }));
}

async function replayOf({ gateway }: Pick<Stage, 'gateway'>): Promise<ChannelJson['last_replay']> {
  return (await gateway.call<ChannelJson>('GET', '/v1/channels/main')).body.last_replay;
}

async function receivedBy({ gateway, bot }: Stage): Promise<number> {
  await gateway.settled();
  return bot.requests.flatMap(({ ids }) => ids).length;
}

/** What the doctor says about replays. */
async function checkOf({ gateway }: Pick<Stage, 'gateway'>): Promise<unknown> {
  const { body } = await gateway.call<{ checks: { name: string }[] }>('GET', '/v1/doctor');
  return body.checks.find(({ name }) => name === 'replay');
}

const ALERT = 'unrequested old messages arrived';
const alertsOf = ({ gateway }: Pick<Stage, 'gateway'>) => gateway.logs.filter(({ msg }) => msg === ALERT);

describe('unrequested old messages', () => {
  it('are delivered by default, with one alert in the log, the channel, the doctor and the metrics', async () => {
    const stage = await startStage();
    await arrive(stage, 25, 100 * DAY);
    expect(await receivedBy(stage)).toBe(25);
    expect(alertsOf(stage)).toMatchObject([{ level: 40, channel: 'main', messages: 20, held: 0 }]);
    expect(await replayOf(stage)).toMatchObject({ messages: 25, held: 0 });
    expect(await checkOf(stage)).toMatchObject({
      ...{ subject: 'main', status: 'warn' },
      message: expect.stringContaining('25 unrequested old messages came together') as unknown,
      fix: expect.stringMatching(/"channels set main --on-replay hold", or PATCH .* "on_replay": "hold"/) as unknown,
    });
    const metrics = await fetch(`${stage.gateway.url}/metrics`, {
      headers: { authorization: `Bearer ${adminTokenOf(stage.gateway.folder)}` },
    });
    const text = await metrics.text();
    expect(text).toContain('gw_replays_total{channel="main"} 1');
    expect(text).toContain('gw_replayed_messages_total{channel="main"} 25');
  });

  it('are held from the one on that makes them a replay, if the channel holds replays, and can be released', async () => {
    const stage = await startStage({ on_replay: 'hold', replay_messages: 5 });
    await arrive(stage, 25, 100 * DAY);
    await arrive(stage, 1, HOUR, 'late');
    expect(await receivedBy(stage)).toBe(5);
    expect(await replayOf(stage)).toMatchObject({ messages: 25, held: 21 });
    const fix = expect.stringMatching(/^List them: "held --channel main --rule 19", or GET /) as unknown;
    expect(await checkOf(stage)).toMatchObject({ fix });
    const { body } = await stage.gateway.call<{ data: Record<string, unknown>[] }>(
      'GET',
      '/v1/items?rule=19&held=true',
    );
    expect(body.data).toHaveLength(21);
    expect(body.data[0]).toMatchObject({
      verdict: 'restored',
      evidence: {
        registrations: [],
        replay: { replay_after_seconds: 5 * DAY, began_at: (await replayOf(stage))?.began_at },
      },
    });
    await stage.gateway.call('POST', '/v1/items/release', { rule: 19 });
    await stage.bot.received(26);
  });

  it('are shown after a restart, and held on', async () => {
    const stage = await startStage({ on_replay: 'hold', replay_messages: 5 });
    await arrive(stage, 6, 100 * DAY);
    await stage.gateway.close();
    const gateway = await startLocal({ folder: stage.gateway.folder });
    expect(await replayOf({ gateway })).toMatchObject({ messages: 6, held: 2 });
    await arrive({ gateway }, 1, 100 * DAY, 'another');
    expect(await replayOf({ gateway })).toMatchObject({ messages: 7, held: 3 });
    expect(alertsOf({ gateway })).toEqual([]);
  });

  it('of one webhook are judged one after the other', async () => {
    const stage = await startStage({ on_replay: 'hold', replay_messages: 5 });
    const webhook = textWebhook(...Array.from({ length: 12 }, (_, index) => ({ id: `m-${index}` })));
    expect((await stage.gateway.webhook(webhook)).body.verdicts).toEqual({ new: 4, restored: 8 });
    expect((await stage.gateway.webhook(webhook)).body.verdicts).toEqual({ duplicate: 12 });
    expect(await replayOf(stage)).toMatchObject({ messages: 12, held: 8 });
  });

  it('are judged alike by POST /v1/judge, which does not count them', async () => {
    const stage = await startStage({ on_replay: 'hold', replay_messages: 5 });
    const body = textWebhook(...Array.from({ length: 12 }, (_, index) => ({ id: `m-${index}` })));
    for (let time = 0; time < 2; time += 1) {
      const { body: trial } = await stage.gateway.call<{ items: { rule: number }[] }>('POST', '/v1/judge', {
        ...{ channel: 'main', body },
      });
      expect(trial.items.map(({ rule }) => rule)).toEqual([10, 10, 10, 10, 19, 19, 19, 19, 19, 19, 19, 19]);
    }
    expect(await replayOf(stage)).toBeNull();
  });

  it('are forgotten with their channel', async () => {
    const stage = await startStage();
    await arrive(stage, 20, 100 * DAY);
    await stage.gateway.settled();
    expect((await stage.gateway.call('DELETE', '/v1/channels/main')).status).toBe(204);
    await stage.gateway.addChannel();
    expect(await replayOf(stage)).toBeNull();
  });
});

describe('no alert is raised by', () => {
  it('a reconnect after an hour or a day', async () => {
    const stage = await startStage({ on_replay: 'hold' });
    await arrive(stage, 60, 0, 'hour');
    await arrive(stage, 100, DAY, 'day');
    expect(await receivedBy(stage)).toBe(160);
    expect([await replayOf(stage), alertsOf(stage)]).toEqual([null, []]);
  });

  it('old messages that a resync brings back', async () => {
    const stage = await startResyncs();
    await stage.gateway.call('PATCH', '/v1/channels/main', { replay_messages: 2 });
    const ids = Array.from({ length: 6 }, (_, index) => `lost-${index}`);
    lose(stage.whapi, ids);
    await finished(stage.gateway, (await resync(stage.gateway, ids)).id);
    await stage.whapi.idle();
    expect(await replayOf(stage)).toBeNull();
  });

  it('old messages that come again', async () => {
    const stage = await startStage({ replay_messages: 5 });
    for (let time = 0; time < 4; time += 1) await arrive(stage, 4, 100 * DAY);
    expect(await replayOf(stage)).toBeNull();
  });
});
