import { createHash } from 'node:crypto';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { GatewayError } from '../errors.js';
import type { Resyncs } from '../ledger/ledger.js';
import type { ResyncView, Views } from '../ledger/views.js';
import type { ResyncMessageStatus } from '../model.js';
import {
  ChannelName,
  iso,
  pageJson,
  pageOf,
  pageQuery,
  pageRequest,
  problems,
  resyncMessageJson,
  ResyncMessageSchema,
  ResyncStatusSchema,
  Time,
} from './schemas.js';
import type { Json } from './schemas.js';

export interface ResyncRoutesOptions {
  readonly ledger: Pick<Resyncs, 'register' | 'cancelResync'> & Pick<Views, 'resyncs' | 'resync' | 'resyncMessages'>;
  /** Told after the registrations are committed. */
  readonly onRegistered: () => void;
}

const DEFAULT_WINDOW_SECONDS = 259_200;
/** Ten thousand ids of 60 characters, and room. */
const MOST_BODY_BYTES = 4 * 1024 * 1024;

const NewResync = Type.Object(
  {
    channel: ChannelName,
    // Whapi has widened the form of its ids twice: only what a URL can carry is asked for (docs/whapi.md, Message).
    message_ids: Type.Array(Type.String({ pattern: '^(?!\\.{1,2}$)[A-Za-z0-9._~-]{1,256}$' }), {
      minItems: 1,
      maxItems: 10_000,
    }),
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
const ResyncSchema = Type.Object({
  id: Type.String(),
  channel: Type.String(),
  status: ResyncStatusSchema,
  counts: Type.Object({
    queued: Type.Integer(),
    requesting: Type.Integer(),
    waiting: Type.Integer(),
    restored: Type.Integer(),
    not_restored: Type.Integer(),
    failed: Type.Integer(),
    cancelled: Type.Integer(),
  } satisfies Record<ResyncMessageStatus, unknown>),
  deliver_unseen: Type.Boolean(),
  window_seconds: Type.Integer(),
  created_at: Time,
});
const IdempotencyHeader = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({ minLength: 1, maxLength: 255, description: 'The same key and body give the same resync' }),
  ),
});
const Id = Type.Object({ id: Type.String() });
const tags = ['resyncs'];

/** `/v1/resyncs`. */
export const resyncRoutes: FastifyPluginAsyncTypebox<ResyncRoutesOptions> = async (app, { ledger, onRegistered }) => {
  const mustHave = async (id: string): Promise<ResyncView> => {
    const resync = await ledger.resync(id);
    if (!resync) throw new GatewayError('GW_NOT_FOUND', `There is no resync "${id}".`);
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
      const resync = await ledger.register({
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
    async ({ query }) => pageJson(await ledger.resyncs(pageRequest(query)), resyncJson),
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
        querystring: pageQuery({}),
        response: { 200: pageOf(ResyncMessageSchema), ...problems },
      },
    },
    async ({ params, query }) => {
      await mustHave(params.id);
      return pageJson(await ledger.resyncMessages(params.id, pageRequest(query)), resyncMessageJson);
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
    async ({ params }) => resyncJson(await ledger.cancelResync(params.id)),
  );
  await Promise.resolve();
};

function fingerprintOf(body: unknown): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('hex');
}

function resyncJson(view: ResyncView): Json<typeof ResyncSchema> {
  return {
    id: view.id,
    channel: view.channel,
    status: view.status,
    counts: { ...view.counts },
    deliver_unseen: view.deliverUnseen,
    window_seconds: view.windowSeconds,
    created_at: iso(view.createdAt),
  };
}
