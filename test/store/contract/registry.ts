import { describe, expect, it } from 'vitest';
import type { Target } from '../../../src/model.js';
import { channel, DAY, HOUR, messages, refusal, register, sealed, stage, START, target } from '../../support/store.js';
import type { OpenFixture } from '../../support/store.js';

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
export function registryContract(open: OpenFixture): void {
  describe('channels', () => {
    it('are kept as they were given, in the order of their names', async () => {
      const fixture = await stage(open);
      const added = channel('another', { channelId: 'ONE', lateAfterSeconds: 5 });
      await fixture.store.addChannel(added);
      await fixture.restart();
      expect(await fixture.store.channels()).toEqual([added, channel('main')]);
      expect(await fixture.store.channel('another')).toEqual(added);
      expect(await fixture.store.channel('nobody')).toBeNull();
    });

    it('have a name that is taken once, even at one instant', async () => {
      const { store } = await stage(open);
      await expect(store.addChannel(channel('main'))).rejects.toEqual(refusal('GW_CONFLICT'));
      const both = await Promise.allSettled([store.addChannel(channel('twin')), store.addChannel(channel('twin'))]);
      expect(both.map((answer) => answer.status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(await store.channels()).toHaveLength(2);
    });

    it('change in what is named and in nothing else', async () => {
      const { store } = await stage(open);
      const changed = {
        ...channel('main'),
        whapiToken: sealed('another token'),
        lateAfterSeconds: 60,
        autoResync: true,
      };
      expect(
        await store.changeChannel('main', {
          whapiToken: sealed('another token'),
          lateAfterSeconds: 60,
          autoResync: true,
        }),
      ).toEqual(changed);
      expect(await store.channel('main')).toEqual(changed);
      await expect(store.changeChannel('nobody', {})).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('I4: that are removed take no more webhooks, while what was recorded goes on', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      await fixture.store.removeChannel('main');
      await expect(fixture.record(messages('B'))).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await expect(fixture.store.removeChannel('main')).rejects.toEqual(refusal('GW_NOT_FOUND'));
      expect(await fixture.deliverAll()).toHaveLength(1);
    });

    it('that are removed have their resyncs cancelled, and no more calls', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['old']);
      await fixture.store.removeChannel('main');
      expect(await fixture.store.resync(id)).toMatchObject({ status: 'cancelled', counts: { cancelled: 1 } });
      expect(await fixture.store.pendingCalls()).toEqual([]);
      expect(await fixture.store.takeCall('main', 'resync', DAY)).toBeNull();
    });

    it('that are made again under an old name know the messages of before', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      await fixture.store.removeChannel('main');
      await fixture.store.addChannel(channel('main'));
      expect(await fixture.record(messages('A'))).toEqual(['duplicate']);
    });
  });

  describe('connections', () => {
    const FIRST = { webhookUrl: 'https://gateway.example/webhooks/main', hasSetPersist: true, connectedAt: 1 };

    it('are kept, and a second one does not forget what the first has set', async () => {
      const fixture = await stage(open);
      await fixture.store.rememberConnection('main', FIRST);
      await fixture.store.rememberConnection('main', {
        webhookUrl: 'https://moved',
        hasSetPersist: false,
        connectedAt: 2,
      });
      await fixture.restart();
      expect(await fixture.store.connection('main')).toEqual({
        webhookUrl: 'https://moved',
        hasSetPersist: true,
        connectedAt: 2,
      });
    });

    it('are gone once forgotten, and with their channel', async () => {
      const { store } = await stage(open);
      await store.rememberConnection('main', FIRST);
      await store.forgetConnection('main');
      expect(await store.connection('main')).toBeNull();
      await store.rememberConnection('main', FIRST);
      await store.removeChannel('main');
      await store.addChannel(channel('main'));
      expect(await store.connection('main')).toBeNull();
    });

    it('are of channels that are there', async () => {
      const { store } = await stage(open);
      await expect(store.rememberConnection('nobody', FIRST)).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });
  });

  describe('targets', () => {
    it('are kept as they were given, in the order in which they were made', async () => {
      const fixture = await stage(open, [target('zebra', UNUSUAL)]);
      await fixture.store.addTarget(target('ant'));
      await fixture.restart();
      expect(await fixture.store.targets()).toEqual([target('zebra', UNUSUAL), target('ant')]);
      expect(await fixture.store.target('zebra')).toEqual(target('zebra', UNUSUAL));
      expect(await fixture.store.target('nobody')).toBeNull();
    });

    it('change in what is named and in nothing else', async () => {
      const { store } = await stage(open);
      expect(await store.changeTarget('bot', { enabled: false, ratePerSecond: 2 })).toEqual(
        target('bot', { enabled: false, ratePerSecond: 2 }),
      );
      expect(await store.changeTarget('bot', UNUSUAL)).toEqual(target('bot', UNUSUAL));
      expect(await store.target('bot')).toEqual(target('bot', UNUSUAL));
      await expect(store.changeTarget('nobody', {})).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('that are changed are claimed for with their new settings', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      await fixture.store.changeTarget('bot', { url: 'https://bots.example/moved' });
      expect(await fixture.claimOne()).toMatchObject({ target: { url: 'https://bots.example/moved' } });
    });

    it('that are given a new secret keep the earlier ones for as long as each was given', async () => {
      const fixture = await stage(open);
      await fixture.store.rotateSecret('bot', sealed('second'), START + DAY);
      await fixture.store.rotateSecret('bot', sealed('third'), START + HOUR);
      const previousSecrets = [
        { secret: sealed('second'), expiresAt: START + HOUR },
        { secret: sealed('secret of bot'), expiresAt: START + DAY },
      ];
      await fixture.restart();
      expect(await fixture.store.target('bot')).toEqual(target('bot', { secret: sealed('third'), previousSecrets }));
      fixture.clock.advance(HOUR);
      await fixture.store.prune({ payloadMs: DAY, ledgerMs: DAY });
      expect((await fixture.store.target('bot'))?.previousSecrets).toEqual(previousSecrets.slice(1));
      await fixture.store.rotateSecret('bot', sealed('fourth'), null);
      expect(await fixture.store.target('bot')).toMatchObject({ secret: 'fourth', previousSecrets: [] });
    });

    it('that are given new secrets too often refuse another, until one of the earlier ones has expired', async () => {
      const fixture = await stage(open);
      const rotate = async (name: string) =>
        await fixture.store.rotateSecret('bot', sealed(name), fixture.clock.now() + DAY);
      for (const name of ['b', 'c', 'd', 'e']) await rotate(name);
      await expect(rotate('f')).rejects.toEqual(refusal('GW_CONFLICT'));
      expect(await fixture.store.target('bot')).toMatchObject({ secret: 'e' });
      fixture.clock.advance(DAY);
      expect((await rotate('f')).previousSecrets.map(({ secret }) => secret)).toEqual(['e']);
      await expect(fixture.store.rotateSecret('nobody', sealed('b'), null)).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('that are given two new secrets at one instant lose neither', async () => {
      const fixture = await stage(open);
      const [one, two] = [sealed('one'), sealed('two')];
      await Promise.all([one, two].map(async (each) => await fixture.store.rotateSecret('bot', each, START + DAY)));
      const { secret, previousSecrets } = (await fixture.store.target('bot')) ?? target('nobody');
      const signing = [secret, ...previousSecrets.map((previous) => previous.secret)];
      expect([...signing].sort()).toEqual(['one', 'secret of bot', 'two']);
    });

    it('are switched off for a reason, once, and not when they were given another URL meanwhile', async () => {
      const { store } = await stage(open);
      const before = target('bot');
      await store.changeTarget('bot', { url: 'https://bots.example/moved' });
      expect(await store.switchOff(before, 'It is gone.')).toBe(false);
      const moved = (await store.target('bot')) ?? before;
      expect(await store.switchOff(moved, 'It is gone.')).toBe(true);
      expect(await store.switchOff(moved, 'Another reason.')).toBe(false);
      expect(await store.target('bot')).toEqual({ ...moved, enabled: false, disabledReason: 'It is gone.' });
      expect(await store.switchOff(target('nobody'), 'It is gone.')).toBe(false);
    });

    it('that are removed are sent nothing more, and are gone', async () => {
      const fixture = await stage(open);
      await fixture.store.removeTarget('bot');
      await fixture.record(messages('A'));
      expect(await fixture.store.targets()).toEqual([]);
      expect(await fixture.store.target('bot')).toBeNull();
      expect(await fixture.store.claim([{ targetId: 'bot', limit: 9 }], DAY)).toEqual({
        deliveries: [],
        nextDueAt: null,
      });
      await expect(fixture.store.removeTarget('bot')).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await expect(fixture.store.changeTarget('bot', {})).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('that are removed are still named by their old deliveries', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      await fixture.deliverAll();
      await fixture.store.removeTarget('bot');
      await fixture.store.addTarget(target('heir'));
      const { data } = await fixture.store.deliveries({}, { limit: 9, cursor: null });
      expect(data.map((view) => [view.target, view.status])).toEqual([['bot', 'delivered']]);
    });
  });
}
