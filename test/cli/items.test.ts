import { describe, expect, it } from 'vitest';
import { startApi } from '../support/api.js';
import { startBot } from '../support/bot.js';
import { accessTo, cli } from '../support/cli.js';
import type { CliEnded } from '../support/cli.js';
import { textWebhook } from '../support/texts.js';

interface ItemJson {
  readonly id: string;
  readonly message_id: string;
  readonly held: boolean;
}

/** Two messages that a resync brought back, and a bot that received neither. */
async function withHeld() {
  const gateway = await startApi();
  const bot = await startBot();
  const { id: target } = await gateway.addTarget({ name: 'bot', url: bot.url });
  const asked = { channel: 'main', message_ids: ['one', 'two'] };
  const { body } = await gateway.call<{ id: string }>('POST', '/v1/resyncs', asked);
  await gateway.webhook(textWebhook('one', 'two'));
  return { gateway, bot, target, resync: body.id, env: accessTo(gateway) };
}

const itemsOf = ({ stdout }: CliEnded): ItemJson[] => JSON.parse(stdout) as ItemJson[];
const textIds = (items: readonly ItemJson[]): string[] => items.map((each) => each.message_id);

describe('items list', () => {
  it('narrows by every filter of the API, and "held" gives the same as "items list --held"', async () => {
    const { gateway, resync, env } = await withHeld();
    await gateway.webhook(textWebhook('three'));
    const idsOf = async (...args: string[]) => textIds(itemsOf(await cli([...args, '--json'], { env })));
    expect(await idsOf('items', 'list')).toEqual(['three', 'two', 'one']);
    expect(await idsOf('items', 'list', '--no-held')).toEqual(['three']);
    const filters = [
      '--channel',
      'main',
      '--verdict',
      'restored',
      '--event',
      'messages',
      '--since',
      '1h',
      '--rule',
      '3',
    ];
    const narrow = [...filters, '--until', '2999-01-01', '--resync', resync, '--message-id', 'one'];
    expect(await idsOf('items', 'list', '--held', ...narrow)).toEqual(['one']);
    expect(await idsOf('held', ...narrow)).toEqual(['one']);
    expect(await idsOf('messages', 'list', '--held', ...narrow)).toEqual(['one']);
  });

  it('says that there are more, and lists all with --all', async () => {
    const { env } = await withHeld();
    const { stdout } = await cli(['items', 'list', '--limit', '1'], { env });
    expect(stdout).toMatch(/^ID +SEEN .*\n.* two\nThere are more\. Add --all/);
    const all = await cli(['items', 'list', '--limit', '1', '--all', '--json'], { env });
    expect(itemsOf(all)).toHaveLength(2);
  });
});

describe('items show', () => {
  it('has the evidence, and after a release the delivery', async () => {
    const { resync, bot, env } = await withHeld();
    const id = itemsOf(await cli(['held', '--message-id', 'one', '--json'], { env }))[0]?.id ?? '';
    const before = await cli(['items', 'show', id], { env });
    expect(before.stdout).toMatch(
      new RegExp(`verdict +restored\\nrule +3\\n.*resyncs +${resync}\\n.*items release ${id}\n$`, 's'),
    );
    await cli(['items', 'release', id, '--target', 'bot'], { env });
    await bot.received(1);
    const after = JSON.parse((await cli(['items', 'show', id, '--json'], { env })).stdout) as object;
    expect(after).toMatchObject({ id, message_id: 'one', deliveries: [{ released: true }] });
  });

  it.each(['itm_nothing', 'itm_00000000001_7'])('of %s, which does not exist, exits with 6', async (id) => {
    const { env } = await withHeld();
    expect((await cli(['items', 'show', id], { env })).code).toBe(6);
  });
});

describe('a release by filter', () => {
  it.each([['items'], ['messages']])('of %s shows what it would send, and sends it with --yes', async (name) => {
    const { bot, resync, env } = await withHeld();
    const filter = [name, 'release', '--resync', resync];
    const preview = await cli(filter, { env });
    expect([preview.code, preview.stderr]).toEqual([2, `Nothing was sent. To send 2 ${name}, add --yes.\n`]);
    expect(preview.stdout).toMatch(/ to send: 2\n.*by verdict: restored 2\nID .* one\n.* two\n$/s);
    expect(bot.requests).toEqual([]);
    const { code, stdout } = await cli([...filter, '--yes'], { env });
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^Sending 2 .* in job job_/)]);
    expect((await bot.received(2)).flatMap(({ ids }) => ids)).toEqual(['one', 'two']);
    const job = /job_\w+/.exec(stdout)?.[0] ?? '';
    expect((await cli(['jobs', 'watch', job], { env })).stdout).toContain(`${job} (release) finished: 2 of 2 queued`);
  });

  it('that finds nothing says so and exits with 0', async () => {
    const { env } = await withHeld();
    const { code, stdout } = await cli(['items', 'release', '--verdict', 'late'], { env });
    expect([code, stdout]).toEqual([0, 'Items to send: 0\n']);
  });

  it('with --json prints the preview as the API gives it, and the error on standard error', async () => {
    const { resync, env } = await withHeld();
    const { code, stdout, stderr } = await cli(['items', 'release', '--resync', resync, '--json'], { env });
    expect([code, JSON.parse(stdout)]).toMatchObject([2, { dry_run: true, count: 2 }]);
    expect(JSON.parse(stderr)).toMatchObject({ code: 'GW_USAGE' });
  });
});

describe('messages release', () => {
  it('sends one message by channel and id', async () => {
    const { bot, env } = await withHeld();
    expect((await cli(['messages', 'release', 'main/two'], { env })).stdout).toMatch(/^Released\. Deliveries: dlv_/);
    expect((await bot.received(1)).map(({ ids }) => ids)).toEqual([['two']]);
    expect(await cli(['messages', 'release', 'two'], { env })).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^Invalid message "two" \(for example messages release shop\//) as unknown,
    });
  });
});

describe('webhooks', () => {
  it('are listed and shown with their body, items and deliveries', async () => {
    const { env } = await withHeld();
    const { stdout } = await cli(['webhooks', 'list', '--event', 'messages.post'], { env });
    const [, id = ''] = /\n(\w{11}) .* main +messages\.post +\d+ +2 restored +2\n/.exec(stdout) ?? [];
    const shown = await cli(['webhooks', 'show', id], { env });
    expect(shown.stdout).toMatch(/method +POST\n.*items:\n {2}ID .*restored.*\nbody:\n\{.*"one".*\}\n$/s);
  });
});
