import { describe, expect, it } from 'vitest';
import { startApi } from '../support/api.js';
import { startBot } from '../support/bot.js';
import { accessTo, cli } from '../support/cli.js';
import { textWebhook } from '../support/texts.js';

/** Two messages that a resync brought back, and a bot that received neither. */
async function withHeld() {
  const gateway = await startApi();
  const bot = await startBot();
  const { id: target } = await gateway.addTarget({ url: bot.url });
  const asked = { channel: 'main', message_ids: ['one', 'two'] };
  const { body } = await gateway.call<{ id: string }>('POST', '/v1/resyncs', asked);
  await gateway.webhook(textWebhook('one', 'two'));
  return { bot, target, resync: body.id, env: accessTo(gateway) };
}

describe('held and release', () => {
  it('list held items, and send one of them', async () => {
    const { bot, env } = await withHeld();
    const { stdout } = await cli(['held', '--event', 'messages'], { env });
    const [line = ''] = stdout.split('\n').filter((each) => each.endsWith('restored  messages.post  one'));
    const [item = ''] = line.split('  ');
    expect((await cli(['release', item], { env })).stdout).toMatch(/^Released\. Deliveries: dlv_/);
    expect((await bot.received(1)).map(({ ids }) => ids)).toEqual([['one']]);
    const left = JSON.parse((await cli(['held', '--json'], { env })).stdout) as { message_id: string }[];
    expect(left.map(({ message_id: id }) => id)).toEqual(['two']);
  });

  it('show with --dry-run what a filter matches, then send it', async () => {
    const { bot, target, resync, env } = await withHeld();
    const { stdout } = await cli(['release', '--resync', resync, '--dry-run'], { env });
    expect(stdout).toMatch(new RegExp(`^Items to send: 2\n {2}by target: ${target} 2\n {2}by verdict: restored 2`));
    const far = await cli(['release', '--resync', resync, '--expected-count', '1'], { env });
    expect([far.code, far.stderr]).toEqual([5, expect.stringContaining('GW_CONFLICT')]);
    await cli(['release', '--resync', resync, '--expected-count', '2', '--target', target], { env });
    expect((await bot.received(2)).flatMap(({ ids }) => ids)).toEqual(['one', 'two']);
  });

  it.each([[[]], [['itm_a', '--all']], [['--all', '--expected-count', 'many']], [['--since', 'yesterday']]])(
    'refuse wrong usage: release %j',
    async (args) => {
      expect((await cli(['release', ...args], { env: { ADMIN_TOKEN: 'x' } })).code).toBe(2);
    },
  );
});
