import { describe, expect, it } from 'vitest';
import { DAY, HOUR, messages, MINUTE, SECOND, stage, START } from '../../support/store.js';
import type { OpenFixture } from '../../support/store.js';

const NEVER = { lastReplay: null, lastWebhookAt: null, refused: { lastAt: null, lastCode: null, today: 0 } };

/** Accepted and refused webhooks of channels. */
export function trafficContract(open: OpenFixture): void {
  describe('the traffic of a channel', () => {
    it('is zero at first, and again once its channel is removed', async () => {
      const fixture = await stage(open);
      expect(await fixture.store.traffic.of('main')).toEqual(NEVER);
      await fixture.record(messages('A'));
      fixture.store.traffic.countRefusal('main', 'GW_BAD_JSON');
      await fixture.store.registry.removeChannel('main');
      await fixture.restart();
      expect(await fixture.store.traffic.of('main')).toEqual(NEVER);
    });

    it('contains the time of the last webhook, also after a restart', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      fixture.clock.advance(SECOND);
      await fixture.record(messages('B'));
      expect((await fixture.store.traffic.of('main')).lastWebhookAt).toBe(START + SECOND);
      await fixture.restart();
      expect((await fixture.store.traffic.of('main')).lastWebhookAt).toBe(START + SECOND);
    });

    it('does not include a webhook that was not recorded', async () => {
      const fixture = await stage(open);
      await fixture.record({ ...messages('A'), channel_id: 'ONE-ONE' });
      fixture.clock.advance(HOUR);
      await expect(fixture.record({ ...messages('B'), channel_id: 'TWO-TWO' })).rejects.toThrow(
        'another Whapi channel',
      );
      expect((await fixture.store.traffic.of('main')).lastWebhookAt).toBe(START);
    });

    it('counts the refused webhooks of the day (UTC), also after a restart, and keeps the last one of any day', async () => {
      const fixture = await stage(open);
      for (let i = 0; i < 3; i += 1) fixture.store.traffic.countRefusal('main', 'GW_UNAUTHORIZED');
      fixture.clock.advance(MINUTE);
      fixture.store.traffic.countRefusal('main', 'GW_BAD_JSON');
      await fixture.restart();
      const last = { lastAt: START + MINUTE, lastCode: 'GW_BAD_JSON' };
      expect((await fixture.store.traffic.of('main')).refused).toEqual({ ...last, today: 4 });
      fixture.clock.advance(DAY);
      expect((await fixture.store.traffic.of('main')).refused).toEqual({ ...last, today: 0 });
    });
  });
}
