import { createHash } from 'node:crypto';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Id } from '../contract/fields.js';
import {
  IdempotencyHeader,
  NewResyncSchema,
  ResyncMessagePageSchema,
  ResyncMessageQuery,
  ResyncPageSchema,
  ResyncReportSchema,
  ResyncSchema,
} from '../contract/resyncs.js';
import type { Resync, ResyncReport as ReportJson } from '../contract/resyncs.js';
import { pageQuery, ref } from '../contract/schema.js';
import { GatewayError } from '../errors.js';
import { DEFAULT_WINDOW_SECONDS } from '../model.js';
import type { Pause } from '../model.js';
import { iso, isoOrNull, pageJson, pageRequest, resyncMessageJson } from './schemas.js';
import type { ResyncReport, ResyncView, Resyncs } from '../store/resyncs.js';

export interface ResyncRoutesOptions {
  readonly store: {
    readonly resyncs: Pick<Resyncs, 'register' | 'cancel' | 'get' | 'list' | 'messages' | 'report'>;
  };
  /** Told after the registrations are committed. */
  readonly onRegistered: () => void;
  /** What keeps it, how fast it is, and how long it takes. */
  readonly progressOf: (resync: ResyncView) => Progress;
}

interface Progress {
  readonly pause: Pause | null;
  readonly ratePerMinute: number | null;
  readonly etaSeconds: number | null;
}

/** Ten thousand ids of 60 characters, and room. */
const MOST_BODY_BYTES = 4 * 1024 * 1024;

const tags = ['resyncs'];

/** `/v1/resyncs`. */
export const resyncRoutes: FastifyPluginAsyncTypebox<ResyncRoutesOptions> = async (app, options) => {
  const { store, onRegistered } = options;
  const resyncJson = (view: ResyncView): Resync => jsonOf(view, options.progressOf(view));
  const mustHave = async (id: string): Promise<ResyncView> => {
    const resync = await store.resyncs.get(id);
    if (!resync) throw noResync(id);
    return resync;
  };

  app.post(
    '/resyncs',
    {
      bodyLimit: MOST_BODY_BYTES,
      schema: {
        tags,
        summary: 'Bring messages back: all ids are registered before this is answered',
        headers: IdempotencyHeader,
        body: ref(NewResyncSchema),
        response: { 202: ref(ResyncSchema) },
      },
    },
    async ({ body, headers }, reply) => {
      const key = headers['idempotency-key'];
      const resync = await store.resyncs.register({
        channel: body.channel,
        messageIds: body.message_ids,
        deliverUnseen: body.deliver_unseen ?? false,
        windowSeconds: body.window_seconds ?? DEFAULT_WINDOW_SECONDS,
        idempotency: key === undefined ? null : { key, fingerprint: fingerprintOf(body) },
      });
      onRegistered();
      return await reply.code(202).send(resyncJson(resync));
    },
  );

  app.get(
    '/resyncs',
    {
      schema: {
        tags,
        summary: 'Resyncs, newest first',
        querystring: pageQuery({}),
        response: { 200: ref(ResyncPageSchema) },
      },
    },
    async ({ query }) => pageJson(await store.resyncs.list(pageRequest(query)), resyncJson),
  );

  app.get(
    '/resyncs/:id',
    { schema: { tags, summary: 'One resync', params: Id, response: { 200: ref(ResyncSchema) } } },
    async ({ params }) => resyncJson(await mustHave(params.id)),
  );

  app.get(
    '/resyncs/:id/messages',
    {
      schema: {
        tags,
        summary: 'The messages of a resync, in the order asked for',
        params: Id,
        querystring: ResyncMessageQuery,
        response: { 200: ref(ResyncMessagePageSchema) },
      },
    },
    async ({ params, query }) => {
      await mustHave(params.id);
      return pageJson(await store.resyncs.messages(params.id, pageRequest(query), query), resyncMessageJson);
    },
  );

  app.get(
    '/resyncs/:id/report',
    {
      schema: {
        tags,
        summary: 'What came of a resync, in the end or so far',
        params: Id,
        response: { 200: ref(ResyncReportSchema) },
      },
    },
    async ({ params }) => {
      const report = await store.resyncs.report(params.id);
      if (!report) throw noResync(params.id);
      return reportJson(report, resyncJson(report.resync));
    },
  );

  app.post(
    '/resyncs/:id/cancel',
    {
      schema: {
        tags,
        summary: 'Ask for nothing more; what Whapi was asked for stays registered',
        params: Id,
        response: { 200: ref(ResyncSchema) },
      },
    },
    async ({ params }) => resyncJson(await store.resyncs.cancel(params.id)),
  );
  await Promise.resolve();
};

function fingerprintOf(body: unknown): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('hex');
}

function noResync(id: string): GatewayError {
  return new GatewayError('GW_NOT_FOUND', `There is no resync "${id}".`);
}

function jsonOf(view: ResyncView, { pause, ratePerMinute, etaSeconds }: Progress): Resync {
  return {
    id: view.id,
    channel: view.channel,
    status: view.status,
    total: Object.values(view.counts).reduce((sum, count) => sum + count, 0),
    counts: { ...view.counts },
    pause: pause && {
      code: pause.code,
      reason: pause.reason,
      since: iso(pause.since),
      next_check_at: iso(pause.nextCheckAt),
    },
    rate_per_minute: ratePerMinute,
    eta_seconds: etaSeconds,
    deliver_unseen: view.deliverUnseen,
    window_seconds: view.windowSeconds,
    created_at: iso(view.createdAt),
    finished_at: isoOrNull(view.finishedAt),
  };
}

function reportJson(report: ResyncReport, resync: Resync): ReportJson {
  const { counts } = resync;
  return {
    resync,
    restored: {
      total: counts.restored,
      already_known: report.alreadyKnown,
      never_seen_before: report.neverSeenBefore,
      proven_by: { ...report.proofs },
    },
    not_restored: counts.not_restored,
    failed: { total: counts.failed, reasons: [...report.failures] },
    cancelled: counts.cancelled,
    unsettled: counts.queued + counts.requesting + counts.waiting,
    held: { total: report.held, messages: `/v1/resyncs/${resync.id}/messages?held=true` },
    calls: { resync: report.calls, poll: report.polls },
  };
}
