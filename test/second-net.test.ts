import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { addWhapi, explain, finished, intervalsWith, resync } from './support/resync.js';
import { startBareWhapi, startBot } from './support/bot.js';
import type { Bot } from './support/bot.js';
import { startLocal } from './support/gateway.js';
import type { LocalGateway, LocalOptions } from './support/gateway.js';
import type { Simulator } from '../src/simulator/simulator.js';
import type { WhapiMessage } from '../src/whapi/wire.js';

interface Stage {
  readonly gateway: LocalGateway;
  readonly whapi: Simulator;
  readonly bot: Bot;
}

const LONG_AGO = 1_713_200_001;

function text(id: string, body: string, change: Record<string, unknown> = {}): WhapiMessage {
  return {
    ...{ id, type: 'text', from_me: false, timestamp: LONG_AGO, text: { body } },
    ...{ chat_id: '12025550142@s.whatsapp.net', from: '12025550142', from_name: 'Alice' },
    ...change,
  };
}

const QUESTION = 'Could you send me the offer again, please?';
const lost = text('lost-id', QUESTION);
const other = text('other-id', QUESTION, { chat_id: '204800000000142@lid', status: 'read' });

/** A gateway whose Whapi brings messages back without a webhook: the test sends those. */
async function startQuietWhapi(options: LocalOptions = {}): Promise<Stage> {
  const gateway = await startLocal({ ...options, intervals: intervalsWith() });
  const bot = await startBot();
  await gateway.addTarget({ url: bot.url });
  const whapi = await addWhapi(gateway, 'main');
  whapi.faults.resyncSendsWebhook = false;
  return { gateway, bot, whapi };
}

/** A gateway whose Whapi answers as the test says. */
async function startBareStage(): Promise<{ gateway: LocalGateway; whapi: Bot }> {
  const gateway = await startLocal({ intervals: intervalsWith() });
  const whapi = await startBareWhapi();
  await gateway.addChannel({ whapi_base_url: whapi.url });
  return { gateway, whapi };
}

/** Has a lost message brought back, until Whapi's plain GET shows it. */
async function shown(stage: Stage, message: WhapiMessage, more: Record<string, unknown> = {}): Promise<string> {
  stage.whapi.store(message, { cached: false });
  const { id } = await resync(stage.gateway, [message.id], more);
  return id;
}

async function arrives(
  { gateway }: Pick<Stage, 'gateway'>,
  messages: readonly WhapiMessage[],
  method = 'post',
): Promise<unknown> {
  const body = JSON.stringify({ messages, event: { type: 'messages', event: method } });
  return (await gateway.webhook(body)).body.verdicts;
}

/** Sends the bot a live message, behind which everything that was sent to it before has arrived. */
async function receivedBy(stage: Stage): Promise<readonly string[]> {
  const now = Math.floor(Date.now() / 1000);
  await arrives(stage, [text('live', 'A live one', { timestamp: now })]);
  await stage.gateway.settled();
  return stage.bot.requests.flatMap(({ ids }) => ids);
}

describe('a message that Whapi brings back under another id', () => {
  it('is restored by rule 18, and the bot stays silent', async () => {
    const stage = await startQuietWhapi();
    await finished(stage.gateway, await shown(stage, lost));
    expect(await arrives(stage, [other])).toEqual({ restored: 1 });
    expect(await receivedBy(stage)).toEqual(['live']);
    const { sightings } = await explain(stage.gateway, 'other-id');
    expect(sightings).toMatchObject([{ verdict: 'restored', rule: 18, held: true }]);
  });

  it('has the registered id and its resync as evidence', async () => {
    const stage = await startQuietWhapi();
    const id = await shown(stage, lost);
    await finished(stage.gateway, id);
    await arrives(stage, [other]);
    const { body } = await stage.gateway.call<{ data: { evidence: unknown }[] }>('GET', '/v1/items?rule=18');
    expect(body.data).toMatchObject([
      { message_id: 'other-id', evidence: { same_as: 'lost-id', resyncs: [id], registrations: [{ resync: id }] } },
    ]);
  });

  it('is restored again in a put, a retry and a second webhook', async () => {
    const stage = await startQuietWhapi();
    await finished(stage.gateway, await shown(stage, lost));
    await arrives(stage, [other], 'put');
    for (const method of ['put', 'post', 'post'])
      expect([method, await arrives(stage, [other], method)]).toEqual([method, { restored: 1 }]);
    expect(await receivedBy(stage)).toEqual(['live']);
  });

  it('is recognized after a restart', async () => {
    const stage = await startQuietWhapi();
    await finished(stage.gateway, await shown(stage, lost));
    await stage.gateway.close();
    const gateway = await startLocal({ folder: stage.gateway.folder, intervals: intervalsWith() });
    expect(await arrives({ ...stage, gateway }, [other])).toEqual({ restored: 1 });
  });

  it('reaches the bot once where the resync asked for messages that it never got', async () => {
    const stage = await startQuietWhapi();
    await finished(stage.gateway, await shown(stage, lost, { deliver_unseen: true }));
    for (let time = 0; time < 2; time += 1) expect(await arrives(stage, [other])).toEqual({ restored: 1 });
    expect(await receivedBy(stage)).toEqual(['other-id', 'live']);
  });

  it('is told by the id alone where Whapi answers with that id', async () => {
    const { gateway, whapi } = await startBareStage();
    whapi.otherwise = (_, response) => void response.end(JSON.stringify(text('other-id', 'ok')));
    await finished(gateway, (await resync(gateway, ['lost-id'])).id);
    expect(await arrives({ gateway }, [text('other-id', 'ok, changed')])).toEqual({ restored: 1 });
  });
});

describe('a genuine message is not held for looking like one that comes back:', () => {
  it('a short text with the same text in the same chat and second', async () => {
    const stage = await startQuietWhapi();
    await finished(stage.gateway, await shown(stage, text('lost-id', 'ok')));
    expect(await arrives(stage, [text('twin', 'ok')])).toEqual({ new: 1 });
    expect(await receivedBy(stage)).toEqual(['twin', 'live']);
  });

  it.each([
    ['of the next second', { timestamp: LONG_AGO + 1 }],
    ['of another person', { chat_id: '12025550143@s.whatsapp.net', from: '12025550143' }],
    ['from the number itself', { from_me: true }],
    ['with another text', { text: { body: `${QUESTION}!` } }],
  ])('one %s', async (_, change) => {
    const stage = await startQuietWhapi();
    await finished(stage.gateway, await shown(stage, lost));
    expect(await arrives(stage, [text('twin', QUESTION, change)])).toEqual({ new: 1 });
  });

  it('an equal one, once the registered one has come under its own id', async () => {
    const stage = await startQuietWhapi();
    await finished(stage.gateway, await shown(stage, lost));
    expect(await arrives(stage, [lost])).toEqual({ restored: 1 });
    expect(await arrives(stage, [text('twin', QUESTION)])).toEqual({ new: 1 });
  });

  it('an equal one, if the registered one came before Whapi showed it', async () => {
    const { gateway, whapi } = await startBareStage();
    const waiting: ServerResponse[] = [];
    whapi.answers.push((_, response) => void waiting.push(response));
    await resync(gateway, ['lost-id']);
    await whapi.received(1);
    expect(await arrives({ gateway }, [lost])).toEqual({ restored: 1 });
    waiting[0]?.end(JSON.stringify(lost));
    await resync(gateway, ['next-id']);
    await whapi.received(2); // the first call is settled
    expect(await arrives({ gateway }, [text('twin', QUESTION)])).toEqual({ new: 1 });
  });

  it('a second equal one: one registration holds one other id', async () => {
    const stage = await startQuietWhapi();
    await finished(stage.gateway, await shown(stage, lost));
    expect(await arrives(stage, [other, text('twin', QUESTION)])).toEqual({ restored: 1, new: 1 });
  });

  it('one that was known before', async () => {
    const stage = await startQuietWhapi();
    expect(await arrives(stage, [text('twin', QUESTION)])).toEqual({ new: 1 });
    await finished(stage.gateway, await shown(stage, lost));
    const revision = text('twin', QUESTION, { status: 'read' });
    expect(await arrives(stage, [revision], 'put')).toEqual({ event: 1 });
  });
});
