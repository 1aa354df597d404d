import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Explanation as ExplanationJson, Message } from '../contract/messages.js';
import { explainMessage, listMessages, releaseMessage, releaseMessages } from '../contract/operations/items.js';
import { GatewayError } from '../errors.js';
import type { Effects } from '../effects.js';
import type { Breaker } from '../model.js';
import type { App } from './app.js';
import { releaseMany } from './bulk.js';
import { itemFilterOf } from './item-filter.js';
import { evidenceJson, itemFieldsJson, itemPlaceJson } from './item-json.js';
import { attemptJson, deliveryJson, iso, isoOrNull, pageJson, pageRequest, resyncMessageJson } from './schemas.js';
import { timelineOf } from './timeline.js';
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
  /** Called after deliveries were made. */
  readonly onDeliveries: () => void;
  /** Called after a job was made. */
  readonly onJob: () => void;
}

/** `/v1/messages`. */
export const messageRoutes: FastifyPluginAsyncTypebox<MessageRoutesOptions> = async (app, options) => {
  listRoute(app, options);
  explainRoute(app, options);
  releaseRoutes(app, options);
  await Promise.resolve();
};

function listRoute(app: App, { store }: MessageRoutesOptions): void {
  app.get('/messages', { schema: listMessages }, async ({ query }) =>
    pageJson(await store.items.messages(itemFilterOf(query), pageRequest(query)), messageJson),
  );
}

function explainRoute(app: App, { store, breakers, effects }: MessageRoutesOptions): void {
  /** @throws GatewayError GW_NOT_FOUND: nothing is known of the message, or the channel does not exist */
  const explained = async (channel: string, messageId: string): Promise<Explanation> => {
    const found = await store.items.explain(channel, messageId);
    if (found) return found;
    const names = (await store.registry.channels()).map(({ name }) => name);
    if (!names.includes(channel)) throw new GatewayError('GW_NOT_FOUND', channelsInstead(channel, names));
    throw new GatewayError('GW_NOT_FOUND', `No message "${messageId}" in channel "${channel}".`);
  };

  const waitingOf = async (delivery: ExplainedDelivery): Promise<string | null> => {
    const target = await store.registry.target(delivery.target);
    return whyWaiting(delivery, { target, breaker: breakers.of(delivery.target), now: effects.now() });
  };

  app.get('/messages/:channel/:message_id', { schema: explainMessage }, async ({ params }) => {
    const found = await explained(params.channel, params.message_id);
    return explanationJson(found, await Promise.all(found.deliveries.map(waitingOf)));
  });
}

function releaseRoutes(app: App, { store, onDeliveries, onJob }: MessageRoutesOptions): void {
  app.post('/messages/:channel/:message_id/release', { schema: releaseMessage }, async ({ params, body }, reply) => {
    const deliveries = await store.outbox.release(params.channel, params.message_id, body?.targets ?? null);
    onDeliveries();
    return await reply.code(202).send({ deliveries: [...deliveries] });
  });

  app.post('/messages/release', { schema: releaseMessages }, async ({ body }, reply) => {
    const { dry_run, expected_count, ...given } = body;
    const filter = { ...itemFilterOf(given), messagesOnly: true };
    return await reply.code(202).send(await releaseMany(store, filter, { dry_run, expected_count }, onJob));
  });
}

const MOST_NAMES = 20;

function messageJson(view: MessageView): Message {
  return { ...itemFieldsJson(view), message_id: view.messageId, evidence: evidenceJson(view) };
}

function channelsInstead(name: string, names: readonly string[]): string {
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
    claim: found.claim && {
      owner: found.claim.owner,
      claimed_at: iso(found.claim.claimedAt),
      expires_at: iso(found.claim.expiresAt),
    },
    deliveries: found.deliveries.map((delivery, index) => ({
      ...deliveryJson(delivery),
      log: delivery.log.map(attemptJson),
      waiting: waiting[index] ?? null,
    })),
  };
}
