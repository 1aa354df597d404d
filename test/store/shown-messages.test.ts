import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { openStore } from '../../src/store/open.js';
import { retainForever } from '../../src/store/sqlite/database.js';
import { temporaryFolder } from '../support/files.js';
import { HOUR, message, messages, openFixture, SECOND, stage, START } from '../support/store.js';
import type { StoreFixture } from '../support/store.js';
import { show } from './contract/another-id.js';

async function open(): Promise<StoreFixture> {
  const file = join(temporaryFolder(), 'gateway.db');
  return await openFixture((effects) => openStore({ engine: 'sqlite', file }, effects));
}

/** The statements that look at other ids of registered messages, from now on. */
function watchStatements(): { readonly count: number } {
  const prototype = Object.getPrototypeOf(
    retainForever(new Database(':memory:')).prepare('SELECT 1'),
  ) as Database.Statement;
  const spies = (['run', 'get', 'all'] as const).map((method) => vi.spyOn(prototype, method));
  onTestFinished(() => void vi.restoreAllMocks());
  return {
    get count() {
      const ran = spies.flatMap(({ mock }) => mock.contexts as unknown as { source: string }[]);
      return ran.filter(({ source }) => source.includes('content_fingerprints')).length;
    },
  };
}

/** What Whapi shows of a registered message. */
const shown = {
  ...{ id: 'X', type: 'text', from_me: false, text: { body: 'A text that is long enough to be told from others' } },
  ...{ chat_id: '12025550142@s.whatsapp.net', from: '12025550142' },
};

function sent(id: string, secondsBefore: number): Record<string, unknown> {
  return message(id, 'alice', { timestamp: START / SECOND - secondsBefore });
}

describe('the look-up of a registered message under another id', () => {
  it('costs no statement without open registrations, however old messages are', async () => {
    const fixture = await stage(open);
    const statements = watchStatements();
    await fixture.record(messages(sent('A', 0), sent('B', 100_000)));
    expect(statements.count).toBe(0);
  });

  it('costs none for messages that are newer than all registered ones', async () => {
    const fixture = await stage(open);
    await show(fixture, 'X', { ...shown, timestamp: START / SECOND - 500 });
    const statements = watchStatements();
    await fixture.record(messages(sent('A', 0), sent('B', 499)));
    expect(statements.count).toBe(0);
    await fixture.record(messages(sent('C', 500)));
    expect(statements.count).toBe(1);
  });

  it('costs none again once the windows have closed', async () => {
    const fixture = await stage(open);
    await show(fixture, 'X', { ...shown, timestamp: START / SECOND - 500 });
    fixture.clock.advance(HOUR);
    await fixture.store.resyncs.closeWindows();
    const statements = watchStatements();
    await fixture.record(messages(sent('A', 1000)));
    expect(statements.count).toBe(0);
  });
});
