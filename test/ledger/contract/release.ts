import { describe, expect, it } from 'vitest';
import type { DeliveryView } from '../../../src/ledger/deliveries.js';
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
} from '../../support/ledger.js';
import type { OpenStore, Store } from '../../support/ledger.js';

/** Message `old` was brought back by a resync and held; of two targets one wants what is restored. */
async function stageHeld(open: OpenStore): Promise<Store> {
  const store = await stage(open, [target('bot'), target('archive', { deliver: ['new', 'restored'] })]);
  await register(store, ['old']);
  await store.record(messages('fresh', 'old'));
  await store.deliverAll();
  return store;
}

async function heldIds(store: Store): Promise<string[]> {
  const { data } = await store.ledger.messages({ held: true }, { limit: 50, cursor: null });
  return data.map(({ messageId }) => messageId);
}

async function deliveriesTo(store: Store, targetId: string): Promise<readonly DeliveryView[]> {
  return (await store.ledger.deliveries({ target: targetId }, { limit: 50, cursor: null })).data;
}

/** I4: what is held can be sent after all, until its payload is pruned. */
export function releaseContract(open: OpenStore): void {
  describe('releasing a held message', () => {
    it('I4: sends it, alone of its webhook, to every target that was not sent it', async () => {
      const store = await stageHeld(open);
      expect(await heldIds(store)).toEqual(['old']);
      const ids = await store.ledger.release('main', 'old', null);
      const delivery = await store.claimOne();
      expect(ids).toEqual([delivery.id]);
      expect(delivery).toMatchObject({
        target: { id: 'bot' },
        verdicts: ['restored'],
        newestMessageAt: null,
      });
      expect(JSON.parse(delivery.body.toString())).toEqual(messages('old'));
      expect(await heldIds(store)).toEqual([]);
    });

    it('I3: sends it once, however often and at whatever one instant it is asked for', async () => {
      const store = await stageHeld(open);
      const release = async (): Promise<unknown> => await store.ledger.release('main', 'old', null);
      const answers = await Promise.allSettled([release(), release(), release()]);
      expect(answers.filter((answer) => answer.status === 'fulfilled')).toHaveLength(1);
      await store.deliverAll();
      await expect(release()).rejects.toEqual(refusal('GW_NOT_HELD'));
      expect(await deliveriesTo(store, 'bot')).toHaveLength(2);
    });

    it('sends the bytes that came where it was alone in its webhook, months later and after a restart', async () => {
      const store = await stage(open);
      await register(store, ['old']);
      const body = Buffer.from(`{ "messages" : [ {"id":"old", "big": 12345678901234567890} ] }`);
      await store.record(body);
      store.clock.advance(90 * DAY);
      await store.restart();
      await store.ledger.release('main', 'old', null);
      expect((await store.claimOne()).body.equals(body)).toBe(true);
    });

    it('to chosen targets leaves it held for the others', async () => {
      const store = await stage(open, [target('bot'), target('archive')]);
      await register(store, ['old']);
      await store.record(messages('old'));
      await store.ledger.release('main', 'old', ['archive']);
      expect((await store.deliverAll()).map((delivery) => delivery.target.id)).toEqual(['archive']);
      expect(await heldIds(store)).toEqual(['old']);
      await store.ledger.release('main', 'old', null);
      expect((await store.deliverAll()).map((delivery) => delivery.target.id)).toEqual(['bot']);
      expect(await heldIds(store)).toEqual([]);
    });

    it('to chosen targets sends it to one that does not subscribe to it, and refuses one that there is not', async () => {
      const store = await stageHeld(open);
      await store.ledger.addTarget(target('statuses', { events: ['statuses'] }));
      await expect(store.ledger.release('main', 'old', ['statuses', 'nobody'])).rejects.toEqual(
        refusal('GW_NOT_FOUND'),
      );
      expect(await store.deliverAll()).toEqual([]);
      await store.ledger.release('main', 'old', ['statuses']);
      expect(idsIn(await store.deliverAll())).toEqual(['old']);
    });

    it('I6: sends it behind what already waits in its chat, and before what comes later', async () => {
      const store = await stage(open);
      await register(store, ['old']);
      await store.record(messages('old'));
      await store.record(messages('A1'));
      await store.ledger.release('main', 'old', null);
      await store.record(messages('A2'));
      const waiting = await store.claimOne();
      await store.settle(waiting, 'delivered');
      expect(idsIn([waiting, ...(await store.deliverAll())])).toEqual(['A1', 'old', 'A2']);
    });

    it('sends what is late to a target that did not want it', async () => {
      const store = await stage(open, [target('bot', { deliver: ['new', 'event'] })]);
      await store.record(messages('newest'));
      store.clock.advance(HOUR + SECOND);
      expect(await store.record(messages(message('A', 'alice', { timestamp: 1 })))).toEqual(['late']);
      await store.ledger.release('main', 'A', null);
      expect(idsIn(await store.deliverAll())).toEqual(['newest', 'A']);
    });

    it('sends what is new to a target that did not want it', async () => {
      const store = await stage(open, [target('bot', { deliver: ['event'] })]);
      await store.record(messages('A'));
      await store.ledger.release('main', 'A', null);
      expect(idsIn(await store.deliverAll())).toEqual(['A']);
    });

    it('I4: sends a revision that a target was not sent, though it was sent the message', async () => {
      const store = await stage(open, [target('bot', { deliver: ['new'] })]);
      await store.record(messages('A'));
      await store.deliverAll();
      const revised = revisions(message('A', 'alice', { text: { body: 'Revised' } }));
      expect(await store.record(revised)).toEqual(['event']);
      await store.ledger.release('main', 'A', null);
      expect(JSON.parse((await store.claimOne()).body.toString())).toEqual(revised);
    });

    it('I4: sends also a repetition of what was sent, once: who releases it wants it sent', async () => {
      const store = await stage(open);
      for (let time = 0; time < 3; time += 1) await store.record(messages('A'));
      expect(await store.ledger.release('main', 'A', null)).toHaveLength(1);
      await expect(store.ledger.release('main', 'A', null)).rejects.toEqual(refusal('GW_NOT_HELD'));
    });

    it('sends the message, not a placeholder that came after it', async () => {
      const store = await stage(open);
      await register(store, ['A']);
      const placeholder = message('A', 'alice', { type: 'unknown' });
      for (const body of [message('A'), placeholder]) await store.record(messages(body));
      await store.ledger.release('main', 'A', null);
      const [sent] = await store.deliverAll();
      expect(sent?.body.toString()).not.toContain('unknown');
    });

    it('is refused for a message that was sent to all who subscribe, or that nobody subscribes to', async () => {
      const store = await stage(open, [target('bot', { events: ['statuses'], deliver: ['duplicate'] })]);
      await register(store, ['old']);
      await store.record(messages('A', 'old'));
      await expect(store.ledger.release('main', 'A', null)).rejects.toEqual(refusal('GW_NOT_HELD'));
      await expect(store.ledger.release('main', 'old', null)).rejects.toEqual(refusal('GW_NOT_HELD'));
    });

    it('is refused as never seen for an unknown id, and for one that only a status has named', async () => {
      const store = await stage(open);
      await store.record(status('A'));
      await expect(store.ledger.release('main', 'A', null)).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await expect(store.ledger.release('main', 'B', null)).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('is refused as never seen for an id that Whapi was asked for and that never came', async () => {
      const store = await stage(open);
      await register(store, ['old']);
      await store.ledger.takeCall('main', 'resync', SECOND);
      store.clock.advance(HOUR);
      await store.ledger.closeWindows();
      await expect(store.ledger.release('main', 'old', null)).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('I4: is refused once its payload was pruned, and not before', async () => {
      const store = await stageHeld(open);
      const retention = { payloadMs: 7 * DAY, ledgerMs: 400 * DAY };
      store.clock.advance(7 * DAY);
      await prune(store, retention);
      const [id = ''] = await store.ledger.release('main', 'old', null);
      expect(await store.ledger.delivery(id)).toMatchObject({ status: 'pending', target: 'bot' });
      await store.deliverAll();
      store.clock.advance(7 * DAY + 1);
      await prune(store, retention);
      await expect(store.ledger.release('main', 'old', null)).rejects.toEqual(refusal('GW_PAYLOAD_GONE'));
    });

    it('I4: is not refused before its payload was pruned, even where ids are to be forgotten sooner', async () => {
      const store = await stage(open, [target('bot', { deliver: ['event'] })]);
      await store.record(messages('A'));
      store.clock.advance(20 * DAY);
      await prune(store, { payloadMs: 30 * DAY, ledgerMs: 7 * DAY });
      expect(await heldIds(store)).toEqual(['A']);
      await store.ledger.release('main', 'A', null);
      expect(idsIn(await store.deliverAll())).toEqual(['A']);
    });

    it('a released message is one more delivery of the same message in its explanation', async () => {
      const store = await stageHeld(open);
      await store.ledger.release('main', 'old', ['bot']);
      const explained = await store.ledger.explain('main', 'old');
      expect(explained?.deliveries.map((view) => [view.target, view.verdicts.at(-1)]).sort()).toEqual([
        ['archive', 'restored'],
        ['bot', 'restored'],
      ]);
      expect(first(explained?.sightings ?? [])).toMatchObject({ held: false });
    });
  });
}
