import '@fastify/swagger'; // the type of `schema.hide`
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { TokenBucket } from '../token-bucket.js';
import { MINUTE_MS } from '../durations.js';
import type { Effects } from '../effects.js';
import { GatewayError } from '../errors.js';
import { inSlices } from '../event-loop.js';
import { decodeInSlices } from '../intake/decode.js';
import { WEBHOOK_HTTP_METHODS } from '../model.js';
import type { Channel, Sealed, Verdict, WebhookHttpMethod } from '../model.js';
import type { Observer } from '../observer.js';
import { hasComeThrough, VIA_HEADER, viaFrom } from '../via.js';
import { bearerOf, digestOf, isSecret } from './auth.js';
import type { NoteAuthentication, RefuseAuthentication } from './auth.js';
import { Throttle } from '../throttle.js';
import { declaredLength, readBody } from './pending.js';
import type { PendingWebhooks } from './pending.js';
import { answerError, asKnown, errorHandler, hasLeft } from './problem.js';
import { shownWebhookPath } from './shown-path.js';
import { parseWebhookPath } from './webhook-path.js';
import type { WebhookPath } from './webhook-path.js';
import type { Intake, Recorded } from '../store/intake.js';
import type { Registry } from '../store/registry.js';
import type { Traffic } from '../store/traffic.js';
import { placeOf } from '../secret-places.js';
import type { OpenSecret } from '../secret-places.js';

export interface IngressOptions {
  readonly store: {
    readonly intake: Intake;
    readonly registry: Pick<Registry, 'channel'>;
    readonly traffic: Pick<Traffic, 'countRefusal'>;
  };
  readonly openSecret: OpenSecret;
  /** The id of this gateway in `x-gateway-via`. */
  readonly gatewayId: string;
  readonly refuse: RefuseAuthentication;
  readonly onAuthenticated: NoteAuthentication;
  readonly maxBodyBytes: number;
  readonly pending: PendingWebhooks;
  /** Webhooks per channel; 0: no limit. */
  readonly ratePerSecond: number;
  readonly effects: Pick<Effects, 'now' | 'monotonic'>;
  /** Called after a commit that added deliveries. Takes over those that are leased. */
  readonly handOver: (recorded: Recorded) => void;
  /** Called after the commit of each webhook. */
  readonly onRecorded: Observer['onRecorded'];
  /** Called for each refused webhook of a channel. */
  readonly onRefused: Observer['onRefused'];
  /** Called after the commit of a webhook that carries the state of its channel. */
  readonly onChannelState: (channel: string, state: string) => void;
  readonly log: Pick<FastifyBaseLogger, 'error' | 'warn' | 'debug'>;
}

type Authenticate = (request: FastifyRequest, reply: FastifyReply) => Promise<void>;

interface Accepted {
  readonly items: number;
  readonly verdicts: Partial<Record<Verdict, number>>;
}

/** The parsed paths of requests to channels that exist. */
type PathsByRequest = WeakMap<FastifyRequest, WebhookPath>;

const REFUSALS_LOGGED_EVERY_MS = MINUTE_MS;
const ANY_BYTES = 'application/octet-stream';
const UNKNOWN_CHANNEL = digestOf('refusing an unknown channel takes as long as refusing a wrong secret');

/** `POST|PUT|PATCH|DELETE /webhooks/{channel}[/s/{secret}][/*]`: receives Whapi's webhooks. */
export async function ingress(app: FastifyInstance, options: IngressOptions): Promise<void> {
  const paths: PathsByRequest = new WeakMap();
  const recordRefusal = refusalRecorder(options);
  const answerOther = errorHandler(options.log, (request) =>
    shownWebhookPath(request.url, paths.get(request)?.channel ?? null),
  );

  /** Refusals of a known channel are counted, and logged at most once a minute: a flood must cost neither commits nor lines. */
  app.setErrorHandler<Error>((error, request, reply) => {
    const known = asKnown(error, request);
    const channel = paths.get(request)?.channel;
    if (channel === undefined || hasLeft(request) || known.code === 'GW_INTERNAL')
      return answerOther(error, request, reply);
    recordRefusal(channel, known);
    return answerError(known, reply);
  });

  // `accept` reads the body as bytes, whatever its content type: it must know how many bytes are in memory.
  app.removeAllContentTypeParsers();
  // A pattern for any type, because Fastify keeps in mind which types a pattern fits, but parses each for '*' again.
  app.addContentTypeParser(/^/, (_request, _payload, done) => done(null));

  const onRequest = authenticator(options, paths);
  const handler = acceptor(options, paths);
  for (const url of ['/webhooks/:channel', '/webhooks/:channel/*']) {
    app.route({
      url,
      method: [...WEBHOOK_HTTP_METHODS],
      schema: { hide: true }, // contract/webhooks.ts describes it
      onRequest,
      handler,
    });
  }
  await Promise.resolve();
}

/** Admits a request that carries its channel's secret. Notes its path in `paths` if the channel exists. */
function authenticator(options: IngressOptions, paths: PathsByRequest): Authenticate {
  const { store, refuse, effects, onAuthenticated } = options;
  const admit = rateLimiter(options);
  const digestFor = digestCache(options.openSecret);
  return async (request, reply) => {
    const { raw } = request;
    if (!isContentType(raw.headers['content-type'])) raw.headers['content-type'] = ANY_BYTES;
    const path = pathOf(request);
    const secret = path.secret ?? bearerOf(request);
    const isRight = (known: Channel | null): boolean =>
      isSecret(secret, known ? digestFor(known) : UNKNOWN_CHANNEL) && known !== null;
    const channel = await store.registry.channel(path.channel, isRight);
    if (channel) paths.set(request, path);
    if (!isRight(channel)) await refuse(request, reply);
    onAuthenticated(request);
    refuseLoop(request, options.gatewayId);
    admit(path.channel, effects.now(), reply);
  };
}

/** @throws GatewayError GW_LOOP */
function refuseLoop({ headers }: FastifyRequest, gatewayId: string): void {
  if (!hasComeThrough(viaFrom(headers[VIA_HEADER]), gatewayId)) return;
  throw new GatewayError(
    'GW_LOOP',
    'Loop: this gateway sent this webhook itself, because the URL of a target leads back here. Nothing was recorded. ' +
      "Set the target's URL to your bot (for example http://127.0.0.1:3000/hook).",
  );
}

/** I1: the only 200 comes after the commit. Any other status makes Whapi send the webhook again. */
function acceptor(options: IngressOptions, paths: PathsByRequest): (request: FastifyRequest) => Promise<Accepted> {
  const { store, effects, handOver, onRecorded, onChannelState, maxBodyBytes, pending } = options;

  const record = async (request: FastifyRequest, body: Buffer): Promise<Accepted> => {
    const { channel, suffix } = paths.get(request) ?? pathOf(request);
    const method = request.method as WebhookHttpMethod;
    const document = await inSlices(decodeInSlices(body, { method, suffix }));
    const via = viaFrom(request.headers[VIA_HEADER]);
    const since = effects.monotonic();
    const recorded = await store.intake.record(
      { channel, method, suffix, contentType: contentTypeOf(request), body, via },
      document,
    );
    if (recorded.deliveries > 0) handOver(recorded);
    onRecorded({ channel, event: document.event, recorded, commitMs: effects.monotonic() - since });
    if (document.channelState !== null) onChannelState(channel, document.channelState);
    return { items: recorded.verdicts.length, verdicts: tally(recorded) };
  };

  return async (request) => {
    const share = pending.admit(Math.min(declaredLength(request.raw) ?? 0, maxBodyBytes));
    try {
      return await record(request, await readBody(request.raw, maxBodyBytes, share));
    } finally {
      share.free();
    }
  };
}

function refusalRecorder({
  store,
  log,
  effects,
  onRefused,
}: IngressOptions): (channel: string, error: GatewayError) => void {
  const throttle = new Throttle(REFUSALS_LOGGED_EVERY_MS, effects);
  return (channel, error) => {
    const { code, message } = error;
    onRefused(channel, error);
    store.traffic.countRefusal(channel, code);
    const refused = throttle.count(`${channel} ${code}`);
    if (refused !== null) log.warn({ channel, code, refused, detail: message }, 'webhook refused');
  };
}

function pathOf({ raw }: FastifyRequest): WebhookPath {
  const path = parseWebhookPath(raw.url ?? '');
  if (!path)
    throw new GatewayError(
      'GW_NOT_FOUND',
      'Invalid webhook URL: expected /webhooks/<channel>, for example /webhooks/shop.',
    );
  return path;
}

/** Whether Fastify accepts this content type. It refuses a request with any other before it calls a parser. */
function isContentType(text: string | undefined): boolean {
  return text === undefined || /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+ *(;|$)/.test(text);
}

/** The content type as received. `authenticate` replaces an invalid one in the parsed headers. */
function contentTypeOf({ raw }: FastifyRequest): string | null {
  const held = raw.headers['content-type'];
  if (held !== ANY_BYTES) return held ?? null;
  const { rawHeaders } = raw;
  const name = rawHeaders.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === 'content-type');
  return rawHeaders[name + 1] ?? null;
}

function tally({ verdicts }: Recorded): Partial<Record<Verdict, number>> {
  const counts: Partial<Record<Verdict, number>> = {};
  for (const verdict of verdicts) counts[verdict] = (counts[verdict] ?? 0) + 1;
  return counts;
}

/** Caches digests: decrypting a secret for each webhook would cost more than the rest of the check. */
function digestCache(openSecret: OpenSecret): (channel: Channel) => Buffer {
  const digests = new Map<string, { sealed: Sealed; digest: Buffer }>();
  return ({ name, webhookSecret }) => {
    const held = digests.get(name);
    if (held?.sealed === webhookSecret) return held.digest;
    const digest = digestOf(openSecret(webhookSecret, placeOf.webhookSecret({ name })));
    digests.set(name, { sealed: webhookSecret, digest });
    return digest;
  };
}

/** Token bucket per channel, with a burst of one second. @throws GatewayError GW_RATE_LIMITED */
function rateLimiter({ ratePerSecond }: IngressOptions): (channel: string, now: number, reply: FastifyReply) => void {
  const buckets = new Map<string, TokenBucket>();
  return (channel, now, reply) => {
    if (ratePerSecond === 0) return;
    const bucket = buckets.get(channel) ?? new TokenBucket(ratePerSecond, 2 * ratePerSecond, now);
    buckets.set(channel, bucket);
    if (bucket.available(now) < 1) {
      reply.header('retry-after', Math.ceil(bucket.waitMs(now) / 1000));
      throw new GatewayError(
        'GW_RATE_LIMITED',
        `Channel "${channel}" sends more than ${ratePerSecond} webhooks per second (WEBHOOK_RATE_PER_SECOND).`,
      );
    }
    bucket.take(1);
  };
}
