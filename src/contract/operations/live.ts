import { Type } from 'typebox';
import { FeedQuery } from '../feed.js';
import { operation } from '../operation.js';
import { ref } from '../schema.js';
import { StatsQuery, StatsSchema } from '../stats.js';

export const readFeed = operation({
  operationId: 'readFeed',
  tags: ['live'],
  summary: 'Follow what happens',
  description:
    'Server-sent events: `webhook`, `delivery`, `breaker`, with data as in the schemas `FeedWebhook`, `FeedDelivery`, ' +
    '`FeedBreaker`. No event has the text of a message. The feed is a hint, and the lists are the truth: above 50 ' +
    'events a second it says how many it left out (`skipped`), and after `gap` the reader has missed events and should ' +
    'read the lists again. A reader that comes back with `Last-Event-ID` gets what it missed, up to the last 1,000 ' +
    'events. A comment every 15 seconds keeps the connection open.',
  querystring: FeedQuery,
  produces: ['text/event-stream'],
  response: { 200: Type.Unsafe<string>({ type: 'string', description: 'Server-sent events, without an end.' }) },
});

export const getStats = operation({
  operationId: 'getStats',
  tags: ['live'],
  summary: 'Get counts and their course',
  description:
    'What came for each channel and went to each target in the last `minutes`, and the same over time. The counts ' +
    'survive a restart; a crash loses up to ten seconds of them. Attempts are HTTP requests; all other counts are ' +
    'events, so a delivery that took three attempts counts once as `delivered`. Deliveries that a removal of their ' +
    'target ended are not counted. Above 200 channels or 200 targets the series without a filter counts all of them, ' +
    'and the entries of those beyond are zero.',
  querystring: StatsQuery,
  response: { 200: ref(StatsSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});
