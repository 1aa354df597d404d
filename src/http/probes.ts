import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger } from 'fastify';
import { cancelProbe, getProbe, startProbe } from '../contract/operations/probes.js';
import type { Probe as ProbeJson } from '../contract/probes.js';
import { neverProbed, noSuchChannel } from '../errors.js';
import { VERSION } from '../outgoing.js';
import { findingsOf, summaryOf } from '../probe/findings.js';
import { DEFAULT_WATCH_SECONDS, hasFailed } from '../probe/policy.js';
import { reportOf } from '../probe/report.js';
import type { ProbeWorker } from '../probe/worker.js';
import type { ProbeCall, ProbeCopy, Probes, ProbeView } from '../store/probes.js';
import type { Registry } from '../store/registry.js';
import { iso, isoOrNull } from './schemas.js';

export interface ProbeRoutesOptions {
  readonly store: { readonly probes: Pick<Probes, 'of'>; readonly registry: Pick<Registry, 'channel'> };
  readonly probes: Pick<ProbeWorker, 'begin' | 'cancel'>;
  readonly log: Pick<FastifyBaseLogger, 'info'>;
}

/** `/v1/channels/{name}/probe`. */
export const probeRoutes: FastifyPluginAsyncTypebox<ProbeRoutesOptions> = async (app, { store, probes, log }) => {
  app.post('/channels/:name/probe', { schema: startProbe }, async ({ params: { name }, body }, reply) => {
    const { message_id: messageId, watch_seconds: watchSeconds = DEFAULT_WATCH_SECONDS } = body;
    if (!(await store.registry.channel(name))) throw noSuchChannel(name);
    const probe = await probes.begin(name, messageId, watchSeconds);
    log.info({ channel: name, watch_seconds: watchSeconds }, 'probe started');
    return await reply.code(202).send(probeJson(probe));
  });

  app.get('/channels/:name/probe', { schema: getProbe }, async ({ params: { name } }) => {
    if (!(await store.registry.channel(name))) throw noSuchChannel(name);
    const probe = await store.probes.of(name);
    if (probe) return probeJson(probe);
    throw neverProbed(name);
  });

  app.delete('/channels/:name/probe', { schema: cancelProbe }, async ({ params: { name } }) => {
    if (!(await store.registry.channel(name))) throw noSuchChannel(name);
    return probeJson(await probes.cancel(name));
  });
  await Promise.resolve();
};

function probeJson(probe: ProbeView): ProbeJson {
  const { channel, messageId, startedAt, finishedAt, facts } = probe;
  return {
    ...{ channel, message_id: messageId },
    status: statusOf(probe),
    summary: summaryOf(probe),
    started_at: iso(startedAt),
    watch_until: iso(facts.watchUntil),
    finished_at: isoOrNull(finishedAt),
    plain_get_before: facts.before && callJson(facts.before),
    call: facts.call && callJson(facts.call),
    plain_get: { count: facts.gets, found_at: isoOrNull(facts.foundAt) },
    compared_with: facts.originalFrom,
    webhooks: facts.copies.map((copy) => copyJson(copy, facts.call?.at ?? startedAt)),
    findings: findingsOf(probe),
    report: reportOf(probe, VERSION),
  };
}

function statusOf({ finishedAt, facts }: ProbeView): ProbeJson['status'] {
  if (finishedAt === null) return 'running';
  if (facts.isCancelled) return 'cancelled';
  return hasFailed(facts) ? 'failed' : 'finished';
}

function callJson({ at, tookMs, status, outcome, reason }: ProbeCall) {
  return { at: iso(at), duration_ms: tookMs, status, outcome, reason };
}

function copyJson(copy: ProbeCopy, askedAt: number): ProbeJson['webhooks'][number] {
  const { webhookId, position, receivedAt, event, carrier, verdict, rule, deliveries } = copy;
  return {
    ...{ webhook: webhookId, position, received_at: iso(receivedAt), after_ms: receivedAt - askedAt },
    ...{ event, carrier, verdict, rule, deliveries },
    ...{ same_id: copy.id, same_chat: copy.chatId, same_time: copy.timestamp, same_content: copy.content },
    other_fields: [...copy.otherFields],
  };
}
