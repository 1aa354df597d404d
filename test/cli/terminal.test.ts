import { describe, expect, it } from 'vitest';
import { accessTo, cli, startInTerminal } from '../support/cli.js';
import { finished, lose, startResyncs } from '../support/resync.js';
import { textMessage } from '../support/texts.js';

const CTRL_C = '\x03';
/** From the start of the line to a control sequence that clears its rest. */
const DRAWN_OVER = /\r\[#{12}\.{12}\] {2}50% {2}1\/2 .*\p{Cc}\[K/u;

describe('a resync watched in a terminal', () => {
  it('shows a progress bar, keeps running after Ctrl-C, and shows its end when watched again', async () => {
    const { gateway, whapi } = await startResyncs();
    lose(whapi, ['lost-1']);
    const first = startInTerminal(['resync', 'lost-1', 'comes-later'], accessTo(gateway));
    await first.written(DRAWN_OVER);
    first.type(CTRL_C);
    const left = await first.ended;
    expect(left.code).toBe(130);
    const id = /resync --watch (rsy_[\w-]+)/.exec(left.stdout)?.[1] ?? '';
    expect((await gateway.call('GET', `/v1/resyncs/${id}`)).body).toMatchObject({ status: 'running' });

    const second = startInTerminal(['resync', '--watch', id], accessTo(gateway));
    await second.written('1/2');
    whapi.receive(textMessage({ id: 'comes-later' }));
    const seen = await second.ended;
    expect(seen.code).toBe(0);
    expect(seen.stdout).toContain('100%  2/2');
    expect(await finished(gateway, id)).toMatchObject({ status: 'finished', counts: { restored: 2 } });
  });

  it('is not started if Ctrl-C comes while the ids are typed', async () => {
    const { gateway } = await startResyncs();
    const run = startInTerminal(['resync', '-'], accessTo(gateway));
    await run.written('Ctrl-D');
    run.type('an-id\n');
    await run.written('an-id');
    run.type(CTRL_C);
    expect((await run.ended).code).toBe(130);
    expect((await gateway.call('GET', '/v1/resyncs')).body).toMatchObject({ data: [] });
  });

  it('prints plain lines when there is no terminal', async () => {
    const { gateway, whapi } = await startResyncs();
    lose(whapi, ['lost-1', 'lost-2']);
    const { code, stdout, stderr } = await cli(['resync', 'lost-1', 'lost-2'], { env: accessTo(gateway) });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^2 of 2 messages: .*2 restored$/m);
    expect(stdout + stderr).not.toMatch(/[^\P{Cc}\n]/u);
  });
});

describe('a narrow terminal', () => {
  it.each([50, 30])('has progress bars and tables that fit (%i columns)', async (columns) => {
    const { gateway, whapi } = await startResyncs();
    lose(whapi, ['lost-1']);
    const env = accessTo(gateway);
    const watched = startInTerminal(['resync', 'lost-1', 'comes-later'], env, columns);
    await watched.written(/\r\[#+\.+\] {2}50% {2}1\/2/);
    watched.type(CTRL_C);
    const bars = (await watched.ended).stdout.match(/(?<=\r)\[[^\p{Cc}]+/gu) ?? [];
    expect(bars.map(({ length }) => length < columns)).toEqual(bars.map(() => true));
    const { stdout } = await startInTerminal(['channels', 'list'], env, columns).ended;
    expect(stdout.split('\r\n').filter(({ length }) => length > columns)).toEqual([]);
  });
});
