import { Type } from 'typebox';
import { FeedQuery } from '../feed.js';
import { operation } from '../operation.js';

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
