import { describe, expect, it } from 'vitest';
import type { Target } from '../../../src/model.js';
import { channel, DAY, HOUR, messages, refusal, register, sealed, stage, START, target } from '../../support/ledger.js';
import type { OpenStore } from '../../support/ledger.js';

const UNUSUAL: Partial<Target> = {
  channels: ['main', 'second'],
  events: ['messages.post', 'statuses.*'],
  deliver: ['new', 'restored'],
  mode: 'path',
  split: 'chat',
  headers: sealed('{"x-key":"välue"}'),
  previousSecrets: [{ secret: sealed('an earlier one'), expiresAt: START + DAY }],
  maxAgeSeconds: 60,
  retryDelaysSeconds: [1, 0.5, 3600],
  ratePerSecond: 0.5,
  enabled: false,
  disabledReason: 'It answered 410.',
};

/** Channels and targets. */
export function registryContract(open: OpenStore): void {
  describe('channels', () => {
    it('are kept as they were given, in the order of their names', async () => {
      const store = await stage(open);
      const added = channel('another', { channelId: 'ONE', lateAfterSeconds: 5 });
      await store.ledger.addChannel(added);
      await store.restart();
      expect(await store.ledger.channels()).toEqual([added, channel('main')]);
      expect(await store.ledger.channel('another')).toEqual(added);
      expect(await store.ledger.channel('nobody')).toBeNull();
    });

    it('have a name that is taken once, even at one instant', async () => {
      const { ledger } = await stage(open);
      await expect(ledger.addChannel(channel('main'))).rejects.toEqual(refusal('GW_CONFLICT'));
      const both = await Promise.allSettled([ledger.addChannel(channel('twin')), ledger.addChannel(channel('twin'))]);
      expect(both.map((answer) => answer.status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(await ledger.channels()).toHaveLength(2);
    });

    it('change in what is named and in nothing else', async () => {
      const { ledger } = await stage(open);
      const changed = {
        ...channel('main'),
        whapiToken: sealed('another token'),
        lateAfterSeconds: 60,
        autoResync: true,
      };
      expect(
        await ledger.changeChannel('main', {
          whapiToken: sealed('another token'),
          lateAfterSeconds: 60,
          autoResync: true,
        }),
      ).toEqual(changed);
      expect(await ledger.channel('main')).toEqual(changed);
      await expect(ledger.changeChannel('nobody', {})).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('I4: that are removed take no more webhooks, while what was recorded goes on', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      await store.ledger.removeChannel('main');
      await expect(store.record(messages('B'))).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await expect(store.ledger.removeChannel('main')).rejects.toEqual(refusal('GW_NOT_FOUND'));
      expect(await store.deliverAll()).toHaveLength(1);
    });

    it('that are removed have their resyncs cancelled, and no more calls', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['old']);
      await store.ledger.removeChannel('main');
      expect(await store.ledger.resync(id)).toMatchObject({ status: 'cancelled', counts: { cancelled: 1 } });
      expect(await store.ledger.pendingCalls()).toEqual([]);
      expect(await store.ledger.takeCall('main', 'resync', DAY)).toBeNull();
    });

    it('that are made again under an old name know the messages of before', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      await store.ledger.removeChannel('main');
      await store.ledger.addChannel(channel('main'));
      expect(await store.record(messages('A'))).toEqual(['duplicate']);
    });
  });

  describe('connections', () => {
    const FIRST = { webhookUrl: 'https://gateway.example/webhooks/main', hasSetPersist: true, connectedAt: 1 };

    it('are kept, and a second one does not forget what the first has set', async () => {
      const store = await stage(open);
      await store.ledger.rememberConnection('main', FIRST);
      await store.ledger.rememberConnection('main', {
        webhookUrl: 'https://moved',
        hasSetPersist: false,
        connectedAt: 2,
      });
      await store.restart();
      expect(await store.ledger.connection('main')).toEqual({
        webhookUrl: 'https://moved',
        hasSetPersist: true,
        connectedAt: 2,
      });
    });

    it('are gone once forgotten, and with their channel', async () => {
      const { ledger } = await stage(open);
      await ledger.rememberConnection('main', FIRST);
      await ledger.forgetConnection('main');
      expect(await ledger.connection('main')).toBeNull();
      await ledger.rememberConnection('main', FIRST);
      await ledger.removeChannel('main');
      await ledger.addChannel(channel('main'));
      expect(await ledger.connection('main')).toBeNull();
    });

    it('are of channels that are there', async () => {
      const { ledger } = await stage(open);
      await expect(ledger.rememberConnection('nobody', FIRST)).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });
  });

  describe('targets', () => {
    it('are kept as they were given, in the order in which they were made', async () => {
      const store = await stage(open, [target('zebra', UNUSUAL)]);
      await store.ledger.addTarget(target('ant'));
      await store.restart();
      expect(await store.ledger.targets()).toEqual([target('zebra', UNUSUAL), target('ant')]);
      expect(await store.ledger.target('zebra')).toEqual(target('zebra', UNUSUAL));
      expect(await store.ledger.target('nobody')).toBeNull();
    });

    it('change in what is named and in nothing else', async () => {
      const { ledger } = await stage(open);
      expect(await ledger.changeTarget('bot', { enabled: false, ratePerSecond: 2 })).toEqual(
        target('bot', { enabled: false, ratePerSecond: 2 }),
      );
      expect(await ledger.changeTarget('bot', UNUSUAL)).toEqual(target('bot', UNUSUAL));
      expect(await ledger.target('bot')).toEqual(target('bot', UNUSUAL));
      await expect(ledger.changeTarget('nobody', {})).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('that are changed are claimed for with their new settings', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      await store.ledger.changeTarget('bot', { url: 'https://bots.example/moved' });
      expect(await store.claimOne()).toMatchObject({ target: { url: 'https://bots.example/moved' } });
    });

    it('that are given a new secret keep the earlier ones for as long as each was given', async () => {
      const store = await stage(open);
      await store.ledger.rotateSecret('bot', sealed('second'), START + DAY);
      await store.ledger.rotateSecret('bot', sealed('third'), START + HOUR);
      const previousSecrets = [
        { secret: sealed('second'), expiresAt: START + HOUR },
        { secret: sealed('secret of bot'), expiresAt: START + DAY },
      ];
      await store.restart();
      expect(await store.ledger.target('bot')).toEqual(target('bot', { secret: sealed('third'), previousSecrets }));
      store.clock.advance(HOUR);
      await store.ledger.prune({ payloadMs: DAY, ledgerMs: DAY });
      expect((await store.ledger.target('bot'))?.previousSecrets).toEqual(previousSecrets.slice(1));
      await store.ledger.rotateSecret('bot', sealed('fourth'), null);
      expect(await store.ledger.target('bot')).toMatchObject({ secret: 'fourth', previousSecrets: [] });
    });

    it('that are given new secrets too often refuse another, until one of the earlier ones has expired', async () => {
      const store = await stage(open);
      const rotate = async (name: string) =>
        await store.ledger.rotateSecret('bot', sealed(name), store.clock.now() + DAY);
      for (const name of ['b', 'c', 'd', 'e']) await rotate(name);
      await expect(rotate('f')).rejects.toEqual(refusal('GW_CONFLICT'));
      expect(await store.ledger.target('bot')).toMatchObject({ secret: 'e' });
      store.clock.advance(DAY);
      expect((await rotate('f')).previousSecrets.map(({ secret }) => secret)).toEqual(['e']);
      await expect(store.ledger.rotateSecret('nobody', sealed('b'), null)).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('that are given two new secrets at one instant lose neither', async () => {
      const store = await stage(open);
      const [one, two] = [sealed('one'), sealed('two')];
      await Promise.all([one, two].map(async (each) => await store.ledger.rotateSecret('bot', each, START + DAY)));
      const { secret, previousSecrets } = (await store.ledger.target('bot')) ?? target('nobody');
      const signing = [secret, ...previousSecrets.map((previous) => previous.secret)];
      expect([...signing].sort()).toEqual(['one', 'secret of bot', 'two']);
    });

    it('are switched off for a reason, once, and not when they were given another URL meanwhile', async () => {
      const { ledger } = await stage(open);
      const before = target('bot');
      await ledger.changeTarget('bot', { url: 'https://bots.example/moved' });
      expect(await ledger.switchOff(before, 'It is gone.')).toBe(false);
      const moved = (await ledger.target('bot')) ?? before;
      expect(await ledger.switchOff(moved, 'It is gone.')).toBe(true);
      expect(await ledger.switchOff(moved, 'Another reason.')).toBe(false);
      expect(await ledger.target('bot')).toEqual({ ...moved, enabled: false, disabledReason: 'It is gone.' });
      expect(await ledger.switchOff(target('nobody'), 'It is gone.')).toBe(false);
    });

    it('that are removed are sent nothing more, and are gone', async () => {
      const store = await stage(open);
      await store.ledger.removeTarget('bot');
      await store.record(messages('A'));
      expect(await store.ledger.targets()).toEqual([]);
      expect(await store.ledger.target('bot')).toBeNull();
      expect(await store.ledger.claim([{ targetId: 'bot', limit: 9 }], DAY)).toEqual({
        deliveries: [],
        nextDueAt: null,
      });
      await expect(store.ledger.removeTarget('bot')).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await expect(store.ledger.changeTarget('bot', {})).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('that are removed are still named by their old deliveries', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      await store.deliverAll();
      await store.ledger.removeTarget('bot');
      await store.ledger.addTarget(target('heir'));
      const { data } = await store.ledger.deliveries({}, { limit: 9, cursor: null });
      expect(data.map((view) => [view.target, view.status])).toEqual([['bot', 'delivered']]);
    });
  });
}
