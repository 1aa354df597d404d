import { describe, expect, it } from 'vitest';
import type { Simulator, SimulatorEvent } from '../../src/simulator/simulator.js';
import type { WebhookSetting } from '../../src/whapi/wire.js';
import { expectProblem, startApi, unreachableUrl } from '../support/api.js';
import { startBot } from '../support/bot.js';
import { WEBHOOK_SECRET } from '../support/client.js';
import { OTHER, oursOf, SECRET_HEADER, startConnect } from '../support/connect.js';
import type { ConnectStage } from '../support/connect.js';
import { textMessage } from '../support/texts.js';

describe('POST /v1/channels/{name}/connect', () => {
  it('adds our webhook with its secret header, and a live message reaches the bot', async () => {
    const stage = await startConnect();
    const { gateway, whapi, bot } = stage;
    await gateway.addTarget({ url: bot.url });
    expect(await stage.connect()).toMatchObject({ changed: true, verified: true });
    expect(await oursOf(stage)).toMatchObject({
      url: `${gateway.url}/webhooks/main`,
      mode: 'body',
      headers: SECRET_HEADER,
    });
    whapi.receive(textMessage({ id: 'live' }));
    expect((await bot.received(2)).at(-1)?.ids).toEqual(['live']);
  });

  it('leaves other webhooks unchanged, including unknown fields', async () => {
    const stage = await startConnect();
    await stage.connect();
    expect((await stage.settings()).webhooks?.[0]).toEqual(OTHER);
  });

  it('sets callback_persist and says that the channel needs a restart', async () => {
    const stage = await startConnect();
    const { warnings } = await stage.connect();
    expect((await stage.settings()).callback_persist).toBe(true);
    expect(warnings.map(({ code }) => code)).toContain('restart_needed');
  });

  it('changes nothing the second time and reports that', async () => {
    const stage = await startConnect();
    const first = await stage.connect();
    const before = await stage.settings();
    const patches = patchesTo(stage);
    expect(await stage.connect()).toMatchObject({ changed: false, changes: [], before: first.after, verified: true });
    expect(await stage.settings()).toEqual(before);
    expect(patchesTo(stage)).toBe(patches);
  });

  it('shows the change without making it in a dry run', async () => {
    const stage = await startConnect();
    const before = await stage.settings();
    const shown = await stage.connect({ dry_run: true });
    expect(shown).toMatchObject({ dry_run: true, changed: true, verified: null });
    expect([shown.before.webhooks.length, shown.after.webhooks.length]).toEqual([1, 2]);
    expect(await stage.settings()).toEqual(before);
  });

  it('reveals no secret, neither ours nor those of other webhooks', async () => {
    const stage = await startConnect();
    const said = JSON.stringify([await stage.connect({ dry_run: true }), await stage.connect()]);
    for (const secret of [WEBHOOK_SECRET, 'secret-of-the-crm', 'of-the-crm', stage.whapi.token]) {
      expect(said).not.toContain(secret);
    }
  });

  it('adopts a webhook that was configured manually with the secret in its URL', async () => {
    const stage = await startConnect();
    const url = `${stage.gateway.url}/webhooks/main/s/${WEBHOOK_SECRET}`;
    const byHand: WebhookSetting = { url, mode: 'method', events: [{ type: 'presences', method: 'post' }] };
    await stage.change({ webhooks: [byHand, OTHER] });
    await stage.connect();
    const [ours, ...others] = (await stage.settings()).webhooks ?? [];
    expect(ours).toMatchObject({ url: `${stage.gateway.url}/webhooks/main`, mode: 'method', headers: SECRET_HEADER });
    expect(ours?.events).toContainEqual({ type: 'presences', method: 'post' });
    expect(others).toEqual([OTHER]);
  });

  it('removes webhook_max_age_seconds from our webhook and warns about it on others', async () => {
    const stage = await startConnect();
    await stage.connect();
    const webhooks = ((await stage.settings()).webhooks ?? []).map((each) => ({
      ...each,
      webhook_max_age_seconds: 60,
    }));
    await stage.change({ webhooks });
    const { changes, warnings } = await stage.connect();
    expect(changes.join()).toContain('removes its webhook_max_age_seconds');
    expect(warnings).toMatchObject([
      { code: 'past_gateway' },
      { code: 'max_age', webhook_url: 'https://crm.example/hook?key=***' },
      { code: 'no_targets' },
    ]);
    expect((await stage.settings()).webhooks?.map((each) => each.webhook_max_age_seconds)).toEqual([60, null]);
  });

  it("warns about another webhook that reaches a target's bot, and about legacy event names", async () => {
    const stage = await startConnect();
    await stage.gateway.addTarget({ name: 'answers', url: stage.bot.url });
    const legacy = { url: 'https://old.example', events: [{ type: 'ack', method: 'put' }] } as const;
    await stage.change({ webhooks: [{ ...OTHER, url: `${stage.bot.url}/hook` }, legacy] });
    const { warnings } = await stage.connect();
    expect(warnings).toMatchObject([
      {
        code: 'same_bot',
        webhook_url: `${stage.bot.url}/hook`,
        message: expect.stringContaining('"answers"') as unknown,
      },
      { code: 'legacy_events', webhook_url: 'https://old.example/' },
      { code: 'restart_needed' },
    ]);
  });

  it('subscribes to the events of the targets, and later adds those of a new target', async () => {
    const stage = await startConnect();
    await stage.gateway.addTarget({ url: stage.bot.url, events: ['statuses.*'] });
    await stage.connect();
    await stage.gateway.addTarget({ url: stage.bot.url, events: ['calls'] });
    expect((await stage.connect()).changes).toEqual(['subscribes it to calls.post']);
    const names = ((await oursOf(stage))?.events ?? []).map(({ type, method }) => `${type}.${method}`);
    expect(names.sort()).toEqual(['calls.post', 'channel.post', 'statuses.post', 'statuses.put']);
  });

  it('without a target subscribes to new messages and suggests connecting again once targets exist', async () => {
    const stage = await startConnect();
    const { warnings } = await stage.connect();
    expect((await oursOf(stage))?.events?.map(({ type }) => type)).toEqual(['messages', 'channel']);
    expect(warnings.find(({ code }) => code === 'no_targets')?.message).toContain('channels connect main');
    await stage.gateway.addTarget({ url: stage.bot.url, events: ['messages.post'] });
    expect(await stage.connect()).toMatchObject({ changed: false, warnings: [{ code: 'past_gateway' }] });
  });

  it("replaces Whapi's legacy event names by the current ones", async () => {
    const stage = await startConnect();
    await stage.connect({ events: ['ack', 'message.post'] });
    expect((await oursOf(stage))?.events?.map(({ type }) => type)).toEqual(['messages', 'statuses', 'statuses']);
  });

  it('subscribes exactly to the requested events', async () => {
    const stage = await startConnect();
    await stage.connect({ events: ['messages.post', 'presences'], mode: 'method' });
    const { events, mode } = (await oursOf(stage)) ?? {};
    expect(events?.map(({ type }) => type)).toEqual(['messages', 'presences']);
    expect(mode).toBe('method');
  });
});

describe('another client that changes the settings at the same time', () => {
  it('loses nothing that it wrote between our read and our write', async () => {
    const theirs: WebhookSetting = { ...OTHER, url: 'https://newcomer.example' };
    const stage = await startWatched((turn, whapi) => turn === 1 && whapi.setWebhooks([OTHER, theirs]));
    await stage.connect({ mode: 'path' });
    const urls = (await stage.settings()).webhooks?.map(({ url }) => url);
    expect(urls).toEqual([OTHER.url, theirs.url, `${stage.gateway.url}/webhooks/main`]);
  });

  it('that keeps changing them makes connect fail with a conflict', async () => {
    const stage = await startWatched((turn, whapi) =>
      whapi.setWebhooks([{ ...OTHER, url: `https://he.example/${turn}` }]),
    );
    const body = { public_url: stage.gateway.url, mode: 'path' };
    expectProblem(await stage.gateway.call('POST', '/v1/channels/main/connect', body), 409, 'GW_CONFLICT');
  });
});

describe('the verification of the webhook URL', () => {
  it('fails if Whapi reaches another server, and says what to check', async () => {
    const stage = await startConnect();
    const elsewhere = await startBot();
    const { verified, verification } = await stage.connect({ public_url: elsewhere.url });
    expect(verified).toBe(false);
    expect(verification).toContain(`another server answers at ${elsewhere.url}`);
  });

  it('fails if the URL refuses connections', async () => {
    const stage = await startConnect();
    const { verified, verification } = await stage.connect({ public_url: await unreachableUrl() });
    expect(verified).toBe(false);
    expect(verification).toMatch(/can be reached from the internet/);
  });

  it('has no result if Whapi does not send a test webhook', async () => {
    const stage = await startWatched((_turn, whapi) => void (whapi.faults.restStatus = 500));
    const { verified, verification } = await stage.connect();
    expect(verified).toBeNull();
    expect(verification).toContain('500 Internal Error');
  });
});

describe('POST /v1/channels/{name}/disconnect', () => {
  it('restores the settings from before connect', async () => {
    const stage = await startConnect();
    const before = await stage.settings();
    await stage.connect();
    expect(await stage.disconnect()).toMatchObject({ changed: true });
    expect(await stage.settings()).toEqual(before);
  });

  it('leaves callback_persist on if connect did not set it', async () => {
    const stage = await startConnect();
    await stage.change({ callback_persist: true });
    await stage.connect();
    await stage.disconnect();
    expect(await stage.settings()).toMatchObject({ callback_persist: true, webhooks: [OTHER] });
  });

  it('undoes what the first connect set, also after a second one', async () => {
    const stage = await startConnect();
    await stage.connect();
    await stage.connect();
    await stage.disconnect();
    expect((await stage.settings()).callback_persist).toBe(false);
  });

  it('removes nothing in a dry run, and reports when there is nothing to remove', async () => {
    const stage = await startConnect();
    expect(await stage.disconnect()).toMatchObject({ changed: false, changes: [] });
    await stage.connect();
    expect(await stage.disconnect({ dry_run: true })).toMatchObject({ dry_run: true, changed: true });
    expect(await oursOf(stage)).toBeDefined();
  });
});

describe('a connect request is refused', () => {
  it('for a gateway without a known public URL', async () => {
    const { gateway } = await startConnect();
    const answer = await gateway.call('POST', '/v1/channels/main/connect', {});
    expect(expectProblem(answer, 400, 'GW_NO_PUBLIC_URL')).toEqual(['/public_url']);
  });

  it('for a channel with a wrong token, without revealing the token', async () => {
    const stage = await startConnect();
    await stage.gateway.call('PATCH', '/v1/channels/main', { whapi_token: 'a-wrong-token' });
    const answer = await stage.gateway.call('POST', '/v1/channels/main/connect', { public_url: stage.gateway.url });
    expectProblem(answer, 502, 'GW_WHAPI_REFUSED');
    expect(String(answer.body['detail'])).toMatch(/Channel not found.*whapi_token/);
    expect(String(answer.body['detail'])).not.toContain('a-wrong-token');
  });

  it('for an unknown channel, and for a Whapi that is unreachable', async () => {
    const gateway = await startApi();
    const body = { public_url: gateway.url };
    expectProblem(await gateway.call('POST', '/v1/channels/none/connect', body), 404, 'GW_NOT_FOUND');
    expectProblem(await gateway.call('POST', '/v1/channels/main/connect', body), 502, 'GW_WHAPI_UNAVAILABLE');
    expectProblem(await gateway.call('POST', '/v1/channels/main/disconnect'), 502, 'GW_WHAPI_UNAVAILABLE');
  });

  it('if our webhook already has five custom headers', async () => {
    const stage = await startConnect();
    const headers = { a: '1', b: '2', c: '3', d: '4', e: '5' };
    await stage.change({ webhooks: [{ url: `${stage.gateway.url}/webhooks/main`, headers }] });
    const answer = await stage.gateway.call('POST', '/v1/channels/main/connect', { public_url: stage.gateway.url });
    expectProblem(answer, 409, 'GW_CONFLICT');
  });

  it.each([
    { public_url: 'ftp://x' },
    { public_url: 'https://me:pw@x' },
    { public_url: 'https://x/?a=b' },
    { mode: 'tree' },
    { events: [] },
    { events: ['messages.read'] },
    { dry_run: 'yes' },
    { url: 'https://x' },
  ])('with %j', async (body) => {
    const { gateway } = await startConnect();
    const answer = await gateway.call('POST', '/v1/channels/main/connect', body);
    expect(expectProblem(answer, 400, 'GW_BAD_REQUEST')[0]).toMatch(`/${Object.keys(body)[0] ?? ''}`);
  });
});

function patchesTo({ whapi }: ConnectStage): number {
  return whapi.calls.filter(({ method }) => method === 'PATCH').length;
}

/** A connected channel. From then on `onCall` runs after each settings call with the number of calls so far. */
async function startWatched(onCall: (turn: number, whapi: Simulator) => unknown): Promise<ConnectStage> {
  let turn = 0;
  let isConnected = false;
  const onEvent = (line: SimulatorEvent): void => {
    if (isConnected && line.kind === 'call' && line.path === '/settings') {
      onCall((turn += 1), stage.whapi);
    }
  };
  const stage = await startConnect({}, { onEvent });
  await stage.connect();
  isConnected = true;
  return stage;
}
