import { describe, expect, it } from 'vitest';
import { deliveriesOf, expectProblem, finishedJob, pagesOf, startApi } from '../support/api.js';
import type { JobJson } from '../support/api.js';
import { startBot } from '../support/bot.js';
import type { Answer, Client } from '../support/client.js';
import { startLocal } from '../support/gateway.js';
import { startProcess } from '../support/process.js';
import { textWebhook } from '../support/texts.js';

describe('/v1/jobs', () => {
  it('lists jobs newest first, each with the requested filter', async () => {
    const { gateway, target } = await withDead(2);
    const filters = [
      { status: 'dead', target, since: '2026-01-01T00:00:00.000Z' },
      { status: 'delivered', channel: 'main', event: 'messages' },
      { status: 'expired', until: '2026-01-01T01:00:00.000Z' },
    ];
    for (const filter of filters) await finishedJob(gateway, (await retry(gateway, filter)).body);
    const pages = await pagesOf<JobJson>(gateway, '/v1/jobs', 2);
    expect(pages.flat().map(({ filter }) => filter)).toEqual(filters.toReversed());
    expect(pages.map((page) => page.length)).toEqual([2, 1]);
    expect(pages[1]?.[0]).toMatchObject({ kind: 'retry', status: 'finished', total: 2, done: 2, skipped: 0 });
  });

  it('cancels a job: what is done stays done, and nothing more is sent', async () => {
    const { gateway, bot } = await withDead(250);
    const { body } = await retry(gateway, { status: 'dead' });
    const cancelled = await gateway.call<JobJson>('POST', `/v1/jobs/${String(body['id'])}/cancel`);
    expect(cancelled).toMatchObject({ status: 200, body: { status: 'cancelled', total: 250 } });
    await gateway.settled();
    expect((await gateway.call('GET', `/v1/jobs/${cancelled.body.id}`)).body).toEqual(cancelled.body);
    expect(cancelled.body.done).toBeLessThan(250);
    expect(bot.requests).toHaveLength(250 + cancelled.body.done);
  });

  it('sends each delivery once when two equal jobs are created at the same instant', async () => {
    const { gateway, bot } = await withDead(30);
    const answers = await Promise.all([retry(gateway, { status: 'dead' }), retry(gateway, { status: 'dead' })]);
    const jobs = await Promise.all(answers.map(async ({ body }) => await finishedJob(gateway, body)));
    await gateway.settled();
    expect(jobs.map(({ done }) => done).sort()).toEqual([0, 30]);
    expect(bot.requests).toHaveLength(60);
  });

  it('answers 404 for an unknown job', async () => {
    const gateway = await startLocal();
    expectProblem(await gateway.call('GET', '/v1/jobs/job_none'), 404, 'GW_NOT_FOUND');
    expectProblem(await gateway.call('POST', '/v1/jobs/job_none/cancel'), 404, 'GW_NOT_FOUND');
  });
});

describe('a job that a process left unfinished (I4)', () => {
  it('is completed by the next process after a SIGKILL, taking each delivery once', async () => {
    const gateway = await startProcess();
    const bot = await startBot();
    await gateway.client.addChannel();
    await gateway.client.addTarget({ url: bot.url, max_attempts: 1 });
    bot.otherwise = 422;
    await Promise.all(Array.from({ length: 900 }, async (_, i) => await gateway.client.webhook(textWebhook(`m${i}`))));
    await gateway.client.settled();
    bot.otherwise = 200;
    const { body } = await retry(gateway.client, { status: 'dead' });
    await gateway.end('SIGKILL');
    await gateway.start();
    expect(await finishedJob(gateway.client, body)).toMatchObject({ total: 900, done: 900 });
    await gateway.client.settled();
    expect(await deliveriesOf(gateway.client, '?status=dead')).toEqual([]);
    expect(new Set(bot.requests.slice(900).map(({ headers }) => headers['webhook-id'])).size).toBe(900);
  });
});

async function retry(client: Client, filter: Record<string, unknown>): Promise<Answer> {
  return await client.call('POST', '/v1/deliveries/retry', filter);
}

/** A gateway with the given number of dead deliveries, whose bot now answers 200. */
async function withDead(count: number) {
  const gateway = await startApi();
  const bot = await startBot();
  const { id: target } = await gateway.addTarget({ url: bot.url, max_attempts: 1 });
  bot.otherwise = 422;
  await Promise.all(Array.from({ length: count }, async (_, i) => await gateway.webhook(textWebhook(`m${i}`))));
  await gateway.settled();
  bot.otherwise = 200;
  return { gateway, bot, target };
}
