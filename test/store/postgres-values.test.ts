import { describe, expect, it, vi } from 'vitest';
import type { Target } from '../../src/model.js';
import { OpenTransaction } from '../../src/store/postgres/open-transaction.js';
import { postgresStores } from '../support/postgres/fixture.js';
import { channel, idsIn, message, messages, record, stage, target } from '../support/store.js';
import type { StoreFixture } from '../support/store.js';

const { open } = postgresStores();
const MOST_ITEMS = 10_000;

/** Texts that PostgreSQL cannot hold, or that mean something to it. */
const TEXTS = {
  'NUL characters': 'A\0B',
  'a lone surrogate': 'A\ud800B',
  'array syntax': '{"A",NULL,\\}',
  'a backslash and a quote': '\\\'"; DROP TABLE gateway.queue; --',
  nothing: '',
  NULL: 'NULL',
  '100,000 characters': 'A'.repeat(100_000),
};
const TIMES = [1e300, -1e300, 5e-324, -1, 0, 0.1, 1e15, 2 ** 53 + 2, -62_135_596_801, '1e400', '1e999999'];

/** Targets that look at the time and the chat of each message. */
const TARGETS: readonly Target[] = [
  target('whole'),
  target('items', { split: 'item', maxAgeSeconds: 60 }),
  target('chats', { split: 'chat', backlogPolicy: 'newest_per_chat', skipAnswered: true }),
  target('held', { backlogPolicy: 'hold', maxAgeSeconds: 1e300 }),
  target('paced', { split: 'item', backlogRatePerMinute: 1, backlogAfterSeconds: 0 }),
];

async function stageAll(): Promise<StoreFixture> {
  const fixture = await open();
  await fixture.store.registry.addChannel(channel('main', { onReplay: 'hold', replayMessages: 2 }));
  for (const each of TARGETS) await fixture.store.registry.addTarget(each);
  return fixture;
}

/** The bodies of the target `whole`. */
async function bodies(fixture: StoreFixture): Promise<string[]> {
  return (await fixture.deliverAll()).filter((each) => each.target.id === 'whole').map(({ body }) => body.toString());
}

describe('a webhook is recorded and delivered as it came', () => {
  it.each(Object.entries(TEXTS))('with %s in its texts', async (_, text) => {
    const fixture = await stageAll();
    const item = { ...message(`${text}1`, text), from: text, type: text, from_name: text, text: { body: text } };
    const reads = [{ id: text, recipient_id: text, status: text }];
    const event = { type: text, event: text };
    const body = { ...messages(item, { ...item, id: `${text}2` }), statuses: reads, event };
    const options = { suffix: `/${text}`, contentType: text, via: text };
    await record(fixture.store, body, options);
    expect((await record(fixture.store, body, options)).verdicts).not.toContain('new');
    expect(await bodies(fixture)).toContain(JSON.stringify(body));
  });

  it.each(TIMES)('with the time %s', async (time) => {
    const fixture = await stageAll();
    const json = JSON.stringify(messages(message('A', 'a', { timestamp: '@' }), message('B', 'b', { timestamp: '@' })));
    const bodyOf = (value: string): Buffer => Buffer.from(json.replaceAll('"@"', value));
    await record(fixture.store, bodyOf(String(time)));
    expect((await record(fixture.store, bodyOf(String(time)))).verdicts).not.toContain('new');
    await record(fixture.store, bodyOf(`"${time}"`));
    await fixture.deliverAll();
    expect((await record(fixture.store, messages('C'))).verdicts).toEqual(['new']);
  });

  it('with a body of 10 MB', async () => {
    const fixture = await stageAll();
    const body = messages(message('A', 'a', { text: { body: 'A'.repeat(10_000_000) } }));
    await record(fixture.store, body);
    expect(await bodies(fixture)).toEqual([JSON.stringify(body)]);
  });

  it('with 10,000 items, one delivery for each', async () => {
    const fixture = await stage(open, [target('items', { split: 'item' }), target('chats', { split: 'chat' })]);
    const items = Array.from({ length: MOST_ITEMS }, (_, at) => message(`L${at}`, `chat-${at % 100}`));
    const { deliveries, verdicts } = await record(fixture.store, messages(...items));
    expect([deliveries, verdicts.length]).toEqual([MOST_ITEMS + 100, MOST_ITEMS]);
    expect((await fixture.claim({ limit: 1000 })).deliveries).toHaveLength(200);
  });
});

it('a part that several targets get is sent to PostgreSQL once', async () => {
  const sent = vi.spyOn(OpenTransaction.prototype, 'commitWith');
  const targets = Array.from({ length: 8 }, (_, at) => target(`bot ${at}`));
  const fixture = await stage(open, targets);
  await record(fixture.store, messages('known'));
  const large = message('large', 'a', { text: { body: 'A'.repeat(1_000_000) } });
  expect((await record(fixture.store, messages('known', large))).deliveries).toBe(8);
  const lengths = sent.mock.calls.map(([, bytes]) => (Buffer.isBuffer(bytes) ? bytes.length : 0));
  expect(Math.max(...lengths)).toBeLessThan(2_100_000);
  const delivered = (await fixture.deliverAll()).filter(({ body }) => body.length > 1_000_000);
  expect(idsIn(delivered)).toEqual(Array(8).fill('large'));
});
