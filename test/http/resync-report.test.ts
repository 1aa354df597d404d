import { expect, it } from 'vitest';
import { pagesOf } from '../support/api.js';
import type { ResyncMessageJson } from '../support/api.js';
import { finished, lose, resync, startResyncs } from '../support/resync.js';
import { textWebhook } from '../support/texts.js';

interface ReportJson {
  readonly resync: { readonly status: string };
  readonly held: { readonly total: number; readonly messages: string };
}

it('GET /v1/resyncs/{id}/report shows the result of each message, and where held messages are listed', async () => {
  const { gateway, whapi } = await startResyncs();
  await gateway.webhook(textWebhook('known'));
  lose(whapi, ['known', 'unseen']);
  const { id } = await resync(gateway, ['known', 'unseen']);
  await finished(gateway, id);
  await whapi.idle();
  const { body } = await gateway.call<ReportJson>('GET', `/v1/resyncs/${id}/report`);
  expect(body).toMatchObject({
    resync: { id, status: 'finished', total: 2, finished_at: expect.stringMatching(/Z$/) as unknown },
    restored: { total: 2, already_known: 1, never_seen_before: 1, proven_by: { webhook: 2, poll: 0 } },
    ...{ not_restored: 0, failed: { total: 0, reasons: [] }, cancelled: 0, unsettled: 0, held: { total: 2 } },
  });
  const [held = []] = await pagesOf<ResyncMessageJson>(gateway, body.held.messages, 50);
  expect(held).toMatchObject([
    { message_id: 'known', known_before: true, held: true, proof: 'webhook' },
    { message_id: 'unseen', known_before: false, held: true, proof: 'webhook' },
  ]);
});

it('GET /v1/resyncs/{id}/messages?status= lists the messages with that status', async () => {
  const { gateway, whapi } = await startResyncs({ intervals: { pollsMs: [3_600_000] } });
  const { id } = await resync(gateway, ['here', 'nowhere']);
  await gateway.webhook(textWebhook('here'));
  const idsOf = async (query: string): Promise<string[]> =>
    (await pagesOf<ResyncMessageJson>(gateway, `/v1/resyncs/${id}/messages?${query}`, 1))
      .flat()
      .map((m) => m.message_id);
  expect([await idsOf('status=restored'), await idsOf('status=failed')]).toEqual([['here'], []]);
  expect((await gateway.call('GET', `/v1/resyncs/${id}/messages?status=lost`)).status).toBe(400);
  await whapi.idle();
});
