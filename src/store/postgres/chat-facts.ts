import { areAnswered, newestByChat, supersedes } from '../../intake/backlog.js';
import { decodeRecordedInSlices } from '../../intake/decode.js';
import type { Item } from '../../intake/decode.js';
import { inSlices } from '../../event-loop.js';
import type { Verdict, WebhookHttpMethod } from '../../model.js';
import { chatKey } from '../rules/keys.js';
import type { Queries } from './queries.js';
import { plainUuid, uuidOf } from './keys.js';
import type { ChatFacts, WantedFacts } from '../outbox.js';

/** A pending delivery with its body. */
export interface DeliveryBody {
  readonly id: number;
  readonly channel: string;
  readonly method: string;
  readonly suffix: string;
  readonly body: Buffer;
}

interface WaitingRow {
  readonly lane: string;
  readonly id: number;
  readonly verdicts: string;
  readonly newest_message_at: number | null;
}

interface BodyRow {
  readonly id: number;
  readonly method: string;
  readonly suffix: string;
  readonly body: Buffer;
}

/** What may supersede the messages of one chat: deliveries that wait behind them, newest first. */
interface Candidates {
  readonly chatId: string;
  readonly sentAt: number;
  readonly rows: WaitingRow[];
}

/** How many of the newest deliveries that wait in a chat are examined: as a rule, one of them has the newest message. */
const MOST_LOOKED_AT = 20;
/** Chats whose waiting deliveries are read at once: each may have a body of its own. */
const CHATS_PER_READ = 50;

const ANSWERED_AT =
  'SELECT c.key, c.own_at FROM gateway.chats c WHERE c.key = ANY($1::uuid[]) AND c.own_at IS NOT NULL';

const WAITING = `SELECT c.lane, d.id, d.verdicts, d.newest_message_at
  FROM gateway.queue q CROSS JOIN unnest($2::uuid[]) AS c(lane)
    CROSS JOIN LATERAL (
      SELECT l.delivery_id, l.seq FROM gateway.lanes l
      WHERE l.target = q.target AND l.lane = c.lane AND l.delivery_id <> q.id ORDER BY l.seq DESC LIMIT ${MOST_LOOKED_AT}
    ) l
    JOIN gateway.queue d ON d.id = l.delivery_id
  WHERE q.id = $1 ORDER BY l.seq DESC`;

export const BODIES = `SELECT q.id, w.method, w.suffix, coalesce(q.body, w.body) AS body
  FROM gateway.queue q JOIN gateway.webhooks w ON w.id = q.webhook_id WHERE q.id = ANY($1::bigint[])`;

/** What is recorded of the chats of a pending delivery: see `Outbox.chatFacts`. Reads only. */
export async function chatFactsOf(queries: Queries, delivery: DeliveryBody, wanted: WantedFacts): Promise<ChatFacts> {
  const items = await itemsIn(delivery);
  const isAnswered = wanted.answered && (await isAnsweredBy(queries, delivery.channel, items));
  const isFollowed = wanted.followed && !isAnswered && (await isFollowedBy(queries, delivery, items));
  return { isAnswered, isFollowed };
}

async function isAnsweredBy(queries: Queries, channel: string, items: readonly Item[]): Promise<boolean> {
  const keys = new Map<string, string>();
  for (const { chatId } of items) if (chatId !== null) keys.set(chatId, uuidOf(chatKey(channel, chatId)));
  const rows = await queries.all<{ key: string; own_at: number }>(ANSWERED_AT, [...keys.values()]);
  const answeredAt = new Map(rows.map(({ key, own_at: at }) => [plainUuid(key), at]));
  return areAnswered(items, (chatId) => answeredAt.get(keys.get(chatId) ?? '') ?? null);
}

async function isFollowedBy(queries: Queries, delivery: DeliveryBody, items: readonly Item[]): Promise<boolean> {
  const chats = [...(newestByChat(items) ?? [])];
  if (chats.length === 0) return false;
  for (let from = 0; from < chats.length; from += CHATS_PER_READ) {
    if (!(await areSuperseded(queries, delivery, chats.slice(from, from + CHATS_PER_READ)))) return false;
  }
  return true;
}

/** Whether a newer message of each of these chats waits behind the delivery. */
async function areSuperseded(
  queries: Queries,
  { id, channel }: DeliveryBody,
  chats: readonly (readonly [chatId: string, sentAt: number])[],
): Promise<boolean> {
  const lanes = chats.map(([chatId]) => uuidOf(chatKey(channel, chatId)));
  const waiting = await queries.all<WaitingRow>(WAITING, id, lanes);
  let open: Candidates[] = chats.map(([chatId, sentAt], at) => ({
    chatId,
    sentAt,
    rows: waiting.filter((row) => plainUuid(row.lane) === lanes[at] && maySupersede(row, sentAt)),
  }));
  // The newest delivery of a chat usually decides, so one round is enough.
  while (open.length > 0) {
    if (open.some(({ rows }) => rows.length === 0)) return false;
    open = await undecided(queries, open);
  }
  return true;
}

/** Looks at the first candidate of each chat. Returns the chats that it does not supersede, with the candidates that are left. */
async function undecided(queries: Queries, open: readonly Candidates[]): Promise<Candidates[]> {
  const ids = new Set(open.flatMap(({ rows: [first] }) => first?.id ?? []));
  const bodies = new Map((await queries.all<BodyRow>(BODIES, [...ids])).map((row) => [row.id, row]));
  const left: Candidates[] = [];
  for (const { chatId, sentAt, rows } of open) {
    const [first, ...others] = rows;
    const body = first && bodies.get(first.id);
    const isSuperseded = body && supersedes(await itemsIn(body), verdictsOf(first), chatId, sentAt);
    if (isSuperseded !== true) left.push({ chatId, sentAt, rows: others });
  }
  return left;
}

function maySupersede(row: WaitingRow, sentAt: number): boolean {
  const isOlder = row.newest_message_at !== null && row.newest_message_at < sentAt;
  return !isOlder && verdictsOf(row).some((verdict) => verdict !== 'event');
}

function verdictsOf({ verdicts }: WaitingRow): Verdict[] {
  return verdicts.split(',') as Verdict[];
}

async function itemsIn({ body, method, suffix }: Omit<BodyRow, 'id'>): Promise<readonly Item[]> {
  const { items } = await inSlices(decodeRecordedInSlices(body, { method: method as WebhookHttpMethod, suffix }));
  return items;
}
