import { describe, expect, it } from 'vitest';
import { startBot } from '../support/bot.js';
import { deliveryOf, startDelivery } from '../support/delivery.js';
import { startSocketServer } from '../support/sockets.js';
import { textWebhook } from '../support/texts.js';

/** The error of one attempt to send a message to this URL. */
async function errorAt(url: string): Promise<string | null> {
  const { gateway } = await startDelivery({ url, max_attempts: 1 });
  await gateway.webhook(textWebhook({ id: 'm-1', chat: 'one' }));
  await gateway.settled();
  return (await deliveryOf(gateway, 'm-1')).last_error;
}

describe('the error of an attempt says what to change', () => {
  it('when an https URL leads to a bot that speaks http', async () => {
    const bot = await startBot();
    expect(await errorAt(bot.url.replace('http:', 'https:'))).toBe(
      'The server does not speak TLS on this port (ERR_SSL_WRONG_VERSION_NUMBER): use http:// in the URL, or the port for https.',
    );
  });

  it('when the bot sends an unrequested 100', async () => {
    const server = await startSocketServer((socket) => {
      socket.on('data', () =>
        socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'),
      );
    });
    const error = await errorAt(`http://127.0.0.1:${server.port}/`);
    expect(error).toMatch(
      /^The server sent 100 \(Continue\), which the request did not ask for \(UND_ERR_SOCKET\): check /,
    );
  });
});
