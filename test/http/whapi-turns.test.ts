import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { answerLater } from '../support/api.js';
import { startClock } from '../support/clock.js';
import { QUICK_RESYNC, until } from '../support/intervals.js';
import { explain, lose, messageIs, messageOf, pausedWith, resync, runOf, startResyncs } from '../support/resync.js';
import { textWebhook } from '../support/texts.js';
import { answerTo, bearer, begin, send, startProxy } from '../support/whapi-proxy.js';

const ASK = '/messages/m-1?resync=true';
const HOUR = 60 * 60 * 1000;
/** A gateway that makes no polls, so that Whapi gets only calls from clients and new resyncs. */
const NO_POLLS = { intervals: { resync: { ...QUICK_RESYNC, pollsMs: [10 * HOUR], proofMs: 10 * HOUR } } };

describe('several calls for one id', () => {
  it('are each answered by Whapi and create one resync', async () => {
    const { gateway, base, whapi } = await startProxy({}, NO_POLLS);
    whapi.otherwise = 404;
    const answers = await Promise.all(Array.from({ length: 5 }, async () => await send(base, { path: ASK })));
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404]);
    expect(whapi.requests).toHaveLength(5);
    expect((await explain(gateway, 'm-1')).resyncs).toMatchObject([{ status: 'waiting', calls: 5 }]);
  });

  it('join the running resync of that id, which their proof finishes', async () => {
    const { gateway, whapi } = await startResyncs({ intervals: { pollsMs: [10 * HOUR] } });
    const { id } = await resync(gateway, ['m-1']);
    await messageIs(gateway, 'm-1', { status: 'waiting' });
    lose(whapi, ['m-1']);
    await send(`${gateway.url}/whapi`, { path: ASK, headers: bearer(whapi.token) });
    await messageIs(gateway, 'm-1', { status: 'restored', resync: id, calls: 2 });
    expect((await explain(gateway, 'm-1')).resyncs).toHaveLength(1);
  });
});

describe('an answer of Whapi to a client', () => {
  it("also pauses the gateway's next call: a Retry-After of an hour means an hour", async () => {
    const clock = startClock();
    const { gateway, base, whapi } = await startProxy({}, { ...NO_POLLS, effects: clock.effects });
    const later = answerLater();
    whapi.answers.push(later.answer);
    const asked = send(base, { path: ASK });
    await whapi.received(1);
    const { id } = await resync(gateway, ['m-2']); // It waits for the client's call.
    later.give(429, { 'retry-after': '3600' });
    expect((await asked).status).toBe(429);
    const { pause } = await pausedWith(gateway, id, 'busy', '429');
    expect(Date.parse(pause?.next_check_at ?? '') - clock.now()).toBeGreaterThan(59 * 60_000);
    expect(whapi.requests).toHaveLength(1);
    clock.advance(HOUR);
    await whapi.received(2);
  });

  it('keeps its pause despite a better answer to another client', async () => {
    const { gateway, base, whapi } = await startProxy({}, NO_POLLS);
    whapi.answers.push((_request, response) => response.writeHead(429, { 'retry-after': '3600' }).end());
    whapi.otherwise = 404;
    await send(base, { path: ASK });
    expect((await send(base, { path: '/messages/m-2?resync=true' })).status).toBe(404);
    const { id } = await resync(gateway, ['m-3']);
    await pausedWith(gateway, id, 'busy', '429');
    expect(whapi.requests).toHaveLength(2);
  });
});

describe("a call that holds the channel's turn", () => {
  it('is not delayed by the body of a GET, which is not read', async () => {
    const { gateway, base, whapi } = await startProxy({}, NO_POLLS);
    const headers = { ...bearer(), 'content-length': '1000' };
    const out = begin(base, { path: ASK, headers });
    out.on('error', () => undefined);
    out.write('{'); // The rest never comes.
    const answer = answerTo(out);
    const [request] = await whapi.received(1);
    expect({ ...request?.headers, body: request?.body.length }).not.toHaveProperty('content-length');
    expect((await answer).status).toBe(200);
    await resync(gateway, ['m-2']);
    await whapi.received(2);
    out.destroy();
  });

  it("releases it at Whapi's timeout, and the next call proceeds", async () => {
    const { base, whapi } = await startProxy({}, { intervals: { ...NO_POLLS.intervals, whapiTimeoutMs: 300 } });
    // An error whose text trickles in for longer than that.
    whapi.answers.push((_request, response) => {
      response.writeHead(500);
      const trickle = setInterval(() => response.write('.'), 20);
      void once(response, 'close').then(() => clearInterval(trickle));
    });
    const slow = send(base, { path: ASK });
    await whapi.received(1);
    const next = send(base, { path: '/messages/m-2?resync=true' });
    expect(await Promise.all([slow, next])).toMatchObject([{ status: 504 }, { status: 200 }]);
  });

  it('does not lose a long answer that continues after its turn', async () => {
    const { base, whapi } = await startProxy({}, { intervals: { ...NO_POLLS.intervals, whapiTimeoutMs: 200 } });
    whapi.answers.push((_request, response) => {
      response.writeHead(200);
      let left = 20;
      const pieces = setInterval(() => ((left -= 1) > 0 ? response.write('piece ') : end()), 25);
      const end = (): void => {
        clearInterval(pieces);
        response.end('last');
      };
    });
    expect((await send(base, { path: ASK })).body.toString()).toMatch(/^(piece ){19}last$/);
  });

  it('is named by a resync that waits for it', async () => {
    const { gateway, base, whapi } = await startProxy({}, NO_POLLS);
    const later = answerLater();
    whapi.answers.push(later.answer);
    const asked = send(base, { path: ASK });
    await whapi.received(1);
    const { id } = await resync(gateway, ['m-2']);
    const { pause } = await pausedWith(gateway, id, 'other_call', "a client's own resync");
    expect(Date.parse(pause?.next_check_at ?? '')).toBeGreaterThan(Date.parse(pause?.since ?? ''));
    later.give(404);
    await asked;
    await until(async () => expect((await runOf(gateway, id)).pause).toBeNull());
  });
});

describe('an id with blanks or control characters around it', () => {
  it.each(['%20m-1', 'm-1%09', '%20m-1%0d%0a', 'm-1/%20'])(
    '%s: its message is restored under its own id (I2)',
    async (id) => {
      const { gateway, base, whapi } = await startProxy({}, NO_POLLS);
      whapi.otherwise = 404;
      await send(base, { path: `/messages/${id}?%5Bresync%5D=true` });
      expect((await whapi.received(1))[0]?.url).toBe(`/messages/${id}?%5Bresync%5D=true`);
      expect(await messageOf(gateway, 'm-1')).toMatchObject({ status: 'waiting', calls: 1 });
      expect((await gateway.webhook(textWebhook('m-1'))).body.verdicts).toEqual({ restored: 1 });
    },
  );
});
