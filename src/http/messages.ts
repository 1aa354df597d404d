import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { ReleaseRequestSchema, ReleaseSchema } from '../contract/items.js';
import { ReleaseResultSchema } from '../contract/jobs.js';
import {
  ExplanationSchema,
  MessagePageSchema,
  MessageParams,
  MessageQuery,
  MessageReleaseRequestSchema,
} from '../contract/messages.js';
import type { Explanation as ExplanationJson, Message, Step } from '../contract/messages.js';
import { orNull, ref } from '../contract/schema.js';
import { GatewayError } from '../errors.js';
import type { Effects } from '../effects.js';
import type { Breaker } from '../model.js';
import { itemFieldsJson, itemPlaceJson } from './item-json.js';
import { releaseMany } from './jobs.js';
import {
  attemptJson,
  deliveryJson,
  iso,
  isoOrNull,
  pageJson,
  pageRequest,
  resyncMessageJson,
  timesOf,
} from './schemas.js';
import { whyWaiting } from './waiting.js';
import type { ExplainedDelivery } from '../store/deliveries.js';
import type { Explanation, Items, MessageView } from '../store/items.js';
import type { Jobs } from '../store/jobs.js';
import type { Outbox } from '../store/outbox.js';
import type { Registry } from '../store/registry.js';

export interface MessageRoutesOptions {
  readonly store: {
    readonly items: Pick<Items, 'messages' | 'explain'>;
    readonly registry: Pick<Registry, 'target' | 'channels'>;
    readonly outbox: Pick<Outbox, 'release'>;
    readonly jobs: Pick<Jobs, 'survey' | 'add'>;
  };
  readonly breakers: { of(targetId: string): Breaker };
  readonly effects: Pick<Effects, 'now'>;
  /** Told after deliveries were made. */
  readonly onDeliveries: () => void;
  /** Told after a job was made. */
  readonly onJob: () => void;
}

const tags = ['messages'];

/** `/v1/messages`. */
export const messageRoutes: FastifyPluginAsyncTypebox<MessageRoutesOptions> = async (
  app,
  { store, breakers, effects, onDeliveries, onJob },
) => {
  /** @throws GatewayError GW_NOT_FOUND: nothing is known of the message, or the channel does not exist */
  const explained = async (channel: string, messageId: string): Promise<Explanation> => {
    const found = await store.items.explain(channel, messageId);
    if (found) return found;
    const names = (await store.registry.channels()).map(({ name }) => name);
    if (!names.includes(channel)) throw new GatewayError('GW_NOT_FOUND', noSuchChannel(channel, names));
    throw new GatewayError('GW_NOT_FOUND', `No message "${messageId}" in channel "${channel}".`);
  };

  const waitingOf = async (delivery: ExplainedDelivery): Promise<string | null> => {
    const target = await store.registry.target(delivery.target);
    return whyWaiting(delivery, { target, breaker: breakers.of(delivery.target), now: effects.now() });
  };

  app.get(
    '/messages',
    {
      schema: {
        tags,
        summary: 'Sightings of messages, newest first',
        querystring: MessageQuery,
        response: { 200: ref(MessagePageSchema) },
      },
    },
    async ({ query }) => pageJson(await store.items.messages(query, pageRequest(query)), messageJson),
  );

  app.get(
    '/messages/:channel/:message_id',
    {
      schema: {
        tags,
        summary:
          'Everything that happened to a message: sightings with verdict and rule, resyncs, deliveries and attempts',
        params: MessageParams,
        response: { 200: ref(ExplanationSchema) },
      },
    },
    async ({ params }) => {
      const found = await explained(params.channel, params.message_id);
      return explanationJson(found, await Promise.all(found.deliveries.map(waitingOf)));
    },
  );

  app.post(
    '/messages/:channel/:message_id/release',
    {
      schema: {
        tags,
        summary: 'Send a held message after all',
        params: MessageParams,
        body: orNull(ref(ReleaseRequestSchema)),
        response: { 202: ref(ReleaseSchema) },
      },
    },
    async ({ params, body }, reply) => {
      const deliveries = await store.outbox.release(params.channel, params.message_id, body?.targets ?? null);
      onDeliveries();
      return await reply.code(202).send({ deliveries: [...deliveries] });
    },
  );

  app.post(
    '/messages/release',
    {
      schema: {
        tags,
        summary: 'Send many held messages after all: a job, or with dry_run what it would send',
        body: ref(MessageReleaseRequestSchema),
        response: { 202: ref(ReleaseResultSchema) },
      },
    },
    async ({ body }, reply) => {
      const { dry_run, expected_count, ...given } = body;
      const filter = { ...given, ...timesOf(given), messagesOnly: true };
      return await reply.code(202).send(await releaseMany(store, filter, { dry_run, expected_count }, onJob));
    },
  );
  await Promise.resolve();
};

const MOST_NAMES = 20;

function messageJson(view: MessageView): Message {
  return { ...itemFieldsJson(view), message_id: view.messageId };
}

function noSuchChannel(name: string, names: readonly string[]): string {
  const known = names.slice(0, MOST_NAMES).join(', ') + (names.length > MOST_NAMES ? ' …' : '');
  return `There is no channel "${name}". ${names.length === 0 ? 'Add it with "channels add".' : `Channels: ${known}.`}`;
}

/** `waiting`: why each delivery waits, in their order. */
function explanationJson(found: Explanation, waiting: readonly (string | null)[]): ExplanationJson {
  return {
    channel: found.channel,
    message_id: found.messageId,
    ledger: found.ledger && {
      first_seen_at: isoOrNull(found.ledger.firstSeenAt),
      last_seen_at: iso(found.ledger.lastSeenAt),
      rule: found.ledger.rule,
      seeded_at: isoOrNull(found.ledger.seededAt),
    },
    timeline: timelineOf(found),
    sightings: found.sightings.map((sighting) => ({ ...messageJson(sighting), ...itemPlaceJson(sighting) })),
    resyncs: found.resyncs.map(resyncMessageJson),
    audits: found.audits.map(({ auditId, foundAt, releasedAt }) => ({
      audit: auditId,
      found_at: iso(foundAt),
      released_at: isoOrNull(releasedAt),
    })),
    deliveries: found.deliveries.map((delivery, index) => ({
      ...deliveryJson(delivery),
      log: delivery.log.map(attemptJson),
      waiting: waiting[index] ?? null,
    })),
  };
}

type TimedStep = Step & { ms: number };

/** What a person reads first: one line for each thing that happened, oldest first. */
function timelineOf(found: Explanation): Step[] {
  const steps: TimedStep[] = [];
  const add = (ms: number | null, kind: TimedStep['kind'], text: string): void => {
    if (ms !== null) steps.push({ ms, at: iso(ms), kind, text });
  };
  for (const { seenAt, event, carrier, verdict, rule, held, auditId } of found.sightings) {
    const how =
      auditId === null ? `came in as ${carrier} of ${event}` : `released by audit ${auditId}, not by a webhook`;
    add(seenAt, 'sighting', `${how}: ${verdict} by rule ${rule}${held ? ', held' : ''}`);
  }
  add(found.ledger?.seededAt ?? null, 'seeded', 'met in the list of Whapi by a seeding: known an hour later');
  for (const { auditId, foundAt } of found.audits) {
    add(foundAt, 'found', `audit ${auditId} found it at Whapi: no webhook had carried it`);
  }
  for (const { resyncId, registeredAt, askedAt, restoredAt, calls, error } of found.resyncs) {
    add(registeredAt, 'registered', `registered by resync ${resyncId}`);
    add(askedAt, 'asked', `asked Whapi to bring it back (call ${calls})${error === null ? '' : `: ${error}`}`);
    add(restoredAt, 'restored', `restored by resync ${resyncId}`);
  }
  for (const { id, target, createdAt, released, log } of found.deliveries) {
    if (released) add(createdAt, 'release', `released to target ${target} by hand: delivery ${id}`);
    else add(createdAt, 'delivery', `delivery ${id} to target ${target} recorded`);
    for (const { startedAt, status, error } of log) {
      add(startedAt, 'attempt', `delivery ${id} sent: ${error ?? `the target answered ${status ?? '?'}`}`);
    }
  }
  return steps.sort((a, b) => a.ms - b.ms).map(({ at, kind, text }) => ({ at, kind, text }));
}
