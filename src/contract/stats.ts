import { Type } from 'typebox';
import type { Static } from 'typebox';
import { VERDICTS } from '../model.js';
import type { Verdict } from '../model.js';
import { ChannelName, time, timeOrNull } from './fields.js';
import { orNull, ref } from './schema.js';
import { TargetSchema } from './targets.js';

const count = (description: string) => Type.Integer({ description });

export const QuantilesSchema = Type.Object(
  { p50: Type.Number(), p95: Type.Number(), p99: Type.Number() },
  { $id: 'Quantiles', description: 'Durations in milliseconds: half, 95 % and 99 % took no longer.' },
);

const perVerdict = <T extends ReturnType<typeof Type.Integer> | ReturnType<typeof Type.Array>>(schema: T) =>
  Object.fromEntries(VERDICTS.map((verdict) => [verdict, schema])) as Record<Verdict, T>;

export const ChannelStatsSchema = Type.Object(
  {
    channel: Type.String(),
    last_webhook_at: timeOrNull(),
    webhooks: count('Webhooks that were recorded.'),
    refused: count('Webhooks that were refused.'),
    items: Type.Object(perVerdict(Type.Integer()), { description: 'Items of its webhooks, by verdict.' }),
    held: count('Items that some target was not sent because of their verdicts.'),
  },
  { $id: 'ChannelStats', description: 'What came for a channel.' },
);

export const TargetStatsSchema = Type.Object(
  {
    target: Type.String({ description: 'Its id.' }),
    name: Type.String(),
    enabled: Type.Boolean(),
    pending: count('Deliveries that wait at the moment.'),
    oldest_pending_at: timeOrNull('When the oldest of them was recorded.'),
    breaker: TargetSchema.properties.breaker,
    attempts: count('HTTP requests to it.'),
    failed_attempts: count('Those without a 2xx answer in time.'),
    delivered: count('Deliveries that succeeded.'),
    dead: count('Deliveries that were given up.'),
    expired: count('Deliveries that became too old.'),
    superseded: count('Deliveries that ended because a newer message of their chat waited (`backlog_policy`).'),
    answered: count('Deliveries whose chats were answered before they were sent (`skip_answered`).'),
    withheld: count('Deliveries of the backlog that were withheld (`backlog_policy`).'),
    latency_ms: orNull(ref(QuantilesSchema)),
    lag_ms: orNull(ref(QuantilesSchema)),
  },
  {
    $id: 'TargetStats',
    description:
      'What went to a target. `latency_ms`: of attempts, from the request to the answer. `lag_ms`: of deliveries that ' +
      'succeeded, from the commit of the webhook to the success.',
  },
);

const counts = Type.Array(Type.Integer());
const durations = Type.Array(orNull(Type.Number()));
export const SeriesSchema = Type.Object(
  {
    from: time('When the first step begins.'),
    step_seconds: Type.Integer(),
    webhooks: counts,
    refused: counts,
    ...perVerdict(counts),
    held: counts,
    attempts: counts,
    failed_attempts: counts,
    delivered: counts,
    dead: counts,
    expired: counts,
    superseded: counts,
    answered: counts,
    withheld: counts,
    latency_ms: Type.Object({ p50: durations, p95: durations, p99: durations }),
  },
  { $id: 'Series', description: 'Numbers over time: one per step in each list.' },
);

export const StatsSchema = Type.Object(
  {
    from: time('From when on it counts.'),
    to: time('Until when it counts.'),
    minutes: Type.Integer(),
    channels: Type.Array(ref(ChannelStatsSchema)),
    targets: Type.Array(ref(TargetStatsSchema)),
    series: ref(SeriesSchema),
    replicas: Type.Array(
      Type.Object({
        id: Type.String({ description: 'Given at its start.' }),
        name: Type.Union([Type.String(), Type.Null()], {
          description: 'Its host and port; null: it does not listen yet, or is a command such as `rekey`.',
        }),
        started_at: time('When it started.'),
        seen_at: time('Its last sign of life.'),
      }),
      { description: 'The gateway processes that share the database, oldest first. Empty with SQLite.' },
    ),
  },
  { $id: 'Stats', description: 'How much came and went.' },
);
export type Stats = Static<typeof StatsSchema>;

const MOST_MINUTES = 129_600;
export const StatsQuery = Type.Object(
  {
    minutes: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MOST_MINUTES,
        default: 60,
        description: 'How far it looks back. Steps: 10 s up to 60 minutes, 5 minutes up to a day, else an hour.',
      }),
    ),
    channel: Type.Optional(ChannelName),
    target: Type.Optional(Type.String({ description: 'Id of a target.' })),
  },
  { additionalProperties: false },
);
