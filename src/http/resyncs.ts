import { createHash } from 'node:crypto';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  cancelResync,
  createResync,
  getResync,
  getResyncReport,
  listResyncMessages,
  listResyncs,
} from '../contract/operations/resyncs.js';
import { GatewayError } from '../errors.js';
import { DEFAULT_WINDOW_SECONDS } from '../model.js';
import type { App } from './app.js';
import { reportJson, resyncJson } from './resync-json.js';
import type { Progress } from './resync-json.js';
import { pageJson, pageRequest, resyncMessageJson } from './schemas.js';
import type { ResyncView, Resyncs } from '../store/resyncs.js';

export interface ResyncRoutesOptions {
  readonly store: {
    readonly resyncs: Pick<Resyncs, 'register' | 'cancel' | 'get' | 'list' | 'messages' | 'report'>;
  };
  /** Called after the registrations are committed. */
  readonly onRegistered: () => void;
  /** What keeps it, how fast it is, and how long it takes. */
  readonly progressOf: (resync: ResyncView) => Progress;
}

/** Ten thousand ids of 60 characters, and room. */
const MOST_BODY_BYTES = 4 * 1024 * 1024;

/** `/v1/resyncs`. */
export const resyncRoutes: FastifyPluginAsyncTypebox<ResyncRoutesOptions> = async (app, options) => {
  createRoute(app, options);
  readRoutes(app, options);
  messagesRoute(app, options);
  cancelRoute(app, options);
  await Promise.resolve();
};

function createRoute(app: App, { store, progressOf, onRegistered }: ResyncRoutesOptions): void {
  app.post('/resyncs', { bodyLimit: MOST_BODY_BYTES, schema: createResync }, async ({ body, headers }, reply) => {
    const key = headers['idempotency-key'];
    const resync = await store.resyncs.register({
      channel: body.channel,
      messageIds: body.message_ids,
      deliverUnseen: body.deliver_unseen ?? false,
      windowSeconds: body.window_seconds ?? DEFAULT_WINDOW_SECONDS,
      idempotency: key === undefined ? null : { key, fingerprint: fingerprintOf(body) },
    });
    onRegistered();
    return await reply.code(202).send(resyncJson(resync, progressOf(resync)));
  });
}

function readRoutes(app: App, { store, progressOf }: ResyncRoutesOptions): void {
  app.get('/resyncs', { schema: listResyncs }, async ({ query }) =>
    pageJson(await store.resyncs.list(pageRequest(query), query), (resync) => resyncJson(resync, progressOf(resync))),
  );

  app.get('/resyncs/:id', { schema: getResync }, async ({ params }) => {
    const resync = await mustHave(store.resyncs, params.id);
    return resyncJson(resync, progressOf(resync));
  });

  app.get('/resyncs/:id/report', { schema: getResyncReport }, async ({ params }) => {
    const report = await store.resyncs.report(params.id);
    if (!report) throw noResync(params.id);
    return reportJson(report, resyncJson(report.resync, progressOf(report.resync)));
  });
}

function messagesRoute(app: App, { store }: ResyncRoutesOptions): void {
  app.get('/resyncs/:id/messages', { schema: listResyncMessages }, async ({ params, query }) => {
    await mustHave(store.resyncs, params.id);
    return pageJson(await store.resyncs.messages(params.id, pageRequest(query), query), resyncMessageJson);
  });
}

function cancelRoute(app: App, { store, progressOf }: ResyncRoutesOptions): void {
  app.post('/resyncs/:id/cancel', { schema: cancelResync }, async ({ params }) => {
    const resync = await store.resyncs.cancel(params.id);
    return resyncJson(resync, progressOf(resync));
  });
}

/** @throws GatewayError GW_NOT_FOUND */
async function mustHave(resyncs: Pick<Resyncs, 'get'>, id: string): Promise<ResyncView> {
  const resync = await resyncs.get(id);
  if (!resync) throw noResync(id);
  return resync;
}

function fingerprintOf(body: unknown): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('hex');
}

function noResync(id: string): GatewayError {
  return new GatewayError('GW_NOT_FOUND', `There is no resync "${id}".`);
}
