import { createHash } from 'node:crypto';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { GatewayError } from '../errors.js';
import { MESSAGE_ID, MESSAGE_ID_EXAMPLE, MESSAGE_ID_WORDS } from '../message-id.js';
import { DEFAULT_WINDOW_SECONDS, PAUSE_CODES } from '../model.js';
import type { Pause, ResyncMessageStatus } from '../model.js';
import {
  ChannelName,
  iso,
  isoOrNull,
  oneOf,
  orNull,
  pageJson,
  pageOf,
  pageQuery,
  pageRequest,
  problems,
  resyncMessageJson,
  ResyncMessageSchema,
  ResyncMessageStatusSchema,
  ResyncStatusSchema,
  Time,
} from './schemas.js';
import type { Json } from './schemas.js';
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

const NewResync = Type.Object(
  {
    channel: ChannelName,
    // Whapi has widened the form of its ids twice: only what a URL can carry is asked for (docs/whapi.md, Message).
    message_ids: Type.Array(
      Type.String({ pattern: MESSAGE_ID, 'x-expected': MESSAGE_ID_WORDS, examples: [MESSAGE_ID_EXAMPLE] }),
      {
        minItems: 1,
        maxItems: 10_000,
      },
    ),
    deliver_unseen: Type.Optional(
      Type.Boolean({ description: 'Send restored messages that were never seen to the bots as well' }),
    ),
    window_seconds: Type.Optional(
      Type.Integer({
        minimum: 60,
        maximum: 2_592_000,
        description: 'How long after the last call an id counts as coming back',
      }),
    ),
  },
  { additionalProperties: false },
);
const PauseSchema = Type.Object(
  {
    code: oneOf(PAUSE_CODES),
    reason: Type.String(),
    since: Time,
    next_check_at: Type.String({ description: 'When it goes on by itself, if it can' }),
  },
  { description: 'Why nothing is asked of Whapi now' },
);
const ResyncSchema = Type.Object({
  id: Type.String(),
  channel: Type.String(),
  status: ResyncStatusSchema,
  total: Type.Integer(),
  counts: Type.Object({
    queued: Type.Integer(),
    requesting: Type.Integer(),
    waiting: Type.Integer(),
    restored: Type.Integer(),
    not_restored: Type.Integer(),
    failed: Type.Integer(),
    cancelled: Type.Integer(),
  } satisfies Record<ResyncMessageStatus, unknown>),
  pause: orNull(PauseSchema),
  rate_per_minute: orNull(Type.Number({ description: 'Messages settled, over the last five minutes' })),
  eta_seconds: orNull(Type.Integer({ description: 'Until what comes as usual has come; null where it is not known' })),
  deliver_unseen: Type.Boolean(),
  window_seconds: Type.Integer(),
  created_at: Time,
  finished_at: orNull(Time),
});
const ReportSchema = Type.Object({
  resync: ResyncSchema,
  restored: Type.Object({
    total: Type.Integer(),
    already_known: Type.Integer({ description: 'A webhook had carried it before it was registered' }),
    never_seen_before: Type.Integer(),
    proven_by: Type.Object({
      webhook: Type.Integer(),
      poll: Type.Integer({ description: 'Whapi answered the plain GET with 200' }),
    }),
  }),
  not_restored: Type.Integer(),
  failed: Type.Object({
    total: Type.Integer(),
    reasons: Type.Array(Type.Object({ error: Type.String(), count: Type.Integer() })),
  }),
  cancelled: Type.Integer(),
  unsettled: Type.Integer({ description: 'Not settled yet: 0 in a final report' }),
  held: Type.Object({
    total: Type.Integer({ description: 'What POST /v1/messages/release with this resync would send now' }),
    messages: Type.String({ description: 'Where they are listed' }),
  }),
  calls: Type.Object({ resync: Type.Integer(), poll: Type.Integer() }),
});
const IdempotencyHeader = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({ minLength: 1, maxLength: 255, description: 'The same key and body give the same resync' }),
  ),
});
const Id = Type.Object({ id: Type.String() });
const tags = ['resyncs'];

/** `/v1/resyncs`. */
export const resyncRoutes: FastifyPluginAsyncTypebox<ResyncRoutesOptions> = async (app, options) => {
  const { store, onRegistered } = options;
  const resyncJson = (view: ResyncView): Json<typeof ResyncSchema> => jsonOf(view, options.progressOf(view));
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
        body: NewResync,
        response: { 202: ResyncSchema, ...problems },
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
        response: { 200: pageOf(ResyncSchema), ...problems },
      },
    },
    async ({ query }) => pageJson(await store.resyncs.list(pageRequest(query)), resyncJson),
  );

  app.get(
    '/resyncs/:id',
    { schema: { tags, summary: 'One resync', params: Id, response: { 200: ResyncSchema, ...problems } } },
    async ({ params }) => resyncJson(await mustHave(params.id)),
  );

  app.get(
    '/resyncs/:id/messages',
    {
      schema: {
        tags,
        summary: 'The messages of a resync, in the order asked for',
        params: Id,
        querystring: pageQuery({
          status: Type.Optional(ResyncMessageStatusSchema),
          held: Type.Optional(Type.Boolean()),
        }),
        response: { 200: pageOf(ResyncMessageSchema), ...problems },
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
        response: { 200: ReportSchema, ...problems },
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
        response: { 200: ResyncSchema, ...problems },
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

function jsonOf(view: ResyncView, { pause, ratePerMinute, etaSeconds }: Progress): Json<typeof ResyncSchema> {
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

function reportJson(report: ResyncReport, resync: Json<typeof ResyncSchema>): Json<typeof ReportSchema> {
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
