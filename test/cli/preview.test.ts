import { expect, it } from 'vitest';
import { startApi } from '../support/api.js';
import type { List } from '../support/api.js';
import { startBot } from '../support/bot.js';
import { accessTo, cli } from '../support/cli.js';
import { textWebhook } from '../support/texts.js';

/** A bot that received one message, while another is held because a resync brought it back. */
async function withHeld() {
  const gateway = await startApi();
  const { url } = await startBot();
  await gateway.addTarget({ name: 'bot', url });
  await gateway.call('POST', '/v1/resyncs', { channel: 'main', message_ids: ['lost'] });
  await gateway.webhook(textWebhook('lost', 'fresh'));
  return { gateway, env: accessTo(gateway) };
}

it('targets set --preview shows what the change would do, and does not make it', async () => {
  const { gateway, env } = await withHeld();
  const args = ['targets', 'set', 'bot', '--deliver', 'new,restored', '--preview', '--since', '1h'];
  const { stdout, code } = await cli(args, { env });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Webhooks read: 1, since 20\S+Z\n\nTarget bot\n/);
  expect(stdout).toMatch(
    /^sent +1 +2\n^held +1 +0\n\n^held → sent: 1\n.*\nitm_\S+ .* restored +messages\.post +lost\n/m,
  );
  expect(stdout).toMatch(/\nNothing was changed\.\n$/);
  const { data } = (await gateway.call<List<{ deliver: string[] }>>('GET', '/v1/targets')).body;
  expect(data[0]?.deliver).toEqual(['new', 'late', 'event']);
});

it('channels set --preview shows every target, also where nothing changes', async () => {
  const { env } = await withHeld();
  const args = ['channels', 'set', 'main', '--late-after-seconds', '60', '--preview'];
  expect((await cli(args, { env })).stdout).toContain('Target bot');
  expect((await cli(args, { env })).stdout).toContain('The change makes no difference.');
  expect(JSON.parse((await cli([...args, '--json'], { env })).stdout)).toMatchObject({ complete: true, webhooks: 1 });
});

it('channels set --preview shows what would be held of a replay, and what cannot be known', async () => {
  const gateway = await startApi();
  await gateway.addTarget({ name: 'bot', url: 'http://127.0.0.1:9', enabled: false });
  const at = Date.now() / 1000 - 8_640_000;
  await gateway.webhook(textWebhook({ id: 'a', at }, { id: 'b', at }));
  const since = new Date(Date.now() - 60_000).toISOString();
  const args = ['channels', 'set', 'main', '--on-replay', 'hold', '--replay-messages', '2', '--preview', '--since'];
  const { stdout } = await cli([...args, since], { env: accessTo(gateway) });
  expect(stdout).toMatch(/\nNote: 1 old message near the start may continue a replay .*\n\nTarget bot\n/);
  expect(stdout).toMatch(/^sent → held: 1\n.*\nitm_\S+ .* restored +messages\.post +b\n/m);
});

it('--since without --preview is wrong usage', async () => {
  const args = ['targets', 'set', 'bot', '--split', 'chat', '--since', '1h'];
  expect(await cli(args, { env: { ADMIN_TOKEN: 'x' } })).toMatchObject({ code: 2 });
});
