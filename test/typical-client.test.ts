import { expect, it, onTestFinished } from 'vitest';
import { startSimulator } from '../src/simulator/simulator.js';
import type { Simulator } from '../src/simulator/simulator.js';
import { until } from './support/intervals.js';
import { lose, messageIs, startResyncs } from './support/resync.js';
import { textMessage } from './support/texts.js';
import { startTypicalClient } from './support/typical-client.js';

/** The texts sent through the API, oldest first. */
async function answersAt(whapi: Simulator): Promise<string[]> {
  const response = await fetch(`${whapi.url}/messages/list?from_me=true&sort=asc&token=${whapi.token}`);
  const { messages } = (await response.json()) as { messages: { text: { body: string } }[] };
  return messages.map(({ text }) => text.body);
}

const answerTo = (id: string): string => `You wrote: the text of ${id}`;

it('without the gateway a typical bot answers a message that its own resync brings back', async () => {
  const whapi = await startSimulator({ timeScale: 1000 });
  onTestFinished(async () => await whapi.close());
  const client = await startTypicalClient({ apiUrl: whapi.url, token: whapi.token });
  whapi.setWebhooks([{ url: client.hookUrl, mode: 'method', events: [{ type: 'messages', method: 'post' }] }]);
  lose(whapi, ['old']);
  whapi.receive(textMessage({ id: 'live' }));
  expect(await client.resync('old')).toBe(404);
  await whapi.idle();
  expect((await answersAt(whapi)).sort()).toEqual([answerTo('live'), answerTo('old')]);
});

it('behind the gateway the same bot answers the live messages and not the restored one, with only its base URL changed', async () => {
  const { gateway, whapi } = await startResyncs();
  const client = await startTypicalClient({ apiUrl: `${gateway.url}/whapi`, token: whapi.token });
  await gateway.addTarget({ url: client.hookUrl, events: ['messages.post'] });
  lose(whapi, ['old']);
  whapi.receive(textMessage({ id: 'live-1' }));
  expect(await client.resync('old')).toBe(404);
  await messageIs(gateway, 'old', { status: 'restored' });
  whapi.receive(textMessage({ id: 'live-2' }));
  await until(async () => expect(await answersAt(whapi)).toHaveLength(2));
  await whapi.idle();
  await gateway.settled();
  expect((await answersAt(whapi)).sort()).toEqual([answerTo('live-1'), answerTo('live-2')]);
});
