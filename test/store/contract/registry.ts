import { describe, expect, it } from 'vitest';
import type { Target } from '../../../src/model.js';
import { channel, DAY, HOUR, messages, refusal, register, sealed, stage, START, target } from '../../support/store.js';
import type { OpenFixture } from '../../support/store.js';
import type { Predecessor } from '../../../src/store/registry.js';

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

/** The secret that a rotation replaces, sealed for its new place. */
function kept(expiresAt: number): Predecessor {
  return { expiresAt, seal: (current) => sealed(`${current}, kept`) };
}

/** Channels and targets. */
export function registryContract(open: OpenFixture): void {
  describe('channels', () => {
    it('are stored as given and listed by name', async () => {
      const fixture = await stage(open);
      const added = channel('another', { channelId: 'ONE', lateAfterSeconds: 5 });
      await fixture.store.registry.addChannel(added);
      await fixture.restart();
      expect(await fixture.store.registry.channels()).toEqual([added, channel('main')]);
      expect(await fixture.store.registry.channel('another')).toEqual(added);
      expect(await fixture.store.registry.channel('nobody')).toBeNull();
    });

    it('have a unique name, even when two are added at the same instant', async () => {
      const { store } = await stage(open);
      await expect(store.registry.addChannel(channel('main'))).rejects.toEqual(refusal('GW_CONFLICT'));
      const both = await Promise.allSettled([
        store.registry.addChannel(channel('twin')),
        store.registry.addChannel(channel('twin')),
      ]);
      expect(both.map((answer) => answer.status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(await store.registry.channels()).toHaveLength(2);
    });

    it('change only in the given fields', async () => {
      const { store } = await stage(open);
      const changed = {
        ...channel('main'),
        whapiToken: sealed('another token'),
        lateAfterSeconds: 60,
        autoResync: true,
      };
      expect(
        await store.registry.changeChannel('main', {
          whapiToken: sealed('another token'),
          lateAfterSeconds: 60,
          autoResync: true,
        }),
      ).toEqual(changed);
      expect(await store.registry.channel('main')).toEqual(changed);
      await expect(store.registry.changeChannel('nobody', {})).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('I4: accept no webhooks once removed, while recorded deliveries continue', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      await fixture.store.registry.removeChannel('main');
      await expect(fixture.record(messages('B'))).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await expect(fixture.store.registry.removeChannel('main')).rejects.toEqual(refusal('GW_NOT_FOUND'));
      expect(await fixture.deliverAll()).toHaveLength(1);
    });

    it('have their resyncs cancelled and no more calls once removed', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['old']);
      await fixture.store.registry.removeChannel('main');
      expect(await fixture.store.resyncs.get(id)).toMatchObject({ status: 'cancelled', counts: { cancelled: 1 } });
      expect(await fixture.store.resyncs.pendingCalls()).toEqual([]);
      expect(await fixture.store.resyncs.takeCall('main', 'resync', DAY)).toBeNull();
    });

    it('that are added again under an old name know the earlier messages', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      await fixture.store.registry.removeChannel('main');
      await fixture.store.registry.addChannel(channel('main'));
      expect(await fixture.record(messages('A'))).toEqual(['duplicate']);
    });
  });

  describe('connections', () => {
    const FIRST = { webhookUrl: 'https://gateway.example/webhooks/main', hasSetPersist: true, connectedAt: 1 };

    it('are stored, and a second one keeps the settings saved by the first', async () => {
      const fixture = await stage(open);
      await fixture.store.registry.rememberConnection('main', FIRST);
      await fixture.store.registry.rememberConnection('main', {
        webhookUrl: 'https://moved',
        hasSetPersist: false,
        connectedAt: 2,
      });
      await fixture.restart();
      expect(await fixture.store.registry.connection('main')).toEqual({
        webhookUrl: 'https://moved',
        hasSetPersist: true,
        connectedAt: 2,
      });
    });

    it('are deleted when cleared, and with their channel', async () => {
      const { store } = await stage(open);
      await store.registry.rememberConnection('main', FIRST);
      await store.registry.forgetConnection('main');
      expect(await store.registry.connection('main')).toBeNull();
      await store.registry.rememberConnection('main', FIRST);
      await store.registry.removeChannel('main');
      await store.registry.addChannel(channel('main'));
      expect(await store.registry.connection('main')).toBeNull();
    });

    it('exist only for existing channels', async () => {
      const { store } = await stage(open);
      await expect(store.registry.rememberConnection('nobody', FIRST)).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });
  });

  describe('targets', () => {
    it('are stored as given and listed in order of creation', async () => {
      const fixture = await stage(open, [target('zebra', UNUSUAL)]);
      await fixture.store.registry.addTarget(target('ant'));
      await fixture.restart();
      expect(await fixture.store.registry.targets()).toEqual([target('zebra', UNUSUAL), target('ant')]);
      expect(await fixture.store.registry.target('zebra')).toEqual(target('zebra', UNUSUAL));
      expect(await fixture.store.registry.target('nobody')).toBeNull();
    });

    it('change only in the given fields', async () => {
      const { store } = await stage(open);
      expect(await store.registry.changeTarget('bot', { enabled: false, ratePerSecond: 2 })).toEqual(
        target('bot', { enabled: false, ratePerSecond: 2 }),
      );
      expect(await store.registry.changeTarget('bot', UNUSUAL)).toEqual(target('bot', UNUSUAL));
      expect(await store.registry.target('bot')).toEqual(target('bot', UNUSUAL));
      await expect(store.registry.changeTarget('nobody', {})).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('are claimed with their new settings after a change', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      await fixture.store.registry.changeTarget('bot', { url: 'https://bots.example/moved' });
      expect(await fixture.claimOne()).toMatchObject({ target: { url: 'https://bots.example/moved' } });
    });

    it('with a rotated secret keep each earlier secret for its given time', async () => {
      const fixture = await stage(open);
      await fixture.store.registry.rotateSecret('bot', sealed('second'), kept(START + DAY));
      await fixture.store.registry.rotateSecret('bot', sealed('third'), kept(START + HOUR));
      const previousSecrets = [
        { secret: sealed('second, kept'), expiresAt: START + HOUR },
        { secret: sealed('secret of bot, kept'), expiresAt: START + DAY },
      ];
      await fixture.restart();
      expect(await fixture.store.registry.target('bot')).toEqual(
        target('bot', { secret: sealed('third'), previousSecrets }),
      );
      fixture.clock.advance(HOUR);
      await fixture.store.upkeep.prune({ payloadMs: DAY, ledgerMs: DAY }, fixture.clock.now());
      expect((await fixture.store.registry.target('bot'))?.previousSecrets).toEqual(previousSecrets.slice(1));
      await fixture.store.registry.rotateSecret('bot', sealed('fourth'), null);
      expect(await fixture.store.registry.target('bot')).toMatchObject({ secret: 'fourth', previousSecrets: [] });
    });

    it('refuse another rotation after too many, until an earlier secret has expired', async () => {
      const fixture = await stage(open);
      const rotate = async (name: string) =>
        await fixture.store.registry.rotateSecret('bot', sealed(name), kept(fixture.clock.now() + DAY));
      for (const name of ['b', 'c', 'd', 'e']) await rotate(name);
      await expect(rotate('f')).rejects.toEqual(refusal('GW_CONFLICT'));
      expect(await fixture.store.registry.target('bot')).toMatchObject({ secret: 'e' });
      fixture.clock.advance(DAY);
      expect((await rotate('f')).previousSecrets.map(({ secret }) => secret)).toEqual(['e, kept']);
      await expect(fixture.store.registry.rotateSecret('nobody', sealed('b'), null)).rejects.toEqual(
        refusal('GW_NOT_FOUND'),
      );
    });

    it('keep both secrets of two rotations at the same instant', async () => {
      const fixture = await stage(open);
      const [one, two] = [sealed('one'), sealed('two')];
      await Promise.all(
        [one, two].map(async (each) => await fixture.store.registry.rotateSecret('bot', each, kept(START + DAY))),
      );
      const { secret, previousSecrets } = (await fixture.store.registry.target('bot')) ?? target('nobody');
      const signing = [secret, ...previousSecrets.map((previous) => previous.secret.replace(', kept', ''))];
      expect([...signing].sort()).toEqual(['one', 'secret of bot', 'two']);
    });

    it('are disabled for a reason, once, and not if their URL changed in the meantime', async () => {
      const { store } = await stage(open);
      const before = target('bot');
      await store.registry.changeTarget('bot', { url: 'https://bots.example/moved' });
      expect(await store.registry.disableTarget(before, 'It is gone.')).toBe(false);
      const moved = (await store.registry.target('bot')) ?? before;
      expect(await store.registry.disableTarget(moved, 'It is gone.')).toBe(true);
      expect(await store.registry.disableTarget(moved, 'Another reason.')).toBe(false);
      expect(await store.registry.target('bot')).toEqual({ ...moved, enabled: false, disabledReason: 'It is gone.' });
      expect(await store.registry.disableTarget(target('nobody'), 'It is gone.')).toBe(false);
    });

    it('are sent nothing more once removed, and are deleted', async () => {
      const fixture = await stage(open);
      await fixture.store.registry.removeTarget('bot');
      await fixture.record(messages('A'));
      expect(await fixture.store.registry.targets()).toEqual([]);
      expect(await fixture.store.registry.target('bot')).toBeNull();
      expect(await fixture.store.outbox.claim([{ targetId: 'bot', limit: 9 }], DAY)).toEqual({
        deliveries: [],
        nextDueAt: null,
      });
      await expect(fixture.store.registry.removeTarget('bot')).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await expect(fixture.store.registry.changeTarget('bot', {})).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('are still named by their old deliveries once removed', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      await fixture.deliverAll();
      await fixture.store.registry.removeTarget('bot');
      await fixture.store.registry.addTarget(target('heir'));
      const { data } = await fixture.store.outbox.deliveries({}, { limit: 9, cursor: null });
      expect(data.map((view) => [view.target, view.status])).toEqual([['bot', 'delivered']]);
    });
  });
}
