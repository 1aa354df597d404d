import { describe, expect, it } from 'vitest';
import { DAY, idsIn, message, messages, revisions, SECOND, START, stage, target } from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';

/** A message that was sent long before it comes. */
const OLD = { timestamp: (START - 30 * DAY) / SECOND };

/** The channel `main` holds every message that is older than five days and was never seen before. */
async function stageHolding(open: OpenFixture): Promise<StoreFixture> {
  const fixture = await stage(open, [target('bot')]);
  await fixture.store.registry.changeChannel('main', { onReplay: 'hold', replayMessages: 1 });
  return fixture;
}

/** Old messages that nothing asked for (rule 19). */
export function replaysContract(open: OpenFixture): void {
  describe('a replay that the channel holds', () => {
    it('is held from the message on that makes it one, and live messages go on', async () => {
      const fixture = await stageHolding(open);
      expect(await fixture.record(messages(message('A', 'alice', OLD), message('B')))).toEqual(['restored', 'new']);
      expect(idsIn(await fixture.deliverAll())).toEqual(['B']);
    });

    it('does not let through the post of a message whose put was held', async () => {
      const fixture = await stageHolding(open);
      expect(await fixture.record(revisions(message('A', 'alice', OLD)))).toEqual(['restored']);
      expect(await fixture.record(messages(message('A', 'alice', OLD)))).toEqual(['duplicate']);
      expect(idsIn(await fixture.deliverAll())).toEqual([]);
    });
  });
}
