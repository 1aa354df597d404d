import { describe, expect, it, onTestFinished } from 'vitest';
import { createWhapiClient } from '../../src/whapi/client.js';
import type { ListAnswer } from '../../src/whapi/client.js';
import { guardOf } from '../support/guard.js';
import { startBot } from '../support/bot.js';
import type { Bot, BotAnswer } from '../support/bot.js';
import { requestTo } from '../support/delivery.js';

const QUESTION = { timeFrom: 1000, timeTo: 2000, count: 500, offset: 7 };

/** Asks a server in place of Whapi that answers this way. */
async function ask(answer: BotAnswer): Promise<{ whapi: Bot; answer: ListAnswer }> {
  const whapi = await startBot();
  whapi.otherwise = answer;
  const client = createWhapiClient(guardOf('private'));
  onTestFinished(async () => await client.destroy());
  const access = { baseUrl: whapi.url, token: 'the-token' };
  return { whapi, answer: await client.listMessages(access, QUESTION, { timeoutMs: 5000 }) };
}

function text(body: string | Buffer, status = 200): BotAnswer {
  return (_request, response) => response.writeHead(status, { 'content-type': 'application/json' }).end(body);
}

describe("a page of Whapi's message list", () => {
  it('is requested by window, newest first, without system messages, with the token only in a header', async () => {
    const { whapi } = await ask(text('{"messages":[]}'));
    const { url, headers } = await requestTo(whapi);
    const query = 'count=500&offset=7&time_from=1000&time_to=2000&normal_types=true&sort=desc';
    expect(url).toBe(`/messages/list?${query}`);
    expect(headers.authorization).toBe('Bearer the-token');
  });

  it('contains each message in its own bytes, also numbers above 2^53', async () => {
    const element = '{ "id":"a","timestamp":12.9,"type":"text","chat_id":"c","mute":18446744073709552000,"x":1.10 }';
    const { answer } = await ask(text(`{"count":500,"total":3,"messages":[ ${element} ,{"id":"b","timestamp":1}]}`));
    expect(answer).toMatchObject({ kind: 'found', page: { length: 2, total: 3 } });
    const messages = answer.kind === 'found' ? answer.page.messages : [];
    expect(messages[0]?.json.toString()).toBe(element);
    expect(messages).toMatchObject([
      { id: 'a', timestamp: 12, type: 'text', chatId: 'c' },
      { id: 'b', timestamp: 1, type: null, chatId: null },
    ]);
  });

  it('counts elements that are not messages and omits them', async () => {
    const { answer } = await ask(
      text('{"messages":[null,{"id":1,"timestamp":1},{"id":"a"},{"id":"b","timestamp":1}]}'),
    );
    expect(answer).toMatchObject({ kind: 'found', page: { length: 4, total: null, messages: [{ id: 'b' }] } });
  });

  it.each([
    ['not JSON', text('<html>')],
    ['not UTF-8', text(Buffer.from([0x7b, 0xff, 0x7d]))],
    ['JSON of another shape', text('{"data":[]}')],
  ])('is not accepted from an answer that is %s', async (_name, body) => {
    expect((await ask(body)).answer).toMatchObject({
      kind: 'missing',
      reason: expect.stringContaining('200') as unknown,
    });
  });

  it('is not read to its end beyond eight megabytes', async () => {
    expect((await ask(text(`{"messages":["${'x'.repeat(9 * 1024 * 1024)}"]}`))).answer).toEqual({ kind: 'too_large' });
  });

  it.each([
    [429, 'busy'],
    [500, 'busy'],
    [401, 'refused'],
  ])('answered %i is %s, as for every other call', async (status, kind) => {
    expect((await ask(status)).answer).toMatchObject({ kind });
  });
});
