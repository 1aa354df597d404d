import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { accessTo, cli, startCli } from '../support/cli.js';
import { PRIVATE, startProbe } from '../support/probe.js';
import { callsOf } from '../support/resync.js';

const BACK = { plain_get: { found_at: expect.any(String) as string }, webhooks: [{}] };

describe('channels probe', () => {
  it('needs --yes, and says what it does', async () => {
    const { gateway, whapi } = await startProbe();
    const { code, stderr } = await cli(['channels', 'probe', 'main', PRIVATE.id], { env: accessTo(gateway) });
    expect([code, callsOf(whapi)]).toEqual([2, []]);
    expect(stderr).toContain('To agree, add --yes.');
  });

  it('watches until the end, prints what holds, and writes the report', async () => {
    const { gateway, probeIs, finished } = await startProbe();
    const report = join(gateway.folder, 'probe.md');
    const args = ['channels', 'probe', 'main', PRIVATE.id, '--yes', '--minutes', '60', '--report', report];
    const run = startCli(args, { env: accessTo(gateway) });
    await probeIs(BACK);
    const probe = await finished();
    const { code, stdout } = await run.ended;
    expect(stdout).toContain(
      'Probe of channel main, finished: All assumptions hold on this channel.\nok    Whapi answers',
    );
    expect([code, readFileSync(report, 'utf8')]).toEqual([0, probe.report]);
    expect(Date.parse(probe.watch_until) - Date.parse(probe.started_at)).toBe(60 * 60_000);
  });

  it('exits with 1 if an assumption does not hold, and shows the last result without an id', async () => {
    const { gateway, begin, probeIs, finished } = await startProbe({ restoredAs: { chat_id: '55512345678@lid' } });
    const env = accessTo(gateway);
    expect((await cli(['channels', 'probe', 'main'], { env })).code).toBe(6);
    await begin();
    await probeIs(BACK);
    const probe = await finished();
    const { code, stdout } = await cli(['channels', 'probe', 'main'], { env });
    expect(code).toBe(1);
    expect(stdout).toContain('warn  The message keeps its chat id. Seen: another chat id.\n      → Nothing to do');
    expect(stdout.endsWith(probe.report)).toBe(true);
    expect(JSON.parse((await cli(['channels', 'probe', 'main', '--json'], { env })).stdout)).toEqual(probe);
  });

  it('ends a running probe with --cancel, and says what is not known', async () => {
    const { gateway, begin, probeIs, probe } = await startProbe({ resyncSendsWebhook: false });
    const env = accessTo(gateway);
    expect((await cli(['channels', 'probe', 'main', '--cancel'], { env })).code).toBe(6);
    await begin();
    await probeIs({ call: {} });
    expect((await cli(['channels', 'probe', 'main', PRIVATE.id, '--cancel'], { env })).code).toBe(2);
    const { code, stdout } = await cli(['channels', 'probe', 'main', '--cancel'], { env });
    expect([code, (await probe()).status]).toEqual([0, 'cancelled']);
    expect(stdout).toMatch(
      /^Probe of channel main, cancelled: The probe was cancelled after [^]+\n- {5}A webhook with/,
    );
    expect((await cli(['channels', 'probe', 'main'], { env })).code).toBe(1);
  });

  it('says with Ctrl-C that the probe continues, and how to cancel it', async () => {
    const { gateway } = await startProbe();
    const run = startCli(['channels', 'probe', 'main', PRIVATE.id, '--yes'], { env: accessTo(gateway) });
    await run.written('The message has not come yet|The message came');
    run.kill('SIGINT');
    const { code, stderr } = await run.ended;
    expect([code, stderr]).toEqual([130, expect.stringContaining('channels probe main --cancel')]);
  });

  it('starts and returns with --detach, and refuses an invalid number of minutes', async () => {
    const { gateway, probe } = await startProbe();
    const start = async (...args: string[]) =>
      await cli(['channels', 'probe', 'main', PRIVATE.id, '--yes', ...args], { env: accessTo(gateway) });
    expect((await start('--minutes', '0.5')).code).toBe(2);
    expect((await start('--detach')).code).toBe(0);
    expect(await probe()).toMatchObject({ status: 'running' });
    expect((await start()).code).toBe(5); // one at a time
  });
});
