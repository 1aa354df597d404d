import { describe, expect, it } from 'vitest';
import type { Explanation } from '../../src/contract/messages.js';
import { startApi } from '../support/api.js';
import { startBot } from '../support/bot.js';
import { accessTo, cli } from '../support/cli.js';
import { textWebhook } from '../support/texts.js';

const TIME = '\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z';

/** The lines of `explain`, each as a pattern that stands for the whole line. */
function patternOf(lines: readonly string[]): RegExp {
  return new RegExp(`^${lines.map((line) => `${line}\n`).join('')}`);
}

describe('explain shows what the dashboard shows', () => {
  it('of a message that a resync brought back', async () => {
    const gateway = await startApi();
    await gateway.addTarget({ url: (await startBot()).url });
    const asked = { channel: 'main', message_ids: ['one'] };
    const { body: run } = await gateway.call<{ id: string }>('POST', '/v1/resyncs', asked);
    await gateway.webhook(textWebhook('one'));
    const env = accessTo(gateway);
    const { data } = (await gateway.call<{ data: { id: string }[] }>('GET', '/v1/items')).body;
    expect((await cli(['explain', 'one'], { env })).stdout).toMatch(
      patternOf([
        'one in channel main',
        `restored by rule 3, held: [A-Z].*\\. Not sent to any target\\. First seen ${TIME}\\.`,
        'Timeline',
        `  ${TIME}  Registered: by resync ${run.id}`,
        `(?:  ${TIME}  .*\n)*  ${TIME}  Judged: received in a messages\\.post webhook: restored by rule 3, held`,
        `(?:  ${TIME}  .*\n)*Sightings \\(1\\)`,
        `  ${TIME}  restored by rule 3, held: .+`,
        `    Registered by: ${run.id} ${TIME}, asked (?:not yet|${TIME})(?:, window closes ${TIME})?`,
        `(?:    First sighting: .*\n)?    messages\\[0\\] of messages\\.post in webhook \\w+`,
        'Resyncs and audits',
        `  ${run.id} .+: \\d+ calls?, \\d+ polls?.*`,
        'Deliveries \\(0\\)',
        `In the ledger: first seen ${TIME}\\.`,
        `Held\\. To release it to your bots: .* release ${data[0]?.id ?? ''}`,
      ]),
    );
  });

  it('of a repetition: the evidence of each sighting, and each attempt of its deliveries', async () => {
    const gateway = await startApi();
    const bot = await startBot();
    const { id: target } = await gateway.addTarget({ url: bot.url });
    await gateway.webhook(textWebhook('one'));
    await bot.received(1);
    await gateway.webhook(textWebhook('one'));
    const { stdout } = await cli(['explain', 'one'], { env: accessTo(gateway) });
    expect(stdout).toMatch(
      new RegExp(
        `\nSightings \\(2\\)\n  ${TIME}  duplicate by rule \\d+.*\n(?:    .*\n)*    First sighting: ${TIME} \\w+\n`,
      ),
    );
    expect(stdout).toMatch(
      new RegExp(
        `\nDeliveries \\(1\\)\nDelivery dlv_[\\w-]+ is (?:delivered|pending).*\\.\n  to ${target}, recorded ${TIME}.*\n`,
      ),
    );
  });

  it('of a message that a policy of its target left out: when it ended, and why', async () => {
    const gateway = await startApi();
    await gateway.addTarget({ url: (await startBot()).url, backlog_policy: 'hold', backlog_after_seconds: 1 });
    await gateway.webhook(textWebhook('one'));
    await gateway.settled();
    const { stdout } = await cli(['explain', 'one'], { env: accessTo(gateway) });
    const why = 'its newest message was \\d+ s old, backlog_after_seconds is 1, and backlog_policy is hold\\.';
    expect(stdout).toMatch(new RegExp(`\n  ${TIME}  Not sent: delivery dlv_\\w+ withheld: ${why}\n`));
    expect(stdout).toMatch(new RegExp(`\nDelivery dlv_\\w+ is withheld\\.\n.*\n  Not sent: ${why}\n`));
    expect(stdout).toContain('0 of 1 deliveries succeeded (1 withheld).');
  });

  it('of every step: the API and the text have the same number in the same order', async () => {
    const gateway = await startApi();
    await gateway.addTarget({ url: 'http://127.0.0.1:9', enabled: false });
    await gateway.webhook(textWebhook('one'));
    const env = accessTo(gateway);
    const { stdout } = await cli(['explain', 'one'], { env });
    const found = JSON.parse((await cli(['explain', 'one', '--json'], { env })).stdout) as Explanation;
    const [, timeline = ''] = stdout.split(/^Timeline\n|^Sightings/m);
    expect(timeline.match(new RegExp(`^  ${TIME}  [A-Z][a-z ]+: `, 'gm'))?.length).toBe(found.timeline.length);
  });
});
