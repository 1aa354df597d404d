import { holdOf } from './hold.js';
import { median } from './load.js';
import { openTemporaryStore } from './store.js';

/** `GET /v1/resyncs` with large running resyncs: its time, and the longest time for which it holds the event loop. */
const RESYNCS = 50;
const MESSAGES = 10_000;
const ROUNDS = 5;

const { store, close } = await openTemporaryStore();
for (let number = 0; number < RESYNCS; number += 1) {
  const messageIds = Array.from({ length: MESSAGES }, (_, index) => `m.${number}.${index}`);
  await store.resyncs.register({
    ...{ channel: 'main', messageIds, deliverUnseen: false, windowSeconds: 259_200, idempotency: null },
  });
}

const rounds = [];
for (let at = 0; at < ROUNDS; at += 1)
  rounds.push(await holdOf(async () => await store.resyncs.list({ limit: RESYNCS, cursor: null })));
console.log(
  JSON.stringify({
    bench: 'list of resyncs',
    resyncs: RESYNCS,
    messages_each: MESSAGES,
    list_ms: Number(median(rounds.map(({ total }) => total)).toFixed(1)),
    longest_hold_ms: Number(median(rounds.map(({ hold }) => hold)).toFixed(1)),
    rounds: ROUNDS,
  }),
);
await close();
