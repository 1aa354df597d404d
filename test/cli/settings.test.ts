import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ChannelChangeSchema } from '../../src/contract/channels.js';
import { RotationSchema, TargetChangeSchema } from '../../src/contract/targets.js';
import { startApi } from '../support/api.js';
import { accessTo, cli } from '../support/cli.js';
import { temporaryFolder } from '../support/files.js';

/** A gateway that records what it is sent, and says yes to everything. */
async function startRecorder() {
  const bodies: Record<string, unknown>[] = [];
  const answer = { id: 'tgt_1', name: 'bot', data: [{ id: 'tgt_1', name: 'bot' }], next_cursor: null, warnings: [] };
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      if (text !== '') bodies.push(JSON.parse(text) as Record<string, unknown>);
      response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const folder = temporaryFolder();
  const file = (text: string): string => {
    const path = join(folder, text);
    writeFileSync(path, `${text}\n`);
    return path;
  };
  return { env: { GATEWAY_URL: url, ADMIN_TOKEN: 'a-token', WHAPI_TOKEN: 'from-env' }, bodies, file };
}

const fieldsOf = (schema: { properties: object }): string[] => Object.keys(schema.properties).sort();

describe('every setting of the API has an option', () => {
  it('of channels set', async () => {
    const { env, bodies, file } = await startRecorder();
    const numbers = ['--late-after-seconds', '60', '--resync-spacing-ms', '2000', '--daily-call-budget', 'none'];
    const secrets = [
      '--whapi-token-file',
      file('a-new-token'),
      '--webhook-secret-file',
      file('a-secret-of-16-or-more'),
    ];
    const others = ['--whapi-base-url', 'http://127.0.0.1:9', '--auto-resync', '--forget-channel-id'];
    const replays = ['--on-replay', 'hold', '--replay-after-seconds', '3600', '--replay-messages', '5'];
    expect((await cli(['channels', 'set', 'main', ...numbers, ...secrets, ...others, ...replays], { env })).code).toBe(
      0,
    );
    expect(Object.keys(bodies[0] ?? {}).sort()).toEqual(fieldsOf(ChannelChangeSchema));
    expect(bodies[0]).toEqual({
      ...{ whapi_token: 'a-new-token', webhook_secret: 'a-secret-of-16-or-more', whapi_base_url: 'http://127.0.0.1:9' },
      ...{ late_after_seconds: 60, resync_spacing_ms: 2000, daily_call_budget: null, auto_resync: true },
      ...{ on_replay: 'hold', replay_after_seconds: 3600, replay_messages: 5 },
      channel_id: null,
    });
  });

  it('of targets set and targets rotate-secret', async () => {
    const { env, bodies, file } = await startRecorder();
    const secret = ['--secret-file', file('whsec_c2VjcmV0')];
    const lists = ['--channels', 'shop', '--events', 'messages', '--deliver', 'new', '--header', 'X-Tenant: seven'];
    const words = ['--name', 'bot', '--url', 'http://127.0.0.1:9', '--mode', 'path', '--split', 'chat', '--disabled'];
    const numbers = ['--timeout-ms', '1000', '--max-attempts', '3', '--retry-delays', '5', '--max-age-seconds', 'none'];
    const rates = ['--concurrency', '4', '--rate-per-second', '1'];
    const backlog = ['--backlog-policy', 'hold', '--backlog-after-seconds', '60', '--backlog-rate-per-minute', '10'];
    const settings = [...lists, ...words, ...numbers, ...rates, ...backlog, '--skip-answered'];
    await cli(['targets', 'set', 'bot', ...secret, ...settings], { env });
    await cli(['targets', 'rotate-secret', 'bot', '--grace-seconds', '60', ...secret], { env });
    expect(bodies.map((body) => Object.keys(body).sort())).toEqual([
      fieldsOf(TargetChangeSchema),
      fieldsOf(RotationSchema),
    ]);
  });
});

describe('channels set', () => {
  it('changes what its options name and keeps the rest', async () => {
    const env = accessTo(await startApi());
    const { stdout } = await cli(['channels', 'set', 'main', '--late-after-seconds', '60', '--auto-resync'], { env });
    expect(stdout).toBe('Channel main changed.\n');
    await cli(['channels', 'set', 'main', '--daily-call-budget', '9'], { env });
    const shown = await cli(['channels', 'show', 'main'], { env });
    expect(shown.stdout).toMatch(/late_after_seconds +60\n.*daily_call_budget +9\nauto_resync +yes\n/s);
  });

  it('takes a new Whapi token from the environment only when it is told to', async () => {
    const { env, bodies } = await startRecorder();
    await cli(['channels', 'set', 'main', '--late-after-seconds', '60'], { env });
    const { stdout, stderr } = await cli(['channels', 'set', 'main', '--whapi-token-env'], { env });
    expect(bodies).toEqual([{ late_after_seconds: 60 }, { whapi_token: 'from-env' }]);
    expect(stdout + stderr).not.toContain('from-env');
  });

  it.each([
    [[]],
    [['--late-after-seconds', 'long']],
    [['--daily-call-budget', 'many']],
    [['--whapi-token-file', 'no-such-file']],
    [['--whapi-token-file', '-', '--webhook-secret-file', '-']],
  ])('refuses wrong usage: %j', async (args) => {
    const { env } = await startRecorder();
    expect((await cli(['channels', 'set', 'main', ...args], { env })).code).toBe(2);
  });
});

describe('targets show', () => {
  it('has the settings and the circuit breaker', async () => {
    const gateway = await startApi();
    await gateway.addTarget({ name: 'bot', url: 'http://127.0.0.1:9' });
    const { stdout } = await cli(['targets', 'show', 'bot'], { env: accessTo(gateway) });
    expect(stdout).toMatch(/name +bot\n.*breaker:\n {2}state +closed\n/s);
  });
});
