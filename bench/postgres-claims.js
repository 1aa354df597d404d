import { systemEffects } from '../dist/effects.js';
import { openStore } from '../dist/store/open.js';
import { alternating, figureOf, ratioOf } from './rounds.js';

/** Claims of 64 among a million pending deliveries, compared with claims among a thousand. */
const SIZES = { thousand: 1000, million: 1_000_000 };
const PER_CLAIM = 64;
const CLAIMS = 20;
const ROUNDS = 9;
const LEASE_MS = 120_000;
/** Lanes of 20 deliveries each: one in twenty can be claimed. */
const PER_LANE = 20;

export async function claimRatio(server) {
  const stores = {};
  for (const [name, count] of Object.entries(SIZES)) stores[name] = await prepared(server, name, count);
  const rounds = await alternating(Object.keys(SIZES), ROUNDS, async (name) => await claimed(stores[name]));
  for (const { store } of Object.values(stores)) await store.close();
  const of = (part, digits) =>
    Object.fromEntries(Object.keys(SIZES).map((name) => [name, figureOf(rounds, name, part, digits)]));
  return {
    claim_ratio: ratioOf(rounds, 'rate', 'million', 'thousand'),
    claimed_per_second: of('rate'),
    claim_p50_ms: of('p50', 1),
    per_claim: PER_CLAIM,
  };
}

async function prepared(server, name, count) {
  const url = await server.createDatabase(`claims_${name}`);
  const store = await openStore({ engine: 'postgres', url, tls: 'off', caFile: null }, systemEffects);
  await store.registry.addChannel(CHANNEL);
  await store.registry.addTarget({ ...TARGET, url: 'http://127.0.0.1:9/' });
  const day = Math.floor(Date.now() / 86_400_000);
  const id = `${day}::bigint * 274877906944 + n`;
  const lane = `md5((n / ${PER_LANE})::text)::uuid`;
  await server.query(
    `INSERT INTO gateway.webhooks (id, received_at, channel, method, suffix, content_type, event, body)
       SELECT ${id}, ${Date.now()}, 'main', 'POST', '', 'application/json', 'messages.post', convert_to(repeat('x', 900), 'UTF8')
       FROM generate_series(1, ${count}) AS n;
     INSERT INTO gateway.queue (id, webhook_id, seq, due_at, created_at, target, blocked, attempts, tries, channel, lanes, verdicts)
       SELECT ${id}, ${id}, n, ${Date.now()}, ${Date.now()}, (SELECT number FROM gateway.targets),
         CASE WHEN n % ${PER_LANE} = 0 OR n = 1 THEN 0 ELSE 1 END, 0, 0, 'main', ARRAY[${lane}], 'new'
       FROM generate_series(1, ${count}) AS n;
     INSERT INTO gateway.lanes (target, lane, seq, delivery_id)
       SELECT target, lanes[1], seq, id FROM gateway.queue;
     ANALYZE`,
    url,
  );
  return {
    store,
    release: async () => await server.query('UPDATE gateway.queue SET leased_until = 0 WHERE leased_until > 0', url),
  };
}

/** Claims, then gives everything back, so that each round finds the same. */
async function claimed({ store, release }) {
  const times = [];
  let count = 0;
  for (let claim = 0; claim < CLAIMS; claim += 1) {
    const startedAt = performance.now();
    const { deliveries } = await store.outbox.claim([{ targetId: TARGET.id, limit: PER_CLAIM }], LEASE_MS);
    times.push(performance.now() - startedAt);
    count += deliveries.length;
    // The small backlog is claimed after one or two times; it is given back at once, outside of the measured time.
    if (deliveries.length < PER_CLAIM || claim === CLAIMS - 1) await release();
  }
  times.sort((one, other) => one - other);
  const total = times.reduce((sum, ms) => sum + ms, 0);
  return { rate: count / (total / 1000), p50: times[CLAIMS / 2] };
}

const CHANNEL = {
  ...{ name: 'main', channelId: null, whapiToken: '', webhookSecret: '', whapiBaseUrl: 'http://127.0.0.1:9' },
  ...{ lateAfterSeconds: 900, resyncSpacingMs: null, dailyCallBudget: null, autoResync: false, onReplay: 'deliver' },
  ...{ replayAfterSeconds: 432_000, replayMessages: 20, createdAt: 0 },
};
const TARGET = {
  ...{ id: 'bot', name: 'bot', channels: ['*'], events: ['*'], deliver: ['new'], mode: 'as_received', split: 'none' },
  ...{ headers: '', secret: '', previousSecrets: [], timeoutMs: 1000, maxAttempts: 1, retryDelaysSeconds: null },
  ...{
    maxAgeSeconds: null,
    concurrency: PER_CLAIM,
    ratePerSecond: null,
    backlogPolicy: 'all',
    backlogAfterSeconds: 600,
  },
  ...{ backlogRatePerMinute: null, skipAnswered: false, enabled: true, disabledReason: null, createdAt: 0 },
};
