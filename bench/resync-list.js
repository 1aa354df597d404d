import { holdOf } from './hold.js';
import { alternating, figureOf, ratioOf } from './rounds.js';
import { openTemporaryStore } from './store.js';

/**
 * `GET /v1/resyncs` with large running resyncs, compared with as many small ones: the time of the list, and the longest time
 * for which it holds the event loop.
 */
const RESYNCS = 50;
const MESSAGES = { small: 10, large: 10_000 };
const ROUNDS = 9;

const stores = { small: await prepared(MESSAGES.small), large: await prepared(MESSAGES.large) };
const list = async ({ store }) => await store.resyncs.list({ limit: RESYNCS, cursor: null });
for (const each of Object.values(stores)) await list(each); // warms up
const rounds = await alternating(['small', 'large'], ROUNDS, (side) => holdOf(() => list(stores[side])));
for (const { close } of Object.values(stores)) await close();

console.log(
  JSON.stringify({
    bench: `list of ${RESYNCS} running resyncs of ${MESSAGES.large} messages`,
    baseline: `the same list with ${MESSAGES.small} messages in each`,
    ratio: ratioOf(rounds, 'total', 'large', 'small', 1),
    list_ms: { large: figureOf(rounds, 'large', 'total', 1), baseline: figureOf(rounds, 'small', 'total', 1) },
    hold_ratio: ratioOf(rounds, 'hold', 'large', 'small', 1),
    longest_hold_ms: { large: figureOf(rounds, 'large', 'hold', 1), baseline: figureOf(rounds, 'small', 'hold', 1) },
    rounds: ROUNDS,
  }),
);

async function prepared(messages) {
  const { store, close } = await openTemporaryStore();
  for (let number = 0; number < RESYNCS; number += 1) {
    const messageIds = Array.from({ length: messages }, (_, index) => `m.${number}.${index}`);
    await store.resyncs.register({
      ...{ channel: 'main', messageIds, deliverUnseen: false, windowSeconds: 259_200, idempotency: null },
    });
  }
  return { store, close };
}
