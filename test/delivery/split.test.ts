import { describe, expect, it } from 'vitest';
import { idsSentTo, startDelivery } from '../support/delivery.js';
import { until } from '../support/intervals.js';
import { textWebhook } from '../support/texts.js';

const BATCH = textWebhook(
  { id: 'a1', chat: 'a' },
  { id: 'b1', chat: 'b' },
  { id: 'a2', chat: 'a' },
  { id: 'c1', chat: 'c' },
);

describe('a target with split', () => {
  it('I6: by chat receives the other chats of a webhook once while one of them fails', async () => {
    const { gateway, bot } = await startDelivery({ split: 'chat', retry_delays_seconds: [3600] });
    bot.otherwise = ({ ids }, response) => void response.writeHead(ids.includes('b1') ? 400 : 200).end();
    for (let times = 0; times < 2; times += 1) await gateway.webhook(BATCH);
    await until(() => expect(bot.requests).toHaveLength(3));
    expect(bot.requests.map(({ ids }) => ids).sort()).toEqual([['a1', 'a2'], ['b1'], ['c1']]);
    await gateway.webhook(textWebhook({ id: 'b2', chat: 'b' }, { id: 'c2', chat: 'c' }));
    await until(() => expect(idsSentTo(bot)).toContain('c2'));
    expect(idsSentTo(bot)).not.toContain('b2');
  });

  it('receives the verdict of each part, under separate ids', async () => {
    const { gateway, bot } = await startDelivery({ split: 'item' });
    await gateway.webhook(BATCH);
    const requests = await bot.received(4);
    expect(requests.map(({ headers }) => headers['x-gateway-verdicts'])).toEqual(['new', 'new', 'new', 'new']);
    expect(new Set(requests.map(({ headers }) => headers['webhook-id'])).size).toBe(4);
    await gateway.settled();
    const { body } = await gateway.call<{ deliveries: unknown[] }>('GET', '/v1/messages/main/a2');
    expect(body.deliveries).toHaveLength(1);
  });
});
