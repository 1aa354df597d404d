import { describe, expect, it } from 'vitest';
import { samplePayload } from '../../support/files.js';
import {
  channel,
  DAY,
  HOUR,
  idsIn,
  judgements,
  message,
  messages,
  MINUTE,
  record,
  refusal,
  SECOND,
  stage,
  START,
  status,
  target,
} from '../../support/store.js';
import type { OpenFixture } from '../../support/store.js';

/** I1, I3: records each webhook once, and creates the deliveries that follow from it. */
export function intakeContract(open: OpenFixture): void {
  describe('recording a webhook', () => {
    it('I1: makes the webhook, its verdict and its delivery readable once it has answered', async () => {
      const { store } = await stage(open);
      expect(await record(store, messages('A'))).toMatchObject({ verdicts: ['new'], deliveries: 1 });
      expect(await store.items.explain('main', 'A')).toMatchObject({
        ledger: { firstSeenAt: START, rule: 10 },
        sightings: [{ verdict: 'new', rule: 10, held: false, event: 'messages.post', seenAt: START }],
        deliveries: [{ status: 'pending', target: 'bot', nextAttemptAt: START }],
      });
    });

    it('I3: creates no second delivery for a webhook that comes again months later', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      fixture.clock.advance(90 * DAY);
      expect(await record(fixture.store, messages('A'))).toMatchObject({ verdicts: ['duplicate'], deliveries: 0 });
      expect(await fixture.deliverAll()).toHaveLength(1);
    });

    it('I3: creates one delivery per target for a webhook that arrives thirty times at the same instant', async () => {
      const fixture = await stage(open, [target('bot'), target('archive')]);
      const verdicts = await Promise.all(Array.from({ length: 30 }, async () => await fixture.record(messages('A'))));
      expect(verdicts.flat().filter((verdict) => verdict === 'new')).toHaveLength(1);
      expect(verdicts.flat().filter((verdict) => verdict === 'duplicate')).toHaveLength(29);
      expect((await fixture.deliverAll()).map((delivery) => delivery.target.id).sort()).toEqual(['archive', 'bot']);
    });

    it('I3: sends only the first of two equal items in one webhook', async () => {
      const fixture = await stage(open);
      expect(await fixture.record(messages('A', 'A', 'B'))).toEqual(['new', 'duplicate', 'new']);
      expect(idsIn(await fixture.deliverAll())).toEqual(['A', 'B']);
    });

    it.each([
      ['of another channel', messages('A'), { channel: 'second' }],
      ['in other letter case', messages('a'), {}],
      ['with a lone surrogate in it', messages('A\ud800'), {}],
    ])('treats the same id %s as another one', async (_, body, options) => {
      const fixture = await stage(open);
      await fixture.store.registry.addChannel(channel('second'));
      await fixture.record(messages('A', 'A\ud801'));
      expect(await fixture.record(body, options)).toEqual(['new']);
    });

    it('recognizes a message under another chat id', async () => {
      const fixture = await stage(open);
      await fixture.record(messages(message('A', '12025550142@s.whatsapp.net')));
      expect(await fixture.record(messages(message('A', '117205550142@lid')))).toEqual(['duplicate']);
    });

    it('refuses a webhook for an unknown channel and still stores the others of the same commit', async () => {
      const fixture = await stage(open);
      const unknown = fixture.record(messages('B'), { channel: 'nobody' });
      const verdicts = Promise.all([fixture.record(messages('A')), fixture.record(messages('C'))]);
      await expect(unknown).rejects.toEqual(refusal('GW_NOT_FOUND'));
      expect(await verdicts).toEqual([['new'], ['new']]);
      expect(idsIn(await fixture.deliverAll()).sort()).toEqual(['A', 'C']);
    });

    it("learns the channel's Whapi id from its first webhook and refuses webhooks of another channel", async () => {
      const fixture = await stage(open);
      await fixture.record({ ...messages('A'), channel_id: 'ONE' });
      await expect(fixture.record({ ...messages('B'), channel_id: 'TWO' })).rejects.toEqual(
        refusal('GW_CHANNEL_MISMATCH'),
      );
      expect(await fixture.store.registry.channel('main')).toMatchObject({ channelId: 'ONE' });
      expect(await fixture.store.items.explain('main', 'B')).toBeNull();
      expect(await fixture.record({ ...messages('B'), channel_id: 'ONE' })).toEqual(['new']);
    });

    it('accepts webhooks of another channel once the learned id is cleared', async () => {
      const fixture = await stage(open);
      await fixture.record({ ...messages('A'), channel_id: 'ONE' });
      await fixture.store.registry.changeChannel('main', { channelId: null });
      expect(await fixture.record({ ...messages('B'), channel_id: 'TWO' })).toEqual(['new']);
      expect(await fixture.store.registry.channel('main')).toMatchObject({ channelId: 'TWO' });
    });
  });

  describe('the body sent to a target', () => {
    it('is the exact bytes that came, with their method, path and content type', async () => {
      const fixture = await stage(open);
      const body = samplePayload('messages.post.text');
      const options = { method: 'PUT', suffix: '/messages', contentType: 'application/json; charset=utf-8' } as const;
      await fixture.record(body, options);
      const delivery = await fixture.claimOne();
      expect(delivery).toMatchObject({ ...options, channel: 'main', verdicts: ['new'], attempts: 0 });
      expect(delivery.event).toEqual({ type: 'messages', method: 'post' });
      expect(delivery.body.equals(body)).toBe(true);
    });

    it('omits the items that the target does not want, and every item gets a verdict', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A', 'B'));
      await fixture.deliverAll();
      expect(await fixture.record(messages('C', 'A', 'D', 'B'))).toEqual(['new', 'duplicate', 'new', 'duplicate']);
      const delivery = await fixture.claimOne();
      expect(delivery.verdicts).toEqual(['new', 'new']);
      expect(JSON.parse(delivery.body.toString())).toEqual(messages('C', 'D'));
    });

    it("depends on the target's channels, events and verdicts", async () => {
      const fixture = await stage(open, [
        target('other-channel', { channels: ['second'] }),
        target('other-event', { events: ['statuses.*', 'messages.put'] }),
        target('duplicates', { channels: ['main'], events: ['messages'], deliver: ['duplicate'] }),
        target('statuses', { events: ['statuses'] }),
      ]);
      await fixture.record(messages('A'));
      await fixture.record(messages('A', 'B'));
      await fixture.record(status('A', 'bob', 'put'));
      const sent = (await fixture.deliverAll()).map(({ target: { id }, verdicts }) => `${id}: ${verdicts.join()}`);
      expect(sent.sort()).toEqual(['duplicates: duplicate', 'other-event: event', 'statuses: event']);
    });

    it('carries the time of the newest message that is sent', async () => {
      const fixture = await stage(open);
      const at = (id: string, seconds: number): Record<string, unknown> => message(id, 'alice', { timestamp: seconds });
      await fixture.record(messages(at('A', 3000)));
      await fixture.record(messages(at('A', 3000), at('B', 1000), at('C', 2000)));
      await fixture.record(status('A', 'bob'));
      const made = await fixture.deliverAll();
      expect(made.map(({ newestMessageAt }) => newestMessageAt).sort()).toEqual([2000, 3000, null]);
    });

    it('I4: waits while the target is disabled, and is sent once the target is enabled again', async () => {
      const fixture = await stage(open, [target('bot', { enabled: false })]);
      expect(await record(fixture.store, messages('A'))).toMatchObject({ verdicts: ['new'], deliveries: 1 });
      expect(await fixture.claim()).toEqual({ deliveries: [], nextDueAt: null });
      fixture.clock.advance(30 * DAY);
      await fixture.store.registry.changeTarget('bot', { enabled: true });
      expect(idsIn(await fixture.deliverAll())).toEqual(['A']);
    });

    it.each([
      ['an empty object', '{}'],
      ['an array', '[1, 2]'],
      ['a string', '"hello"'],
      ['an unknown key', '{ "surprises": [{ "id": "A" }] }'],
      ['a message without an id', '{ "messages": [{ "type": "text" }] }'],
    ])('is %s unchanged, each time it comes', async (_, text) => {
      const fixture = await stage(open);
      const verdicts = [await fixture.record(Buffer.from(text)), await fixture.record(Buffer.from(text))];
      expect(verdicts).toEqual([['event'], ['event']]);
      expect((await fixture.deliverAll()).map(({ body }) => body.toString())).toEqual([text, text]);
    });
  });

  describe('a message that was not seen before', () => {
    it.each([
      [901, HOUR + 1, 'late 9'],
      [900, HOUR + 1, 'new 10'],
      [901, HOUR, 'new 10'],
      [-5, 30 * DAY, 'new 10'],
    ])('and is %i s older than the newest of its chat, received %i ms ago, is %s', async (behind, ago, judgement) => {
      const fixture = await stage(open);
      await fixture.record(messages('newest'));
      fixture.clock.advance(ago);
      await fixture.record(messages(message('A', 'alice', { timestamp: START / SECOND - behind })));
      expect(await judgements(fixture, 'A')).toEqual([judgement]);
    });

    it('is late by the newest message of its chat, even if older ones followed', async () => {
      const fixture = await stage(open);
      const sent = (id: string, secondsAgo: number): Record<string, unknown> =>
        messages(message(id, 'alice', { timestamp: START / SECOND - secondsAgo }));
      await fixture.record(sent('newest', 0));
      await fixture.record(sent('older', 1000));
      fixture.clock.advance(HOUR + 1);
      expect(await fixture.record(sent('A', 950))).toEqual(['late']);
    });

    it('is late by the limit of its own channel', async () => {
      const fixture = await stage(open);
      await fixture.store.registry.changeChannel('main', { lateAfterSeconds: 10 });
      await fixture.record(messages('newest'));
      fixture.clock.advance(HOUR + SECOND);
      expect(await fixture.record(messages(message('A', 'alice', { timestamp: START / SECOND - 11 })))).toEqual([
        'late',
      ]);
    });

    it('is not late because of a newer message in another chat, nor without a timestamp', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('newest'));
      fixture.clock.advance(DAY);
      const body = messages(message('A', 'bob', { timestamp: 1 }), message('B', 'alice', { timestamp: 'soon' }));
      expect(await fixture.record(body)).toEqual(['new', 'new']);
    });

    it('is not late because one message of its chat has a timestamp in the future', async () => {
      const fixture = await stage(open);
      await fixture.record(messages(message('wrong', 'alice', { timestamp: START / SECOND + 999_999_999 })));
      fixture.clock.advance(2 * HOUR);
      const now = fixture.clock.now() / SECOND;
      expect(await fixture.record(messages(message('A', 'alice', { timestamp: now })))).toEqual(['new']);
    });

    it('is not late within the hour in which Whapi may retry, however old it is', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('newest'));
      fixture.clock.advance(59 * MINUTE);
      const old = message('A', 'alice', { timestamp: START / SECOND - DAY / SECOND });
      expect(await fixture.record(messages(old))).toEqual(['new']);
    });
  });
}
