import { join } from 'node:path';
import Database from 'better-sqlite3';
import { load, median } from './load.js';
import { startGateway } from './servers.js';

/**
 * Bulk jobs and lists on a large store: a million delivered deliveries, three pending ones before them, a hundred
 * thousand dead ones after them. Measures how a job that retries all dead ones affects the ingress latency, as a ratio
 * to the latency without it, and the time of lists and counts. The target is disabled, so only the job is measured.
 */
const DELIVERED = 1_000_000;
const DEAD = 100_000;
const SECONDS = 8;
const RATE = 500;
const LOOKS = 5;

function fill(folder) {
  const db = new Database(join(folder, 'gateway.db'));
  const total = 3 + DELIVERED + DEAD;
  const now = Date.now();
  const before = now * 2048 - 2 * total; // Ids are close to the time of recording in 1/2048 ms.
  db.exec(`
    BEGIN;
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${total})
      INSERT INTO webhooks (id, channel, received_at, method, suffix, event, body)
      SELECT ${before} + i, 'main', ${now}, 'POST', '', 'messages.post', CAST('{"messages":[]}' AS BLOB) FROM n;
    INSERT INTO deliveries (id, webhook_id, target, channel, status, seq, chats, blocked, due_at, attempts, tries, verdicts,
        created_at, settled_at, log)
      SELECT id, id, 1, 'main',
        CASE WHEN id <= ${before + 3} THEN 'pending' WHEN id > ${before + 3 + DELIVERED} THEN 'dead' ELSE 'delivered' END,
        id, randomblob(16), 0, ${now}, 1, 1, 'new', ${now}, iif(id <= ${before + 3}, NULL, ${now}), '[]'
      FROM webhooks WHERE id > ${before};
    INSERT INTO lanes SELECT target, chats, seq, id FROM deliveries WHERE status = 'pending';
    COMMIT;`);
  db.close();
}

async function timed(look) {
  const times = [];
  for (let i = 0; i < LOOKS; i += 1) {
    const startedAt = performance.now();
    await look();
    times.push(performance.now() - startedAt);
  }
  return Math.round(median(times));
}

const gateway = await startGateway({ API_RATE_PER_MINUTE: '0' });
await gateway.call('POST', '/v1/targets', { name: 'bot', url: 'http://127.0.0.1:9', enabled: false });
fill(gateway.folder);
const list = async (query) => await gateway.call('GET', `/v1/deliveries?${query}`);
const retry = async (more) => await gateway.call('POST', '/v1/deliveries/retry', { status: 'dead', ...more });

const pendingMs = await timed(async () => {
  if ((await list('status=pending')).data.length !== 3) throw new Error('Not all that is pending was found.');
});
const nothingMs = await timed(async () => await list('status=delivered&event=statuses'));
const countMs = await timed(async () => {
  if ((await retry({ dry_run: true })).count !== DEAD) throw new Error('Not all that is dead was counted.');
});

const options = { seconds: SECONDS, connections: 20, rate: RATE };
await load(gateway.url, { ...options, seconds: 2 });
const without = await load(gateway.url, options);
let looking = true;
const looks = (async () => {
  while (looking) await list('status=delivered&event=statuses');
})();
const besideLooks = await load(gateway.url, options);
looking = false;
await looks;
const startedAt = performance.now();
const { id } = await retry({});
const beside = await load(gateway.url, options);
let job = await gateway.call('GET', `/v1/jobs/${id}`);
const isCovered = job.status === 'running';
while (job.status === 'running') {
  await new Promise((next) => setTimeout(next, 50));
  job = await gateway.call('GET', `/v1/jobs/${id}`);
}
const seconds = (performance.now() - startedAt) / 1000;
await gateway.stop();
if (job.done !== DEAD) throw new Error(`The job has sent ${job.done} again.`);

console.log(
  JSON.stringify({
    bench: 'bulk work and lists behind a million delivered',
    baseline: `the ingress at ${RATE} webhooks a second, without`,
    ratio: Number((beside.p99 / without.p99).toFixed(2)),
    accept_p50_ms: { without: without.p50, beside_job: beside.p50, beside_lists: besideLooks.p50 },
    accept_p99_ms: { without: without.p99, beside_job: beside.p99, beside_lists: besideLooks.p99 },
    job_ran_all_the_time: isCovered,
    job_deliveries: DEAD,
    job_seconds: Number(seconds.toFixed(1)),
    list_three_pending_ms: pendingMs,
    list_that_finds_nothing_ms: nothingMs,
    count_ms: countMs,
  }),
);
