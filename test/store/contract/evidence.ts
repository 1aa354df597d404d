import { describe, expect, it } from 'vitest';
import {
  DAY,
  HOUR,
  message,
  messages,
  MINUTE,
  prune,
  register,
  revisions,
  stage,
  START,
  status,
} from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';
import type { ItemDetail } from '../../../src/store/items.js';

const ALL = { limit: 50, cursor: null };
const seconds = (ms: number): number => ms / 1000;

/** The newest items, newest first. */
async function items({ store }: StoreFixture): Promise<readonly ItemDetail[]> {
  return (await store.items.list({}, ALL)).data;
}

const joined = (action: string): Record<string, unknown> => ({
  groups_participants: [{ group_id: 'g', participants: ['1'], action }],
});
const stub = message('S', 'alice', { type: 'unknown' });
const vote = message('poll', 'alice', { type: 'poll_update', poll: { voters: ['bob'] } });
const at = (sequence: number): Record<string, unknown> =>
  message('P', 'alice', { type: 'live_location', live_location: { sequence_number: sequence } });

/** What each verdict rests on, also after later webhooks have overwritten what is remembered. */
export function evidenceContract(open: OpenFixture): void {
  describe('the evidence', () => {
    it.each([
      [1, 'a vote', [messages(vote)]],
      [4, 'a position of a live location', [messages(at(1)), messages(at(2))]],
      [6, 'a revision', [messages('A'), revisions(message('A', 'alice', { text: { body: 'edited' } }))]],
      [13, 'a receipt', [status('A')]],
      [13, 'a change of a group', [joined('add')]],
      [15, 'a placeholder', [messages(stub)]],
    ] as const)('of rule %i is the earlier item: %s', async (rule, _, bodies) => {
      const fixture = await stage(open);
      for (const body of bodies) await fixture.record(body);
      const [earlier] = await items(fixture);
      fixture.clock.advance(HOUR);
      for (const body of [bodies.at(-1), joined('remove'), bodies.at(-1)]) await fixture.record(body);
      const found = (await items(fixture)).filter((item) => item.rule === rule);
      const hasId = earlier?.messageId !== null;
      expect(found.at(-1)?.earlier).toEqual({
        recordedAt: START,
        webhookId: earlier?.webhookId,
        itemId: hasId ? earlier?.id : null,
      });
    });

    it('of rules 4 and 6 is the first sighting where that has the same bytes', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      fixture.clock.advance(MINUTE);
      await fixture.record(revisions(message('A')));
      const [repeated, first] = await items(fixture);
      expect(repeated).toMatchObject({ rule: 6, earlier: { recordedAt: START, itemId: first?.id } });
    });

    it('of a repetition within one webhook is that webhook', async () => {
      const fixture = await stage(open);
      const [one] = status('A')['statuses'] as unknown[];
      await fixture.record({ statuses: [one, one] });
      const [again, first] = await items(fixture);
      expect(again).toMatchObject({ rule: 13, earlier: { recordedAt: START, webhookId: first?.webhookId } });
    });

    it('of rule 8 is the first sighting', async () => {
      const fixture = await stage(open);
      for (let time = 0; time < 2; time += 1) await fixture.record(messages('A'));
      const [again, first] = await items(fixture);
      expect(again).toMatchObject({ rule: 8, firstSeenAt: START, firstItemId: first?.id, earlier: null });
    });

    it('of rule 9 is the newest message of the chat at that time, and the setting', async () => {
      const fixture = await stage(open);
      await fixture.record(messages(message('new', 'alice', { timestamp: seconds(START) })));
      fixture.clock.advance(2 * HOUR);
      await fixture.record(messages(message('old', 'alice', { timestamp: seconds(START - DAY) })));
      await fixture.record(messages(message('newer', 'alice', { timestamp: seconds(START + HOUR) })));
      const late = (await items(fixture)).find(({ rule }) => rule === 9);
      expect(late?.late).toEqual({
        sentAt: seconds(START - DAY),
        newestSentAt: seconds(START),
        newestReceivedAt: START,
        lateAfterSeconds: 900,
      });
    });

    it('of rule 3 is the registration with its window', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      fixture.clock.advance(MINUTE);
      await fixture.record(messages('A'));
      const [restored] = await items(fixture);
      expect(restored).toMatchObject({ rule: 3, resyncIds: [id] });
      expect(restored?.registrations).toMatchObject([{ resyncId: id, registeredAt: START, askedAt: null }]);
    });

    it('of a new message is nothing that takes a row', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A', 'B'));
      expect((await items(fixture)).map(({ earlier, late }) => [earlier, late])).toEqual([
        [null, null],
        [null, null],
      ]);
    });

    it('is pruned with its webhook', async () => {
      const fixture = await stage(open);
      for (let time = 0; time < 2; time += 1) await fixture.record(status('A'));
      await fixture.deliverAll();
      fixture.clock.advance(8 * DAY);
      await prune(fixture, { payloadMs: 7 * DAY, ledgerMs: 400 * DAY });
      await fixture.record(status('A'));
      expect((await items(fixture)).map(({ rule, earlier }) => [rule, earlier])).toEqual([[14, null]]);
    });
  });
}
