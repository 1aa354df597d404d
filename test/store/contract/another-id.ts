import { describe, expect, it } from 'vitest';
import {
  HOUR,
  judgements,
  message,
  messages,
  only,
  register,
  SECOND,
  stage,
  START,
  takeCall,
} from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';

const ALL = { limit: 50, cursor: null };
const AGE = 1000;

/** A text that is long enough to be told from others, sent before the test begins. */
function copy(id: string, body = 'Could you send me the offer again, please?'): Record<string, unknown> {
  const person = { chat_id: '12025550142@s.whatsapp.net', from: '12025550142', from_me: false };
  return message(id, 'alice', { ...person, timestamp: START / SECOND - AGE, text: { body } });
}

/** Registers an id, for which Whapi then shows a message. */
export async function show(fixture: StoreFixture, id: string, shown: unknown = copy(id)): Promise<void> {
  await register(fixture, [id]);
  await fixture.store.resyncs.settleCall(await takeCall(fixture), { status: 'waiting', nextAt: null, shown });
}

async function closeWindows(fixture: StoreFixture): Promise<void> {
  fixture.clock.advance(HOUR);
  while ((await fixture.store.resyncs.closeWindows()) > 0);
}

/** Row 18: a registered message that Whapi has found again comes under another id. */
export function anotherIdContract(open: OpenFixture): void {
  describe('a registered message under another id', () => {
    it('is restored, until the window closes', async () => {
      const fixture = await stage(open);
      await show(fixture, 'A');
      await show(fixture, 'B', copy('B', 'Another text that is long enough'));
      expect(await fixture.record(messages(copy('A2')))).toEqual(['restored']);
      await closeWindows(fixture);
      expect(await fixture.record(messages(copy('B2', 'Another text that is long enough')))).toEqual(['new']);
      expect(await fixture.record(messages(copy('A2')))).toEqual(['duplicate']);
    });

    it('is restored while any of its registrations is open', async () => {
      const fixture = await stage(open);
      await show(fixture, 'A');
      await register(fixture, ['A'], { windowSeconds: (2 * HOUR) / SECOND });
      await closeWindows(fixture);
      expect(await fixture.record(messages(copy('A2')))).toEqual(['restored']);
    });

    it('is told apart from a second one: two equal registered messages stand for two other ids', async () => {
      const fixture = await stage(open);
      for (const id of ['A', 'B']) await show(fixture, id);
      const others = ['A2', 'B2', 'C2'].map((id) => copy(id));
      expect(await fixture.record(messages(...others))).toEqual(['restored', 'restored', 'new']);
    });

    it('may come again under a third id after Whapi was asked again', async () => {
      const fixture = await stage(open);
      await show(fixture, 'A');
      expect(await fixture.record(messages(copy('A2')))).toEqual(['restored']);
      await closeWindows(fixture);
      await show(fixture, 'A');
      expect(await fixture.record(messages(copy('A3')))).toEqual(['restored']);
    });

    it('belongs to its channel', async () => {
      const fixture = await stage(open);
      await fixture.store.registry.addChannel({ ...only(await fixture.store.registry.channels()), name: 'another' });
      await show(fixture, 'A');
      expect(await fixture.record(messages(copy('A2')), { channel: 'another' })).toEqual(['new']);
    });

    it('changes nothing where Whapi shows a message from the future', async () => {
      const fixture = await stage(open);
      const shown = { ...copy('A'), timestamp: START / SECOND + 1 };
      await show(fixture, 'A', shown);
      expect(await fixture.record(messages({ ...shown, id: 'A2' }))).toEqual(['new']);
    });

    it('proves that it was restored, and is shown with the registered id', async () => {
      const fixture = await stage(open);
      await show(fixture, 'A');
      await fixture.record(messages(copy('A2')));
      const [item] = (await fixture.store.items.list({ rule: 18 }, ALL)).data;
      expect(item).toMatchObject({ messageId: 'A2', sameAs: 'A', registrations: [{ registeredAt: START }] });
      expect((await fixture.store.resyncs.messages(item?.resyncIds[0] ?? '', ALL)).data).toMatchObject([
        { messageId: 'A', status: 'restored', proof: 'webhook' },
      ]);
      expect(await judgements(fixture, 'A2')).toEqual(['restored 18']);
    });
  });
}
