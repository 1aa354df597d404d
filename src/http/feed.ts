import { readFeed } from '../contract/operations/live.js';
import type { Effects } from '../effects.js';
import type { Feed } from '../feed.js';
import { VERSION } from '../outgoing.js';
import type { App } from './app.js';
import { iso } from './schemas.js';

export interface FeedRouteOptions {
  readonly feed: Feed;
  readonly effects: Pick<Effects, 'now'>;
}

const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no', // nginx would hold events back
};

/** `/v1/feed`: what happens, as server-sent events. */
export async function feedRoutes(app: App, { feed, effects }: FeedRouteOptions): Promise<void> {
  // Before the server waits for its connections to end: a feed does not end by itself.
  app.addHook('preClose', (done) => {
    feed.close();
    done();
  });

  app.get('/feed', { schema: readFeed }, (request, reply) => {
    const { channel = null, verdict = null, target = null, last_event_id: lastId = null } = request.query;
    const { 'last-event-id': header = lastId } = request.headers;
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, HEADERS);
    const sink = {
      write: (text: string) => void raw.write(text),
      waitingBytes: () => raw.writableLength,
      end: () => void raw.end(),
    };
    const hello = { version: VERSION, at: iso(effects.now()) };
    const leave = feed.subscribe(sink, { channel, verdict, target }, [header].flat()[0] ?? null, hello);
    raw.on('close', leave).on('error', leave);
  });
  await Promise.resolve();
}
