import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Effects } from '../effects.js';
import { GatewayError } from '../errors.js';
import type { AuditKind } from '../model.js';
import {
  AuditMessagePageSchema,
  AuditPageSchema,
  AuditReleaseRequestSchema,
  AuditReleaseSchema,
  AuditSchema,
  NewAuditSchema,
} from '../contract/audits.js';
import { NewSeedingSchema } from '../contract/channels.js';
import { Id, Name } from '../contract/fields.js';
import { orNull, pageQuery, ref } from '../contract/schema.js';
import { auditJson, auditMessageJson, STILL_ON_ITS_WAY_MS } from './audit-json.js';
import { iso, pageJson, pageRequest, timesOf } from './schemas.js';
import { invalidField } from './validation-errors.js';
import type { AuditView, Audits } from '../store/audits.js';
import type { Registry } from '../store/registry.js';

export interface AuditRoutesOptions {
  readonly store: {
    readonly audits: Pick<Audits, 'begin' | 'cancel' | 'release' | 'list' | 'get' | 'messages'>;
    readonly registry: Pick<Registry, 'channel'>;
  };
  /** How long message ids are remembered. */
  readonly ledgerRetentionMs: number;
  readonly effects: Pick<Effects, 'now'>;
  /** Told after an audit was committed. */
  readonly onAudit: () => void;
  /** Told after deliveries were made. */
  readonly onDeliveries: () => void;
}

const tags = ['audits'];

/** `/v1/audits`, and `/v1/channels/{name}/seed`, which is one of another kind. */
export const auditRoutes: FastifyPluginAsyncTypebox<AuditRoutesOptions> = async (app, options) => {
  const { store, effects, onAudit, onDeliveries } = options;

  const mustHave = async (id: string): Promise<AuditView> => {
    const audit = await store.audits.get(id);
    if (!audit) throw new GatewayError('GW_NOT_FOUND', `There is no audit "${id}".`);
    return audit;
  };

  const begin = async (kind: AuditKind, channelName: string, since: number, until: number): Promise<AuditView> => {
    checkRange(since, until, effects.now());
    const channel = await store.registry.channel(channelName);
    if (!channel) throw new GatewayError('GW_NOT_FOUND', `There is no channel "${channelName}".`);
    const memorySince = Math.max(channel.createdAt, effects.now() - options.ledgerRetentionMs);
    const seconds = { since: Math.floor(since / 1000), until: Math.floor(until / 1000) };
    const audit = await store.audits.begin({ kind, channel: channelName, ...seconds, memorySince });
    onAudit();
    return audit;
  };

  app.post(
    '/audits',
    {
      schema: {
        tags,
        summary: 'Compare the messages that Whapi has with those that came: which never did?',
        body: ref(NewAuditSchema),
        response: { 202: ref(AuditSchema) },
      },
    },
    async ({ body }, reply) => {
      const { since = 0, until = effects.now() - STILL_ON_ITS_WAY_MS } = timesOf(body);
      const audit = await begin('audit', body.channel, since, until);
      return await reply.code(202).send(auditJson(audit));
    },
  );

  app.post(
    '/channels/:name/seed',
    {
      schema: {
        tags,
        summary: 'Tell the ledger which messages Whapi has: brought back by anybody, they are duplicates',
        params: Name,
        body: orNull(ref(NewSeedingSchema)),
        response: { 202: ref(AuditSchema) },
      },
    },
    async ({ params, body }, reply) => {
      const { since, until = effects.now() } = timesOf(body ?? {});
      const audit = await begin('seed', params.name, since ?? effects.now() - options.ledgerRetentionMs, until);
      return await reply.code(202).send(auditJson(audit));
    },
  );

  app.get(
    '/audits',
    {
      schema: {
        tags,
        summary: 'Audits and seedings, newest first',
        querystring: pageQuery({}),
        response: { 200: ref(AuditPageSchema) },
      },
    },
    async ({ query }) => pageJson(await store.audits.list(pageRequest(query)), auditJson),
  );

  app.get(
    '/audits/:id',
    { schema: { tags, summary: 'One audit or seeding', params: Id, response: { 200: ref(AuditSchema) } } },
    async ({ params }) => auditJson(await mustHave(params.id)),
  );

  app.get(
    '/audits/:id/messages',
    {
      schema: {
        tags,
        summary: 'The messages that never came, oldest first',
        params: Id,
        querystring: pageQuery({}),
        response: { 200: ref(AuditMessagePageSchema) },
      },
    },
    async ({ params, query }) => {
      await mustHave(params.id);
      return pageJson(await store.audits.messages(params.id, pageRequest(query)), auditMessageJson);
    },
  );

  app.post(
    '/audits/:id/cancel',
    {
      schema: {
        tags,
        summary: 'Ask Whapi for nothing more; what was found stays',
        params: Id,
        response: { 200: ref(AuditSchema) },
      },
    },
    async ({ params }) => auditJson(await store.audits.cancel(params.id)),
  );

  app.post(
    '/audits/:id/release',
    {
      schema: {
        tags,
        summary: 'Send the messages that never came, once, to targets that want late ones',
        params: Id,
        body: orNull(ref(AuditReleaseRequestSchema)),
        response: { 202: ref(AuditReleaseSchema) },
      },
    },
    async ({ params, body }, reply) => {
      const dryRun = body?.dry_run ?? false;
      const { messages, cameMeanwhile, deliveries } = await store.audits.release(
        params.id,
        body?.targets ?? null,
        dryRun,
      );
      if (deliveries > 0) onDeliveries();
      return await reply.code(202).send({ dry_run: dryRun, messages, came_meanwhile: cameMeanwhile, deliveries });
    },
  );
  await Promise.resolve();
};

/** @throws GatewayError GW_BAD_REQUEST */
function checkRange(since: number, until: number, now: number): void {
  if (since < 0) throw wrongTime('since', since, 'expected a time after 1970');
  if (until > now) throw wrongTime('until', until, 'expected a time in the past');
  if (since > until) throw wrongTime('since', since, `expected a time before "until" (${iso(until)})`);
}

function wrongTime(name: string, ms: number, expected: string): GatewayError {
  return invalidField(`/${name}`, `"${name}" is ${iso(ms)}; ${expected}`, { name: 'time' });
}
