import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemEffects } from '../dist/effects.js';
import { decode } from '../dist/intake/decode.js';
import { Ids } from '../dist/store/rules/ids.js';
import { openDatabase } from '../dist/store/sqlite/database.js';
import { DeliveryTables } from '../dist/store/sqlite/delivery-tables.js';
import { GroupCommit } from '../dist/store/sqlite/group-commit.js';
import { LargeWebhooks } from '../dist/store/sqlite/large-webhooks.js';
import { LedgerMemory } from '../dist/store/sqlite/ledger-memory.js';
import { WebhookRecorder } from '../dist/store/sqlite/recorder.js';
import { RegistryTables } from '../dist/store/sqlite/registry-tables.js';
import { TargetCounts } from '../dist/store/sqlite/target-counts.js';
import { holdOf } from './hold.js';
import { median } from './load.js';

/** How long a webhook of 10,000 items holds the event loop, compared with recording it in one step. */
const ITEMS = 10_000;
const ROUNDS = 9;
let sequence = 0;

function largeBody() {
  const messages = Array.from({ length: ITEMS }, () => {
    sequence += 1;
    return {
      id: `p.w30M7fgwWD4XwHu.${sequence.toString(36)}-gNcCzMdVPg`,
      type: 'text',
      chat_id: `${12025550000 + sequence}@s.whatsapp.net`,
      timestamp: 1762000000 + sequence,
      text: { body: 'Hello, is the blue one still available in size 42?' },
    };
  });
  return Buffer.from(JSON.stringify({ messages, event: { type: 'messages', event: 'post' } }));
}

const folder = mkdtempSync(join(tmpdir(), 'gateway-bench-'));
const { db, close } = openDatabase(join(folder, 'gateway.db'));
const ids = new Ids(0);
const registry = new RegistryTables(db);
const ledger = new LedgerMemory(db);
const commit = new GroupCommit(db, registry, systemEffects);
const recorder = new WebhookRecorder(
  db,
  ids,
  registry,
  new DeliveryTables(db, ids, registry, new TargetCounts(db, registry)),
  ledger,
);
const large = new LargeWebhooks(db, ids, registry, ledger);
db.exec(`
  INSERT INTO channels (name, whapi_token, webhook_secret, whapi_base_url, late_after_seconds, created_at)
    VALUES ('main', '', '', '', 900, 0);
  INSERT INTO targets (id, name, url, channels, events, deliver, mode, split, headers, secret, timeout_ms, max_attempts,
      concurrency, enabled, created_at)
    VALUES ('whole', 'whole', 'http://bot', '["*"]', '["*"]', '["new"]', 'as_received', 'none', '{}', '', 15000, 10, 16, 1, 0),
      ('split', 'split', 'http://bot', '["*"]', '["*"]', '["new"]', 'as_received', 'item', '{}', '', 15000, 10, 16, 1, 0);`);

const webhook = () => ({ channel: 'main', method: 'POST', suffix: '', contentType: null, body: largeBody() });
const ways = {
  oneStep: async (each, document) => await commit.run(() => recorder.record(each, document, Date.now())),
  steps: async (each, document) => await commit.runAlone(() => large.record(each, document, Date.now())),
};
const rounds = [];
for (let round = 0; round <= ROUNDS; round += 1) {
  const measured = {};
  for (const [way, record] of Object.entries(ways)) {
    const each = webhook();
    const document = decode(each.body, each);
    measured[way] = await holdOf(async () => {
      await record(each, document);
      await commit.run(() => db.exec('UPDATE targets SET name = name')); // the next commit may checkpoint
    });
  }
  if (round > 0) rounds.push(measured); // the first one warms both up
}
large.close();
close();
rmSync(folder, { recursive: true, force: true });

const of = (way, what) => Math.round(median(rounds.map((round) => round[way][what])));
console.log(
  JSON.stringify({
    bench:
      'longest hold of the event loop by one webhook of 10,000 items for two targets, one of which splits it by item',
    baseline: 'the same webhook recorded in one step',
    ratio: Number(median(rounds.map(({ steps, oneStep }) => steps.hold / oneStep.hold)).toFixed(3)),
    baseline_hold_ms: of('oneStep', 'hold'),
    hold_ms: of('steps', 'hold'),
    most_hold_ms: Math.round(Math.max(...rounds.map(({ steps }) => steps.hold))),
    baseline_total_ms: of('oneStep', 'total'),
    total_ms: of('steps', 'total'),
    rounds: ROUNDS,
  }),
);
