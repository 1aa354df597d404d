import { clearImmediate, setImmediate } from 'node:timers';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemEffects } from '../dist/effects.js';
import { openStore } from '../dist/store/open.js';
import { median } from './load.js';

/** `GET /v1/resyncs` with large running resyncs: its time, and the longest time for which it holds the event loop. */
const RESYNCS = 50;
const MESSAGES = 10_000;
const ROUNDS = 5;

const folder = mkdtempSync(join(tmpdir(), 'gateway-bench-'));
const store = openStore({ engine: 'sqlite', file: join(folder, 'gateway.db') }, systemEffects);
const settings = { lateAfterSeconds: 900, autoResync: false, resyncSpacingMs: null, dailyCallBudget: null };
await store.registry.addChannel({
  ...{ name: 'main', channelId: null, whapiToken: 'sealed', webhookSecret: 'sealed', createdAt: 0 },
  ...{ whapiBaseUrl: 'http://127.0.0.1:1', ...settings },
});
for (let number = 0; number < RESYNCS; number += 1) {
  const messageIds = Array.from({ length: MESSAGES }, (_, index) => `m.${number}.${index}`);
  await store.resyncs.register({
    ...{ channel: 'main', messageIds, deliverUnseen: false, windowSeconds: 259_200, idempotency: null },
  });
}

async function round() {
  let [longest, last] = [0, performance.now()];
  const beat = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    next = setImmediate(beat);
  };
  let next = setImmediate(beat);
  const begun = performance.now();
  await store.resyncs.list({ limit: RESYNCS, cursor: null });
  clearImmediate(next);
  return { ms: performance.now() - begun, longest: Math.max(longest, performance.now() - last) };
}

const rounds = [];
for (let at = 0; at < ROUNDS; at += 1) rounds.push(await round());
console.log(
  JSON.stringify({
    bench: 'list of resyncs',
    resyncs: RESYNCS,
    messages_each: MESSAGES,
    list_ms: Number(median(rounds.map(({ ms }) => ms)).toFixed(1)),
    longest_hold_ms: Number(median(rounds.map(({ longest }) => longest)).toFixed(1)),
    rounds: ROUNDS,
  }),
);
await store.close();
rmSync(folder, { recursive: true });
