import { describe, expect, it } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import { decode } from '../../src/intake/decode.js';
import type { Base } from '../../src/store/postgres/base.js';
import { PostgresDeliveryViews } from '../../src/store/postgres/delivery-views.js';
import { connect } from '../../src/store/postgres/engine.js';
import { EvidenceViews } from '../../src/store/postgres/evidence.js';
import { Explanations } from '../../src/store/postgres/explanations.js';
import { HeldItems } from '../../src/store/postgres/held-items.js';
import { PostgresHistory } from '../../src/store/postgres/history.js';
import { ItemViews } from '../../src/store/postgres/item-views.js';
import { PostgresItems } from '../../src/store/postgres/items.js';
import { PostgresJudging } from '../../src/store/postgres/judging.js';
import { PostgresLevels } from '../../src/store/postgres/levels.js';
import { Trials } from '../../src/store/postgres/trials.js';
import { WebhookViews } from '../../src/store/postgres/webhook-views.js';
import { messageKey } from '../../src/store/rules/keys.js';
import { locationOf, useDatabases } from '../support/postgres/fixture.js';
import { plansOf } from '../support/postgres/executed-plans.js';
import type { Ran } from '../support/postgres/executed-plans.js';
import { DAY, HOUR, messages, START } from '../support/store.js';
import type { DeliveryFilter } from '../../src/store/deliveries.js';
import type { ItemFilter } from '../../src/store/items.js';

const ALL = { limit: 50, cursor: null };
const DAYS = 3;
const PER_DAY = 20_000;
/** Rows that a page reads, and a list that begins with a slice. */
const FEW = 1000;
const SLICE = 3 * 1000;
/** Rows that the largest slice of a list reads. */
const LARGEST = 3 * 16_000;
const hex = (key: Buffer): string => key.toString('hex');
/** A poll whose votes share its id. */
const POLL = hex(messageKey('main', 'poll'));

/** Webhooks of three days, one item each: most are new messages. Each has a delivered delivery. */
const FILL = `WITH numbers AS (
    SELECT day, n, day * (1::bigint << 38) + n AS id, day * 86400000 + n * 4000 AS at
    FROM generate_series($1::bigint, $1 + ${DAYS - 1}) AS day, generate_series(1, ${PER_DAY}) AS n
  ), w AS (
    INSERT INTO gateway.webhooks (id, received_at, channel, method, suffix, event, body)
    SELECT id, at, CASE n % 9999 WHEN 0 THEN 'rare' ELSE 'main' END, 'POST', '', CASE n % 50 WHEN 0 THEN 'statuses.post' ELSE 'messages.post' END,
      '{"messages":[{"id":"A"}]}'
    FROM numbers
  ), s AS (
    INSERT INTO gateway.sightings (webhook_id, position, rule, held, placeholder, carrier, message_key, message_id, verdict)
    SELECT id, 0, CASE WHEN n % 50 = 0 THEN 13 WHEN n % 500 = 1 THEN 3 ELSE 10 END, n % 500 = 1, false, 'messages',
      CASE WHEN n % 50 = 0 THEN NULL WHEN n % 10 = 5 THEN $2::uuid ELSE md5(id::text)::uuid END, 'M' || id,
      CASE WHEN n % 50 = 0 THEN 'duplicate' WHEN n % 500 = 1 THEN 'restored' WHEN n % 10 = 5 THEN 'event' ELSE 'new' END
    FROM numbers
  ), e AS (
    INSERT INTO gateway.evidence (webhook_id, position, recorded_at) SELECT id, 0, at - 4000 FROM numbers WHERE n % 50 = 0
  ), l AS (
    INSERT INTO gateway.ledger (key, first_seen_at, last_seen_at, webhook_id, position, rule, unposted)
    SELECT md5(id::text)::uuid, at, at, id, 0, 10, false FROM numbers
  )
  INSERT INTO gateway.history (id, webhook_id, created_at, settled_at, target, attempts, tries, released, status, channel, lanes,
    verdicts, log) SELECT id, id, at, at, 1, 1, 1, false, 'delivered', 'main', '{}', 'new', '[]' FROM numbers`;
const SETTINGS = `WITH t AS (
    INSERT INTO gateway.targets (id, name, url, channels, events, deliver, mode, split, headers, secret, previous_secrets, timeout_ms,
      max_attempts, concurrency, backlog_policy, backlog_after_seconds, skip_answered, enabled, created_at)
    VALUES ('bot', 'bot', 'http://bot', '["*"]', '["*"]', '["new"]', 'as_received', 'none', '', '', '[]', 1, 1, 1, 'all', 1, false, true, 0)
  ), c AS (
    INSERT INTO gateway.channels (name, whapi_token, webhook_secret, whapi_base_url, late_after_seconds, created_at, auto_resync, on_replay,
      replay_after_seconds, replay_messages) VALUES ('main', '', '', '', 900, 0, false, 'deliver', 1, 1)
  ), r AS (
    INSERT INTO gateway.resyncs (id, channel, deliver_unseen, window_seconds, created_at) VALUES ('rsy', 'main', false, 60, 0)
  )
  INSERT INTO gateway.resync_messages (resync, position, message_id, key, channel, status, calls, polls, refused, closed)
  SELECT 1, row_number() OVER (), message_id, message_key, 'main', 'waiting', 0, 0, false, false
  FROM gateway.sightings WHERE message_key IS NOT NULL AND webhook_id % 300 = 0 OR held`;

const databases = useDatabases();

/** A database with the traffic of three days. */
async function filled(): Promise<Base> {
  const day = START / DAY - (DAYS - 1);
  const base = await connect(locationOf(await databases.create()), systemEffects, () => START);
  const { db } = base;
  for (let each = 0; each < DAYS; each += 1) await db.all('SELECT gateway.make_day($1)', Math.floor(day) + each);
  await db.all(FILL, Math.floor(day), POLL);
  await db.all(SETTINGS);
  await db.all('ANALYZE');
  return base;
}

function areasOf(base: Base) {
  const [evidence, held] = [new EvidenceViews(base.db), new HeldItems(base)];
  const webhooks = new WebhookViews(base, { evidence, deliveries: new PostgresDeliveryViews(base.db) });
  return {
    items: new PostgresItems({
      ...{ views: new ItemViews(base, evidence), webhooks },
      explanations: new Explanations(base, { held, evidence }),
    }),
    history: new PostgresHistory(base, evidence),
    judging: new PostgresJudging(base, { webhooks, trials: new Trials(base, evidence) }),
    held,
  };
}

/** Statements that read more rows than this, or a whole table of webhooks or messages. */
function greedy(ran: readonly Ran[], most: number): Ran[] {
  const grows = /^(webhooks|sightings|evidence|history)_|^(ledger|queue|lanes|fingerprints|objects|chats)$/;
  return ran.filter(({ rows, scanned }) => rows > most || scanned.some((table) => grows.test(table)));
}

describe('among 60,000 webhooks of three days', () => {
  it('no view reads a whole table, or much more than it shows', async () => {
    const base = await filled();
    const { items, history, judging, held } = areasOf(base);
    const webhook = { channel: 'main', method: 'POST', suffix: '', contentType: null, via: null } as const;
    const body = Buffer.from(JSON.stringify(messages('A', 'B')));
    const [first] = (await items.list({ verdict: 'new' }, ALL)).data;
    const filters: readonly (readonly [filter: ItemFilter, most: number])[] = [
      ...([
        [{}, SLICE],
        [{ verdict: 'restored' }, FEW],
        [{ rule: 3 }, FEW],
        [{ held: true }, FEW],
      ] as const),
      [{ event: 'statuses', verdict: 'duplicate' }, SLICE],
      [{ messageId: 'poll' }, FEW],
      [{ messageId: first?.messageId ?? '', channel: 'main' }, FEW],
      [{ resync: 'rsy' }, SLICE],
      [{ since: START - HOUR, until: START, held: true }, FEW],
    ];
    for (const [filter, most] of filters) {
      const ran = await plansOf(base.db, async () => await items.list(filter, ALL));
      expect([filter, greedy(ran, most)]).toEqual([filter, []]);
    }
    const others: readonly (readonly [name: string, most: number, work: () => Promise<unknown>])[] = [
      ['messages', SLICE, async () => await items.messages({}, ALL)],
      ['webhooks', SLICE, async () => await items.webhooks({}, ALL)],
      ['webhook', FEW, async () => await items.webhook(first?.webhookId ?? '')],
      ['explain', FEW, async () => await items.explain('main', first?.messageId ?? '')],
      ['poll', SLICE, async () => await items.explain('main', 'poll')],
      ['held', FEW, async () => await held.countsForResync(1, 0, 200)],
      ['judge', FEW, async () => await judging.judge({ ...webhook, body }, decode(body, webhook), {})],
      ['history', FEW, async () => await (await history.read({ since: START - HOUR, most: 500 })).next()],
    ];
    for (const [name, most, work] of others) {
      expect([name, greedy(await plansOf(base.db, work), most)]).toEqual([name, []]);
    }
    const recent = await plansOf(
      base.db,
      async () => await (await history.read({ since: START - HOUR, most: 9 })).next(),
    );
    const days = new Set(
      recent.flatMap(({ indexes }) => indexes.flatMap((name) => /^history_(\d+)/.exec(name)?.[1] ?? [])),
    );
    expect([...days]).toEqual([String(Math.floor(START / DAY))]);
    const deliveries = new PostgresDeliveryViews(base.db);
    const lists: readonly (readonly [filter: DeliveryFilter, most: number])[] = [
      [{}, SLICE],
      [{ status: 'dead' }, FEW],
      [{ status: 'pending', target: 'bot' }, FEW],
      [{ target: 'bot', event: 'messages' }, SLICE],
      [{ since: START - HOUR, until: START }, LARGEST],
    ];
    for (const [filter, most] of lists) {
      const ran = await plansOf(base.db, async () => await deliveries.list(filter, ALL));
      expect([filter, greedy(ran, most)]).toEqual([filter, []]);
    }
    const none = await plansOf(
      base.db,
      async () => await deliveries.list({ channel: 'rare', status: 'delivered' }, ALL),
    );
    expect(none.filter(({ rows }) => rows > LARGEST)).toEqual([]);
    const levels = await PostgresLevels.open(base);
    expect(greedy(await plansOf(base.db, async () => await levels.heldItems()), FEW)).toEqual([]);
    const rare = await items.list({ channel: 'rare' }, ALL);
    expect(rare.data.map(({ channel }) => channel)).toEqual(Array(DAYS * 2).fill('rare'));
    await base.db.end();
  }, 120_000);
});
