import { describe, expect, it } from 'vitest';
import { decode } from '../../../src/intake/decode.js';
import type { Trial, TrialSettings } from '../../../src/store/judging.js';
import {
  channel,
  DAY,
  first,
  HOUR,
  message,
  messages,
  refusal,
  register,
  SECOND,
  stage,
  START,
  status,
} from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';

const ALL = { limit: 50, cursor: null };

/** What the gateway would do with a webhook for `main`. */
async function judge(
  { store }: StoreFixture,
  json: unknown,
  settings: TrialSettings = {},
  name = 'main',
): Promise<Trial> {
  const body = Buffer.from(JSON.stringify(json));
  const webhook = { channel: name, method: 'POST', suffix: '', contentType: null, via: null, body } as const;
  return await store.judging.judge(webhook, decode(body, webhook), settings);
}

function rulesOf({ items }: Trial): number[] {
  return items.map(({ rule }) => rule);
}

/** Trials of webhooks and settings. */
export function judgingContract(open: OpenFixture): void {
  describe('a trial', () => {
    it('judges as recording would, with the same evidence, and writes nothing', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['R']);
      for (const body of [messages('A'), status('A')]) await fixture.record(body);
      fixture.clock.advance(SECOND);
      const tried = [messages('A', 'B', 'B', 'R'), status('A')];
      const trials = [await judge(fixture, tried[0]), await judge(fixture, tried[1])];
      expect(trials.map(rulesOf)).toEqual([[8, 10, 8, 3], [13]]);
      expect(trials[0]?.items[3]).toMatchObject({
        held: true,
        resyncIds: [id],
        registrations: [{ registeredAt: START }],
      });
      expect(trials[1]?.items[0]?.earlier).toMatchObject({ recordedAt: START });
      expect((await fixture.store.items.list({}, ALL)).data).toHaveLength(2);
      expect(await judge(fixture, tried[0])).toEqual(trials[0]);
    });

    it('says what each target would get, under its own or other settings', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      const { routes } = await judge(fixture, messages('A', 'B'));
      expect(routes).toMatchObject([{ targetId: 'bot', requests: [{ positions: [1] }], held: [0] }]);
      const all = await judge(fixture, messages('A', 'B'), { targets: { bot: { deliver: ['new', 'duplicate'] } } });
      expect(all.routes).toMatchObject([{ requests: [{ positions: [0, 1] }], held: [] }]);
      await expect(judge(fixture, messages('A'), { targets: { other: {} } })).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('delivers a registered message that no bot has seen, if its resync says so', async () => {
      const fixture = await stage(open);
      await register(fixture, ['R'], { deliverUnseen: true });
      expect((await judge(fixture, messages('R'))).routes).toMatchObject([
        { requests: [{ positions: [0] }], held: [] },
      ]);
    });

    it('tries another age from which a message counts as late', async () => {
      const fixture = await stage(open);
      await fixture.record(messages(message('new', 'alice', { timestamp: START / SECOND })));
      fixture.clock.advance(2 * HOUR);
      const older = messages(message('old', 'alice', { timestamp: (START - DAY) / SECOND }));
      expect([
        rulesOf(await judge(fixture, older)),
        rulesOf(await judge(fixture, older, { lateAfterSeconds: (2 * DAY) / SECOND })),
      ]).toEqual([[9], [10]]);
    });

    it('is refused for an unknown channel and for a webhook of another one', async () => {
      const fixture = await stage(open);
      await fixture.store.registry.addChannel(channel('bound', { channelId: 'ONE' }));
      await expect(judge(fixture, messages('A'), {}, 'nobody')).rejects.toEqual(refusal('GW_NOT_FOUND'));
      const other = { ...messages('A'), channel_id: 'TWO' };
      await expect(judge(fixture, other, {}, 'bound')).rejects.toEqual(refusal('GW_CHANNEL_MISMATCH'));
    });

    it('judges a stored webhook again as at its arrival', async () => {
      const fixture = await stage(open);
      for (let time = 0; time < 2; time += 1) await fixture.record(messages('A', 'B'));
      const { webhookId } = first((await fixture.store.items.list({}, ALL)).data);
      await fixture.record(messages('A', 'B'));
      const again = await fixture.store.judging.judgeAgain(webhookId, { targets: { bot: { deliver: ['duplicate'] } } });
      expect(rulesOf(again)).toEqual([8, 8]);
      expect(again.routes).toMatchObject([{ requests: [{ positions: [0, 1] }], held: [] }]);
    });
  });
}
