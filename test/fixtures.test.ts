import { describe, expect, it } from 'vitest';
import type { WebhookHttpMethod } from '../src/model.js';
import { startBot } from './support/bot.js';
import type { BotRequest } from './support/bot.js';
import { samplePayload, fixtureNames } from './support/files.js';
import { startLocal } from './support/gateway.js';
import type { LocalGateway } from './support/gateway.js';

/** A documented payload as one of Whapi's modes sends it. */
interface Sending {
  readonly channel: string;
  readonly name: string;
  readonly method: WebhookHttpMethod;
  readonly suffix: string;
  readonly body: Buffer;
}

const MODES = ['body', 'path', 'method'] as const;

/** How each of Whapi's modes sends an event (docs/whapi.md, Modes). */
function sendingOf(name: string, index: number, mode: (typeof MODES)[number]): Sending {
  const [type = '', method = ''] = name.split('.');
  const sending = { channel: `channel-${index}`, name, body: samplePayload(name), method: 'POST', suffix: '' } as const;
  if (mode === 'body') return sending;
  if (mode === 'path') return { ...sending, suffix: `/${type}/${method}` };
  return { ...sending, suffix: `/${type}`, method: method.toUpperCase() as WebhookHttpMethod };
}

function sendingsOf(mode: (typeof MODES)[number]): Sending[] {
  return fixtureNames().map((name, index) => sendingOf(name, index, mode));
}

/** Each uses its own channel, because several payloads are about the same message. */
async function post(gateway: LocalGateway, sendings: readonly Sending[]): Promise<unknown[]> {
  return await Promise.all(
    sendings.map(async ({ name, channel, body, method, suffix }) => {
      await gateway.addChannel({ name: channel });
      const answer = await gateway.webhook(body, { channel, method, suffix });
      const withheld = Object.keys(answer.body.verdicts).filter((verdict) => !['new', 'event'].includes(verdict));
      return { name, status: answer.status, withheld };
    }),
  );
}

function arrived(requests: readonly BotRequest[], { channel }: Sending): string[] {
  return requests
    .filter(({ headers }) => headers['x-gateway-channel'] === channel)
    .map(({ method, url, body }) => `${method} ${url} ${body.toString('latin1')}`);
}

/** The event under which each is recorded, as `fixture: type.method`. */
async function eventsOf(sendings: readonly Sending[]): Promise<string[]> {
  const gateway = await startLocal();
  await gateway.addTarget({ url: 'http://127.0.0.1:9/', enabled: false });
  await post(gateway, sendings);
  const { body } = await gateway.call<{ data: { channel: string; event: string }[] }>(
    'GET',
    '/v1/deliveries?limit=500',
  );
  const events = new Map(body.data.map(({ channel, event }) => [channel, event]));
  return sendings.map(({ name, channel }) => `${name}: ${String(events.get(channel))}`);
}

describe('every payload that Whapi documents', () => {
  it.each(MODES)('in %s mode is answered 200 and arrives byte for byte, with its method and suffix', async (mode) => {
    const gateway = await startLocal();
    const bot = await startBot();
    await gateway.addTarget({ url: `${bot.url}/hook` });
    const sendings = sendingsOf(mode);

    const answers = await post(gateway, sendings);
    expect(answers).toEqual(sendings.map(({ name }) => ({ name, status: 200, withheld: [] })));

    const requests = await bot.received(sendings.length);
    for (const sending of sendings) {
      const expected = `${sending.method} /hook${sending.suffix} ${sending.body.toString('latin1')}`;
      expect(arrived(requests, sending), sending.name).toEqual([expected]);
    }
  });

  it('in body mode is recorded as the event that it names', async () => {
    expect(await eventsOf(sendingsOf('body'))).toEqual(fixtureNames().map(named));
  });

  it.each(['path', 'method'] as const)(
    'in %s mode is recorded as its event although its body does not name one',
    async (mode) => {
      const sendings = sendingsOf(mode).map((sending) => ({ ...sending, body: unnamed(sending.body) }));
      expect(await eventsOf(sendings)).toEqual(fixtureNames().map(named));
    },
  );

  it('I3: is a duplicate when Whapi repeats it, if a repetition differs from a second genuine item', async () => {
    const gateway = await startLocal();
    const sendings = sendingsOf('body');
    await post(gateway, sendings);
    const second = await Promise.all(
      sendings.map(async ({ body, channel, name }) => {
        const answer = await gateway.webhook(body, { channel });
        return [name, ...Object.keys(answer.body.verdicts)];
      }),
    );
    const isAlike = (name: string): boolean => /^(presences|channel|users|service)\.|removed_all$/.test(name);
    expect(second).toEqual(sendings.map(({ name }) => [name, isAlike(name) ? 'event' : 'duplicate']));
  });
});

/** The expected result of `eventsOf`. */
function named(name: string): string {
  return `${name}: ${name.split('.').slice(0, 2).join('.')}`;
}

function unnamed(body: Buffer): Buffer {
  return Buffer.from(JSON.stringify({ ...(JSON.parse(body.toString()) as object), event: undefined }));
}
