import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  cancelAudit,
  createAudit,
  getAudit,
  listAuditMessages,
  listAudits,
  releaseAudit,
} from '../contract/operations/audits.js';
import { seedChannel } from '../contract/operations/channels.js';
import type { Effects } from '../effects.js';
import { GatewayError, noSuchChannel } from '../errors.js';
import type { AuditKind } from '../model.js';
import type { App } from './app.js';
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
  /** Called after an audit was committed. */
  readonly onAudit: () => void;
  /** Called after deliveries were made. */
  readonly onDeliveries: () => void;
}

/** `/v1/audits`, and `/v1/channels/{name}/seed`, which starts one of another kind. */
export const auditRoutes: FastifyPluginAsyncTypebox<AuditRoutesOptions> = async (app, options) => {
  startRoutes(app, options);
  readRoutes(app, options);
  cancelRoute(app, options);
  releaseRoute(app, options);
  await Promise.resolve();
};

function startRoutes(app: App, { store, effects, ledgerRetentionMs, onAudit }: AuditRoutesOptions): void {
  /** Begins with the range in milliseconds. */
  const begin = async (kind: AuditKind, channelName: string, since: number, until: number): Promise<AuditView> => {
    checkRange(since, until, effects.now());
    const channel = await store.registry.channel(channelName);
    if (!channel) throw noSuchChannel(channelName);
    const memorySince = Math.max(channel.createdAt, effects.now() - ledgerRetentionMs);
    const seconds = { since: Math.floor(since / 1000), until: Math.floor(until / 1000) };
    const audit = await store.audits.begin({ kind, channel: channelName, ...seconds, memorySince });
    onAudit();
    return audit;
  };

  app.post('/audits', { schema: createAudit }, async ({ body }, reply) => {
    const { since = 0, until = effects.now() - STILL_ON_ITS_WAY_MS } = timesOf(body);
    const audit = await begin('audit', body.channel, since, until);
    return await reply.code(202).send(auditJson(audit));
  });

  app.post('/channels/:name/seed', { schema: seedChannel }, async ({ params, body }, reply) => {
    const { since, until = effects.now() } = timesOf(body ?? {});
    const audit = await begin('seed', params.name, since ?? effects.now() - ledgerRetentionMs, until);
    return await reply.code(202).send(auditJson(audit));
  });
}

function readRoutes(app: App, { store }: AuditRoutesOptions): void {
  const mustHave = async (id: string): Promise<AuditView> => {
    const audit = await store.audits.get(id);
    if (!audit) throw new GatewayError('GW_NOT_FOUND', `There is no audit "${id}".`);
    return audit;
  };

  app.get('/audits', { schema: listAudits }, async ({ query }) =>
    pageJson(await store.audits.list(pageRequest(query), query), auditJson),
  );

  app.get('/audits/:id', { schema: getAudit }, async ({ params }) => auditJson(await mustHave(params.id)));

  app.get('/audits/:id/messages', { schema: listAuditMessages }, async ({ params, query }) => {
    await mustHave(params.id);
    return pageJson(await store.audits.messages(params.id, pageRequest(query)), auditMessageJson);
  });
}

function cancelRoute(app: App, { store }: AuditRoutesOptions): void {
  app.post('/audits/:id/cancel', { schema: cancelAudit }, async ({ params }) =>
    auditJson(await store.audits.cancel(params.id)),
  );
}

function releaseRoute(app: App, { store, onDeliveries }: AuditRoutesOptions): void {
  app.post('/audits/:id/release', { schema: releaseAudit }, async ({ params, body }, reply) => {
    const { targets = null, dry_run: dryRun = false } = body ?? {};
    const { messages, cameMeanwhile, deliveries } = await store.audits.release(params.id, targets, dryRun);
    if (deliveries > 0) onDeliveries();
    return await reply.code(202).send({ dry_run: dryRun, messages, came_meanwhile: cameMeanwhile, deliveries });
  });
}

/** @throws GatewayError GW_BAD_REQUEST */
function checkRange(since: number, until: number, now: number): void {
  if (since < 0) throw wrongTime('since', since, 'expected a time after 1970');
  if (until > now) throw wrongTime('until', until, 'expected a time in the past');
  if (since > until) throw wrongTime('since', since, `expected a time before "until" (${iso(until)})`);
}

function wrongTime(name: string, ms: number, expected: string): GatewayError {
  return invalidField(`/${name}`, `"${name}" is ${iso(ms)}; ${expected}`, { name: 'time' });
}
