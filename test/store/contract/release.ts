import { describe, expect, it } from 'vitest';
import {
  DAY,
  first,
  HOUR,
  idsIn,
  message,
  messages,
  prune,
  refusal,
  register,
  revisions,
  SECOND,
  stage,
  status,
  target,
} from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';
import type { DeliveryView } from '../../../src/store/deliveries.js';

/** A resync brought message `old` back and it is held. One of the two targets wants restored messages. */
async function stageHeld(open: OpenFixture): Promise<StoreFixture> {
  const fixture = await stage(open, [target('bot'), target('archive', { deliver: ['new', 'restored'] })]);
  await register(fixture, ['old']);
  await fixture.record(messages('fresh', 'old'));
  await fixture.deliverAll();
  return fixture;
}

async function heldIds(fixture: StoreFixture): Promise<string[]> {
  const { data } = await fixture.store.items.messages({ held: true }, { limit: 50, cursor: null });
  return data.map(({ messageId }) => messageId);
}

async function deliveriesTo(fixture: StoreFixture, targetId: string): Promise<readonly DeliveryView[]> {
  return (await fixture.store.outbox.deliveries({ target: targetId }, { limit: 50, cursor: null })).data;
}

/** I4: a held message can be sent until its payload is pruned. */
export function releaseContract(open: OpenFixture): void {
  describe('releasing a held message', () => {
    it('I4: sends it, without the rest of its webhook, to every target that has not received it', async () => {
      const fixture = await stageHeld(open);
      expect(await heldIds(fixture)).toEqual(['old']);
      const ids = await fixture.store.outbox.release('main', 'old', null);
      const delivery = await fixture.claimOne();
      expect(ids).toEqual([delivery.id]);
      expect(delivery).toMatchObject({
        target: { id: 'bot' },
        verdicts: ['restored'],
        newestMessageAt: null,
      });
      expect(JSON.parse(delivery.body.toString())).toEqual(messages('old'));
      expect(await heldIds(fixture)).toEqual([]);
    });

    it('I3: sends it once, no matter how often or at which instant it is requested', async () => {
      const fixture = await stageHeld(open);
      const release = async (): Promise<unknown> => await fixture.store.outbox.release('main', 'old', null);
      const answers = await Promise.allSettled([release(), release(), release()]);
      expect(answers.filter((answer) => answer.status === 'fulfilled')).toHaveLength(1);
      await fixture.deliverAll();
      await expect(release()).rejects.toEqual(refusal('GW_NOT_HELD'));
      expect(await deliveriesTo(fixture, 'bot')).toHaveLength(2);
    });

    it('sends the original bytes if it was alone in its webhook, months later and after a restart', async () => {
      const fixture = await stage(open);
      await register(fixture, ['old']);
      const body = Buffer.from(`{ "messages" : [ {"id":"old", "big": 12345678901234567890} ] }`);
      await fixture.record(body);
      fixture.clock.advance(90 * DAY);
      await fixture.restart();
      await fixture.store.outbox.release('main', 'old', null);
      expect((await fixture.claimOne()).body.equals(body)).toBe(true);
    });

    it('to chosen targets leaves it held for the others', async () => {
      const fixture = await stage(open, [target('bot'), target('archive')]);
      await register(fixture, ['old']);
      await fixture.record(messages('old'));
      await fixture.store.outbox.release('main', 'old', ['archive']);
      expect((await fixture.deliverAll()).map((delivery) => delivery.target.id)).toEqual(['archive']);
      expect(await heldIds(fixture)).toEqual(['old']);
      await fixture.store.outbox.release('main', 'old', null);
      expect((await fixture.deliverAll()).map((delivery) => delivery.target.id)).toEqual(['bot']);
      expect(await heldIds(fixture)).toEqual([]);
    });

    it('to a chosen target sends it even without a subscription, and is refused for an unknown target', async () => {
      const fixture = await stageHeld(open);
      await fixture.store.registry.addTarget(target('statuses', { events: ['statuses'] }));
      await expect(fixture.store.outbox.release('main', 'old', ['statuses', 'nobody'])).rejects.toEqual(
        refusal('GW_NOT_FOUND'),
      );
      expect(await fixture.deliverAll()).toEqual([]);
      await fixture.store.outbox.release('main', 'old', ['statuses']);
      expect(idsIn(await fixture.deliverAll())).toEqual(['old']);
    });

    it('I6: queues it behind what already waits in its chat, and ahead of what comes later', async () => {
      const fixture = await stage(open);
      await register(fixture, ['old']);
      await fixture.record(messages('old'));
      await fixture.record(messages('A1'));
      await fixture.store.outbox.release('main', 'old', null);
      await fixture.record(messages('A2'));
      const waiting = await fixture.claimOne();
      await fixture.settle(waiting, 'delivered');
      expect(idsIn([waiting, ...(await fixture.deliverAll())])).toEqual(['A1', 'old', 'A2']);
    });

    it('sends a late message to a target that does not want late messages', async () => {
      const fixture = await stage(open, [target('bot', { deliver: ['new', 'event'] })]);
      await fixture.record(messages('newest'));
      fixture.clock.advance(HOUR + SECOND);
      expect(await fixture.record(messages(message('A', 'alice', { timestamp: 1 })))).toEqual(['late']);
      await fixture.store.outbox.release('main', 'A', null);
      expect(idsIn(await fixture.deliverAll())).toEqual(['newest', 'A']);
    });

    it('sends a new message to a target that does not want new messages', async () => {
      const fixture = await stage(open, [target('bot', { deliver: ['event'] })]);
      await fixture.record(messages('A'));
      await fixture.store.outbox.release('main', 'A', null);
      expect(idsIn(await fixture.deliverAll())).toEqual(['A']);
    });

    it('I4: sends a revision that a target has not received, even though it received the message', async () => {
      const fixture = await stage(open, [target('bot', { deliver: ['new'] })]);
      await fixture.record(messages('A'));
      await fixture.deliverAll();
      const revised = revisions(message('A', 'alice', { text: { body: 'Revised' } }));
      expect(await fixture.record(revised)).toEqual(['event']);
      await fixture.store.outbox.release('main', 'A', null);
      expect(JSON.parse((await fixture.claimOne()).body.toString())).toEqual(revised);
    });

    it('I4: also sends a repetition of a delivered message, once, because the release asks for it', async () => {
      const fixture = await stage(open);
      for (let time = 0; time < 3; time += 1) await fixture.record(messages('A'));
      expect(await fixture.store.outbox.release('main', 'A', null)).toHaveLength(1);
      await expect(fixture.store.outbox.release('main', 'A', null)).rejects.toEqual(refusal('GW_NOT_HELD'));
    });

    it('sends the message, not a placeholder that came after it', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A']);
      const placeholder = message('A', 'alice', { type: 'unknown' });
      for (const body of [message('A'), placeholder]) await fixture.record(messages(body));
      await fixture.store.outbox.release('main', 'A', null);
      const [sent] = await fixture.deliverAll();
      expect(sent?.body.toString()).not.toContain('unknown');
    });

    it('is refused if every subscriber has received it, or no target subscribes to it', async () => {
      const fixture = await stage(open, [target('bot', { events: ['statuses'], deliver: ['duplicate'] })]);
      await register(fixture, ['old']);
      await fixture.record(messages('A', 'old'));
      await expect(fixture.store.outbox.release('main', 'A', null)).rejects.toEqual(refusal('GW_NOT_HELD'));
      await expect(fixture.store.outbox.release('main', 'old', null)).rejects.toEqual(refusal('GW_NOT_HELD'));
    });

    it('is refused as never seen for an unknown id, and for one that only a status named', async () => {
      const fixture = await stage(open);
      await fixture.record(status('A'));
      await expect(fixture.store.outbox.release('main', 'A', null)).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await expect(fixture.store.outbox.release('main', 'B', null)).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('is refused as never seen for an id that Whapi was asked for and that never came', async () => {
      const fixture = await stage(open);
      await register(fixture, ['old']);
      await fixture.store.resyncs.takeCall('main', 'resync', SECOND);
      fixture.clock.advance(HOUR);
      await fixture.store.resyncs.closeWindows();
      await expect(fixture.store.outbox.release('main', 'old', null)).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('I4: is refused once its payload is pruned, and not before', async () => {
      const fixture = await stageHeld(open);
      const retention = { payloadMs: 7 * DAY, ledgerMs: 400 * DAY };
      fixture.clock.advance(7 * DAY);
      await prune(fixture, retention);
      const [id = ''] = await fixture.store.outbox.release('main', 'old', null);
      expect(await fixture.store.outbox.delivery(id)).toMatchObject({ status: 'pending', target: 'bot' });
      await fixture.deliverAll();
      fixture.clock.advance(7 * DAY + 1);
      await prune(fixture, retention);
      await expect(fixture.store.outbox.release('main', 'old', null)).rejects.toEqual(refusal('GW_PAYLOAD_GONE'));
    });

    it('I4: works until its payload is pruned, even if ids are pruned earlier', async () => {
      const fixture = await stage(open, [target('bot', { deliver: ['event'] })]);
      await fixture.record(messages('A'));
      fixture.clock.advance(20 * DAY);
      await prune(fixture, { payloadMs: 30 * DAY, ledgerMs: 7 * DAY });
      expect(await heldIds(fixture)).toEqual(['A']);
      await fixture.store.outbox.release('main', 'A', null);
      expect(idsIn(await fixture.deliverAll())).toEqual(['A']);
    });

    it('adds one more delivery of the message to its explanation', async () => {
      const fixture = await stageHeld(open);
      await fixture.store.outbox.release('main', 'old', ['bot']);
      const explained = await fixture.store.items.explain('main', 'old');
      expect(explained?.deliveries.map((view) => [view.target, view.verdicts.at(-1)]).sort()).toEqual([
        ['archive', 'restored'],
        ['bot', 'restored'],
      ]);
      expect(first(explained?.sightings ?? [])).toMatchObject({ held: false });
    });
  });
}
