import Database from 'better-sqlite3';
import { median } from './load.js';
import { openTemporaryStore, recordMessages } from './store.js';

/**
 * What the index of leased deliveries costs: claims and settlements with it and without it, in alternating rounds on one
 * file with a backlog. The index lets a start find the leases of a process that ended without reading the backlog.
 */
const BACKLOG = 50_000;
const CLAIMED = 1920;
const PER_CLAIM = 64;
const ROUNDS = 24;
const LEASE_MS = 300_000;
const INDEX = 'CREATE INDEX deliveries_leased ON deliveries (lease) WHERE lease IS NOT NULL';

const { store, file, close } = await openTemporaryStore();
await store.registry.addTarget({
  ...{ id: 'bot', name: 'bot', url: 'http://127.0.0.1:9', channels: ['*'], events: ['*'], deliver: ['new', 'late'] },
  ...{ mode: 'as_received', split: 'none', previousSecrets: [], timeoutMs: 15_000, maxAttempts: 10 },
  ...{ retryDelaysSeconds: null, maxAgeSeconds: null, concurrency: 64, ratePerSecond: null, enabled: true },
  ...{ disabledReason: null, createdAt: Date.now(), secret: '', headers: '{}' },
});
const schema = new Database(file);
await recordMessages(store, BACKLOG);
const rounds = { with: [], without: [] };
for (let round = 0; round < ROUNDS; round += 1) {
  const kind = round % 2 === 0 ? 'with' : 'without';
  schema.exec(kind === 'with' ? INDEX.replace('INDEX', 'INDEX IF NOT EXISTS') : 'DROP INDEX deliveries_leased');
  rounds[kind].push(await claimAndSettle());
  await recordMessages(store, CLAIMED);
}
schema.close();
await close();

const [cpuWith, cpuWithout] = [median(rounds.with), median(rounds.without)];
console.log(
  JSON.stringify({
    bench: 'the index of leased deliveries',
    baseline: 'claims and settlements without it',
    ratio: Number((cpuWith / cpuWithout).toFixed(3)),
    cpu_us_per_delivery: { with: Number(cpuWith.toFixed(1)), without: Number(cpuWithout.toFixed(1)) },
    rounds: ROUNDS,
  }),
);

/** Microseconds of CPU for each delivery: unlike the time on the clock, it does not grow with what else the machine does. */
async function claimAndSettle() {
  const attempt = { startedAt: Date.now(), durationMs: 1, status: 200, error: null };
  const before = process.cpuUsage();
  for (let claimed = 0; claimed < CLAIMED; claimed += PER_CLAIM) {
    const { deliveries } = await store.outbox.claim([{ targetId: 'bot', limit: PER_CLAIM }], LEASE_MS);
    if (deliveries.length < PER_CLAIM) throw new Error(`Only ${claimed + deliveries.length} could be claimed.`);
    const settle = ({ id, lease }) => store.outbox.settle({ id, lease, status: 'delivered', attempt });
    await Promise.all(deliveries.map(settle));
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / CLAIMED;
}
