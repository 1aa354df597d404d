import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemEffects } from '../dist/effects.js';
import { decode } from '../dist/intake/decode.js';
import { openStore } from '../dist/store/open.js';
import { nextMessage } from './load.js';

const AT_ONCE = 1000;

/** A store of its own, without a gateway, with the channel `main`. */
export async function openTemporaryStore() {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-bench-'));
  const file = join(folder, 'gateway.db');
  const store = await openStore({ engine: 'sqlite', file }, systemEffects);
  await store.registry.addChannel({
    ...{ name: 'main', channelId: null, whapiToken: 'sealed', webhookSecret: 'sealed', createdAt: Date.now() },
    ...{ whapiBaseUrl: 'http://127.0.0.1:9', lateAfterSeconds: 900, autoResync: false },
    ...{ onReplay: 'deliver', replayAfterSeconds: 432_000, replayMessages: 20 },
    ...{ resyncSpacingMs: null, dailyCallBudget: null },
  });
  const close = async () => {
    await store.close();
    rmSync(folder, { recursive: true });
  };
  return { store, file, close };
}

/** Records webhooks with one message each, for the channel `main`. */
export async function recordMessages(store, count) {
  for (let done = 0; done < count; done += AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - done) }, () => recordOne(store)));
  }
}

async function recordOne(store) {
  const hint = { method: 'POST', suffix: '' };
  const document = decode(Buffer.from(nextMessage()), hint);
  const webhook = { channel: 'main', ...hint, contentType: 'application/json', body: document.body };
  await store.intake.record(webhook, document);
}
