import { describe, expect, it } from 'vitest';
import { expectProblem, pagesOf, startApi } from '../support/api.js';
import type { AuditJson } from '../support/audit.js';
import type { Client } from '../support/client.js';
import { startClock } from '../support/clock.js';

const SINCE = '2026-01-01T00:00:00Z';

async function begin(
  gateway: Client,
  body: Record<string, unknown> = {},
): Promise<AuditJson & Record<string, unknown>> {
  const request = { channel: 'main', since: SINCE, ...body };
  const answer = await gateway.call<AuditJson & Record<string, unknown>>('POST', '/v1/audits', request);
  expect(answer.status).toBe(202);
  return answer.body;
}

describe('POST /v1/audits', () => {
  it('answers 202 with a running audit, up to an hour ago by default', async () => {
    const clock = startClock({ stopped: true });
    const gateway = await startApi({ effects: clock.effects });
    const hourAgo = Math.floor((clock.now() - 3_600_000) / 1000) * 1000;
    expect(await begin(gateway)).toMatchObject({
      ...{ id: expect.stringMatching(/^aud_/) as unknown, kind: 'audit', channel: 'main', status: 'running' },
      ...{ since: '2026-01-01T00:00:00.000Z', until: new Date(hourAgo).toISOString(), round: 1, ended_at: null },
      ...{ counts: { whapi_has: 0, seen: 0, never_came: 0, before_memory: 0, seeded: 0, released: 0 } },
    });
  });

  it.each([
    ['no channel', { since: SINCE }, 400, 'GW_BAD_REQUEST', ['']],
    ['no start time', { channel: 'main' }, 400, 'GW_BAD_REQUEST', ['']],
    ['an invalid time', { channel: 'main', since: 'yesterday' }, 400, 'GW_BAD_REQUEST', ['/since']],
    ['a time before 1970', { channel: 'main', since: '1960-01-01T00:00:00Z' }, 400, 'GW_BAD_REQUEST', ['/since']],
    [
      'an end in the future',
      { channel: 'main', since: SINCE, until: '2999-01-01T00:00:00Z' },
      400,
      'GW_BAD_REQUEST',
      ['/until'],
    ],
    [
      'an end before the beginning',
      { channel: 'main', since: SINCE, until: '2025-01-01T00:00:00Z' },
      400,
      'GW_BAD_REQUEST',
      ['/since'],
    ],
    ['an unknown field', { channel: 'main', since: SINCE, kind: 'seed' }, 400, 'GW_BAD_REQUEST', ['/kind']],
    ['an unknown channel', { channel: 'nobody', since: SINCE }, 404, 'GW_NOT_FOUND', []],
  ])('refuses %s and starts nothing', async (_name, body, status, code, paths) => {
    const gateway = await startApi();
    const answer = await gateway.call('POST', '/v1/audits', body);
    expect(expectProblem(answer, status, code)).toEqual(paths);
    expect((await gateway.call('GET', '/v1/audits')).body['data']).toEqual([]);
  });
});

describe('POST /v1/channels/{name}/seed', () => {
  it('answers 202 with a seeding that covers the whole id retention up to now', async () => {
    const clock = startClock({ stopped: true });
    const gateway = await startApi({ effects: clock.effects, env: { LEDGER_RETENTION_DAYS: '10' } });
    const { status, body } = await gateway.call<Record<string, string>>('POST', '/v1/channels/main/seed');
    expect({ status, ...body }).toMatchObject({ status: 'running', kind: 'seed', channel: 'main', warnings: [] });
    const seconds = (text = ''): number => Date.parse(text) / 1000;
    expect(seconds(body['until'])).toBe(Math.floor(clock.now() / 1000));
    expect(seconds(body['until']) - seconds(body['since'])).toBe(10 * 86_400);
  });

  it('refuses an unknown channel', async () => {
    const gateway = await startApi();
    expectProblem(await gateway.call('POST', '/v1/channels/nobody/seed'), 404, 'GW_NOT_FOUND');
  });
});

describe('audits', () => {
  it('are listed newest first together with seedings, in pages', async () => {
    const gateway = await startApi();
    const ids = [(await begin(gateway)).id, (await begin(gateway)).id];
    const { body } = await gateway.call<AuditJson>('POST', '/v1/channels/main/seed');
    const pages = await pagesOf<AuditJson>(gateway, '/v1/audits', 2);
    expect(pages.map((page) => page.map(({ id }) => id))).toEqual([[body.id, ids[1]], [ids[0]]]);
  });

  it('cannot be released while they run, and seedings cannot be released at all', async () => {
    const gateway = await startApi();
    const { id } = await begin(gateway);
    expectProblem(await gateway.call('POST', `/v1/audits/${id}/release`), 409, 'GW_CONFLICT');
    const { body } = await gateway.call<AuditJson>('POST', '/v1/channels/main/seed');
    await gateway.call('POST', `/v1/audits/${body.id}/cancel`);
    expectProblem(await gateway.call('POST', `/v1/audits/${body.id}/release`), 409, 'GW_CONFLICT');
  });

  it('are answered 404 under an unknown id', async () => {
    const gateway = await startApi();
    for (const path of ['', '/messages']) {
      expectProblem(await gateway.call('GET', `/v1/audits/aud_none${path}`), 404, 'GW_NOT_FOUND');
    }
    for (const path of ['/cancel', '/release']) {
      expectProblem(await gateway.call('POST', `/v1/audits/aud_none${path}`), 404, 'GW_NOT_FOUND');
    }
  });
});
