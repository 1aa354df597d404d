import { describe, expect, it } from 'vitest';
import { DAY, HOUR, messages, MINUTE, SECOND, stage, START } from '../../support/ledger.js';
import type { OpenStore } from '../../support/ledger.js';

const NEVER = { lastWebhookAt: null, refused: { lastAt: null, lastCode: null, today: 0 } };

/** Webhooks of channels, accepted and refused. */
export function trafficContract(open: OpenStore): void {
  describe('the traffic of a channel', () => {
    it('is nothing at first, and when a channel of that name was removed', async () => {
      const store = await stage(open);
      expect(await store.ledger.trafficOf('main')).toEqual(NEVER);
      await store.record(messages('A'));
      store.ledger.refused('main', 'GW_BAD_JSON');
      await store.ledger.removeChannel('main');
      await store.restart();
      expect(await store.ledger.trafficOf('main')).toEqual(NEVER);
    });

    it('knows when the last webhook came, also after a restart', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      store.clock.advance(SECOND);
      await store.record(messages('B'));
      expect((await store.ledger.trafficOf('main')).lastWebhookAt).toBe(START + SECOND);
      await store.restart();
      expect((await store.ledger.trafficOf('main')).lastWebhookAt).toBe(START + SECOND);
    });

    it('is not that of a webhook that was not recorded', async () => {
      const store = await stage(open);
      await store.record({ ...messages('A'), channel_id: 'ONE-ONE' });
      store.clock.advance(HOUR);
      await expect(store.record({ ...messages('B'), channel_id: 'TWO-TWO' })).rejects.toThrow('another Whapi channel');
      expect((await store.ledger.trafficOf('main')).lastWebhookAt).toBe(START);
    });

    it('counts what was refused on this day (UTC), also after a restart, and tells the last of any day', async () => {
      const store = await stage(open);
      for (let i = 0; i < 3; i += 1) store.ledger.refused('main', 'GW_UNAUTHORIZED');
      store.clock.advance(MINUTE);
      store.ledger.refused('main', 'GW_BAD_JSON');
      await store.restart();
      const last = { lastAt: START + MINUTE, lastCode: 'GW_BAD_JSON' };
      expect((await store.ledger.trafficOf('main')).refused).toEqual({ ...last, today: 4 });
      store.clock.advance(DAY);
      expect((await store.ledger.trafficOf('main')).refused).toEqual({ ...last, today: 0 });
    });
  });
}
