import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.js';
import { startApi, unreachableUrl } from '../support/api.js';
import { accessTo, cli, startCli } from '../support/cli.js';
import { startProcess } from '../support/process.js';
import { finished, lose, startResyncs } from '../support/resync.js';
import { textMessage } from '../support/texts.js';

describe('resync', () => {
  it('takes ids from arguments, a file with comments and standard input, each once', async () => {
    const { gateway, whapi } = await startResyncs();
    const ids = ['a-1', 'a-2', 'a-3', 'a-4'];
    lose(whapi, ids);
    const file = join(gateway.folder, 'ids.txt');
    writeFileSync(file, '# lost in May\na-2, a-3\na-1 # twice\n\n');
    const args = ['resync', 'a-1', '-', '--file', file, '--json'];
    const { code, stdout } = await cli(args, { env: accessTo(gateway), stdin: 'a-4\n' });
    const last = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { resync: unknown };
    expect(code).toBe(0);
    expect(last).toMatchObject({ resync: { status: 'finished', counts: { restored: 4 } }, restored: { total: 4 } });
  });

  it('exits with 4 if only some are restored, and with 1 if none is', async () => {
    const { gateway, whapi } = await startResyncs();
    lose(whapi, ['lost']);
    const some = await cli(['resync', 'lost', 'refused~by-whapi'], { env: accessTo(gateway) });
    const none = await cli(['resync', 'also~refused'], { env: accessTo(gateway) });
    expect([some.code, none.code]).toEqual([4, 1]);
    expect(some.stdout).toContain(
      'finished: 1 restored, 1 failed\n  restored: 0 received before, 1 for the first time\n  failed: 1 with ',
    );
    expect(some.stdout).toMatch(/held: 1\. To list them: .* held --resync rsy_.*\n.* release --resync rsy_/);
  });

  it('starts a resync and returns with --detach, and stops it with --cancel', async () => {
    const { gateway } = await startResyncs();
    const { code, stdout } = await cli(['resync', 'never-comes', '--detach', '--json'], { env: accessTo(gateway) });
    const { id } = JSON.parse(stdout) as { id: string };
    expect(code).toBe(0);
    expect((await cli(['resync', '--cancel', id], { env: accessTo(gateway) })).code).toBe(0);
    expect(await finished(gateway, id)).toMatchObject({ status: 'cancelled' });
  });

  it('does not claim to have stopped a run that had already finished', async () => {
    const { gateway, whapi } = await startResyncs();
    const env = accessTo(gateway);
    lose(whapi, ['lost']);
    const run = JSON.parse((await cli(['resync', 'lost', '--detach', '--json'], { env })).stdout) as { id: string };
    await finished(gateway, run.id);
    const { code, stdout } = await cli(['resyncs', 'cancel', run.id], { env });
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${run.id} had already finished: 1 restored\n` });
  });

  it('with --deliver-unseen sends messages to the bots that they have not seen', async () => {
    const { gateway, whapi, bot } = await startResyncs();
    lose(whapi, ['unseen']);
    await cli(['resync', 'unseen', '--deliver-unseen'], { env: accessTo(gateway) });
    expect((await bot.received(1))[0]?.ids).toEqual(['unseen']);
  });

  it('keeps watching across a restart of the gateway', async () => {
    const port = new URL(await unreachableUrl()).port;
    const gateway = await startProcess({ PORT: port });
    const whapi = await startSimulator({ timeScale: 1000 });
    onTestFinished(async () => await whapi.close());
    await gateway.client.addChannel({ whapi_token: whapi.token, whapi_base_url: whapi.url });
    const env = accessTo({ url: gateway.client.url, folder: gateway.folder });
    const run = startCli(['resync', 'comes-later'], { env });
    await run.written('1 waiting');
    await gateway.end('SIGKILL');
    await run.written('Cannot reach the gateway');
    await gateway.start();
    await gateway.client.webhook(JSON.stringify({ messages: [textMessage({ id: 'comes-later' })] }));
    expect((await run.ended).code).toBe(0);
  });

  it.each([
    [['resync'], 'Missing message ids'],
    [['resync', '--file', '/no/such/file'], 'Cannot read /no/such/file: there is no such file.'],
    [['resync', 'a', '--watch', 'rsy_x'], '--watch and --cancel take no message ids'],
    [['resync', '--file', '-'], 'Missing message ids'],
  ])('refuses %j as wrong usage', async (args, words) => {
    const { code, stderr, stdout } = await cli(args, { env: accessTo(await startApi()) });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(words);
  });

  it('asks for the channel if there is more than one', async () => {
    const gateway = await startApi();
    await gateway.addChannel({ name: 'second' });
    const { code, stderr } = await cli(['resync', 'a'], { env: accessTo(gateway) });
    expect(code).toBe(2);
    expect(stderr).toContain('Missing --channel (for example --channel main). Channels: main, second.');
  });

  it('names invalid ids with their lines, a few of them, and an example, before anything is sent', async () => {
    const env = { GATEWAY_URL: await unreachableUrl(), ADMIN_TOKEN: 'any' };
    const csv = ['message id;text', 'good-1', 'a/b', ...Array.from({ length: 50 }, () => 'c/d')].join('\n');
    const { code, stdout, stderr } = await cli(['resync', '-', '--channel', 'main'], { env, stdin: csv });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(
      /^Invalid message ids in standard input: line 1: "id;text", line 3: "a\/b", line 4: "c\/d" and 49 more\. .* for example p\.w30M/,
    );
    expect(stderr).not.toContain('^');
  });

  it('accepts up to 10,000 ids', async () => {
    const env = accessTo(await startApi());
    const ids = Array.from({ length: 10_001 }, (_none, index) => `id-${index}`);
    const [most, more] = await Promise.all([
      cli(['resync', '-', '--detach'], { env, stdin: ids.slice(1).join('\n') }),
      cli(['resync', '-', '--detach'], { env, stdin: ids.join('\n') }),
    ]);
    expect([most.code, more.code]).toEqual([0, 2]);
  });
});
