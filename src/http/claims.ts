import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { DEFAULT_CLAIM_SECONDS } from '../contract/claims.js';
import { claimMessage, releaseClaim } from '../contract/operations/claims.js';
import { GatewayError } from '../errors.js';
import type { ClaimResult, Metrics } from '../metrics.js';
import type { OpenSecret } from '../secret-places.js';
import type { MessageClaims } from '../store/message-claims.js';
import type { Registry } from '../store/registry.js';
import type { NoteAuthentication, RefuseAuthentication } from './auth.js';
import { callerLimit, tokenOf, UNKNOWN_TOKEN } from './channel-access.js';
import { printableAnswers } from './printable-answers.js';
import { iso } from './schemas.js';
import { channelsByToken } from './token-channels.js';

export interface ClaimRoutesOptions {
  readonly store: { readonly claims: MessageClaims; readonly registry: Pick<Registry, 'channel' | 'latestChannels'> };
  readonly openSecret: OpenSecret;
  readonly refuse: RefuseAuthentication;
  readonly onAuthenticated: NoteAuthentication;
  /** Requests per channel; 0: no limit. */
  readonly ratePerMinute: number;
  readonly metrics: Pick<Metrics, 'onClaim'>;
}

const MOST_BODY_BYTES = 16 * 1024;

/** `/claims/{message_id}`: for bots, with the Whapi token of their channel, as `/whapi`. */
export const claimRoutes: FastifyPluginAsyncTypebox<ClaimRoutesOptions> = async (app, options) => {
  const { store, metrics } = options;
  const channelOf = authenticator(app, options);
  printableAnswers(app);

  /** Counts how a claim ends. */
  const counted = async <T>(
    channel: string,
    claiming: Promise<T>,
    resultOf: (done: T) => ClaimResult | null,
  ): Promise<T> => {
    try {
      const done = await claiming;
      const result = resultOf(done);
      if (result !== null) metrics.onClaim(channel, result);
      return done;
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'GW_CLAIMED') metrics.onClaim(channel, 'refused');
      throw error;
    }
  };

  const route = { schema: claimMessage, bodyLimit: MOST_BODY_BYTES };
  app.post('/claims/:message_id', route, async (request, reply) => {
    const { owner, ttl_seconds: ttlSeconds = DEFAULT_CLAIM_SECONDS } = request.body;
    const channel = channelOf(request);
    const messageId = request.params.message_id;
    const { claimedAt, expiresAt } = await counted(
      channel,
      store.claims.claim({ channel, messageId, owner, ttlSeconds }),
      ({ isRenewal }) => (isRenewal ? 'renewed' : 'granted'),
    );
    const times = { claimed_at: iso(claimedAt), expires_at: iso(expiresAt) };
    return await reply.code(201).send({ channel, message_id: messageId, owner, ...times });
  });

  app.delete('/claims/:message_id', { schema: releaseClaim }, async (request, reply) => {
    const channel = channelOf(request);
    const { owner } = request.query;
    const releasing = store.claims.release({ channel, messageId: request.params.message_id, owner });
    await counted(channel, releasing, (wasHeld) => (wasHeld ? 'released' : null));
    return await reply.code(204).send(null);
  });
  await Promise.resolve();
};

/** Admits requests with the token of a channel. Returns how to get the name of that channel. */
function authenticator(
  app: Parameters<typeof claimRoutes>[0],
  { store, openSecret, refuse, onAuthenticated, ratePerMinute }: ClaimRoutesOptions,
): (request: FastifyRequest) => string {
  const channels = new WeakMap<object, string>();
  const channelOf = channelsByToken(store, openSecret);
  const limit = callerLimit(app, ratePerMinute);
  app.addHook('onRequest', async (request, reply) => {
    const { token: given = [] } = request.query as { token?: string | string[] };
    const token = tokenOf(
      request,
      [given].flat().filter((each) => each !== ''),
    );
    const channel = token === null ? null : await channelOf(token);
    if (!channel) return await refuse(request, reply, UNKNOWN_TOKEN);
    onAuthenticated(request);
    await limit(request, reply, `channel "${channel.name}"`);
    channels.set(request.raw, channel.name);
    // Clients send the same headers with a DELETE that has no body.
    if (request.method === 'DELETE') delete request.raw.headers['content-type'];
  });
  return ({ raw }) => {
    const channel = channels.get(raw);
    if (channel === undefined) throw new GatewayError('GW_INTERNAL', 'The request was not authenticated.');
    return channel;
  };
}
