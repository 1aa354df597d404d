import rateLimit from '@fastify/rate-limit';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Ajv } from 'ajv';
import Fastify from 'fastify';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Config } from '../config.js';
import type { Connector } from '../connect/connector.js';
import type { Doctor } from '../doctor/doctor.js';
import type { Effects } from '../effects.js';
import { GatewayError, StartError } from '../errors.js';
import type { Target, TargetTest } from '../model.js';
import type { Encryption } from '../encryption.js';
import { auditRoutes } from './audits.js';
import { authenticationGuard, requireToken } from './auth.js';
import { channelRoutes } from './channels.js';
import { connectRoutes } from './connect.js';
import { deliveryRoutes } from './deliveries.js';
import { doctorRoutes } from './doctor.js';
import { ingress } from './ingress.js';
import { itemRoutes } from './items.js';
import { jobRoutes } from './jobs.js';
import { messageRoutes } from './messages.js';
import { describeRoutes } from './openapi.js';
import { operationRoutes } from './operation.js';
import { answerClientError, errorHandler, REQUEST_TIMEOUT } from './problem.js';
import { resyncRoutes } from './resyncs.js';
import type { ResyncRoutesOptions } from './resyncs.js';
import { targetRoutes } from './targets.js';
import type { BreakersOfTargets } from './targets.js';
import { maskedUrl } from './webhook-path.js';
import { whapiProxy } from './whapi-proxy.js';
import type { WhapiResyncs } from './whapi-proxy.js';
import { DAY_MS } from '../durations.js';
import type { Store } from '../store/store.js';

/** Wakes the workers after a commit that may have given them work. */
export interface ServerHints {
  readonly onDeliveries: () => void;
  readonly onRegistered: () => void;
  readonly onJob: () => void;
  readonly onAudit: () => void;
  readonly onChannelChanged: () => void;
  readonly onChannelState: (channel: string, state: string) => void;
}

export interface ServerOptions extends ServerHints {
  readonly config: Config;
  readonly store: Store;
  readonly encryption: Encryption;
  /** What this gateway calls itself in `x-gateway-via`. */
  readonly gatewayId: string;
  readonly adminToken: string;
  readonly effects: Effects;
  readonly log: Pick<FastifyBaseLogger, 'error' | 'warn' | 'info' | 'debug'>;
  readonly progressOf: ResyncRoutesOptions['progressOf'];
  /** How long Whapi may take to begin its answer to a call that passes through. */
  readonly whapiTimeoutMs: number;
  /** What the calls that pass through to Whapi bring about. */
  readonly whapiResyncs: WhapiResyncs;
  readonly whyRefused: (url: string) => string | null;
  readonly sendTest: (target: Target) => Promise<TargetTest>;
  readonly breakers: BreakersOfTargets;
  readonly connector: Connector;
  readonly doctor: Doctor;
  readonly timeouts: ServerTimeouts;
}

/** How long a client may take. */
export interface ServerTimeouts {
  /** For the head of a request, from the connection or the answer before on. */
  readonly headersMs: number;
  /** For a whole request. */
  readonly requestMs: number;
  /** Without a byte in either direction, an answer that nobody reads included: longer than any answer of ours takes. */
  readonly idleMs: number;
}

export const SERVER_TIMEOUTS: ServerTimeouts = { headersMs: 10_000, requestMs: 60_000, idleMs: 120_000 };

/** What is beyond is closed when it connects. */
const MOST_CONNECTIONS = 2000;

/** Ids of messages are longer than the router's default of 100 characters. */
const LONGEST_PATH_PART = 2048;
const CLOSE_IDLE_EVERY_MS = 50;
const CHECK_CONNECTIONS_EVERY_MS = 2000;

export interface HttpServer {
  /** Where it listens. */
  readonly url: string;
  /** Stops accepting and answers what is under way; what a client drags out past `graceMs` is cut off. */
  close(graceMs: number): Promise<void>;
}

/** The HTTP side, listening: webhooks in, `/v1`, operation. @throws StartError GW_PORT_TAKEN, GW_CANNOT_LISTEN */
export async function startServer(options: ServerOptions): Promise<HttpServer> {
  const app = await buildServer(options);
  const url = await listen(app, options.config);
  return {
    url,
    close: async (graceMs) => {
      const closed = new AbortController();
      const closing = app.close().then(() => closed.abort());
      const deadline = options.effects.now() + graceMs;
      while (!closed.signal.aborted && options.effects.now() < deadline) {
        app.server.closeIdleConnections(); // those, too, whose last answer has gone out since
        await options.effects.sleep(CLOSE_IDLE_EVERY_MS, closed.signal);
      }
      app.server.closeAllConnections();
      await closing;
    },
  };
}

async function listen(app: FastifyInstance, { host, port }: Config): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') {
      throw new StartError('GW_CANNOT_LISTEN', `Cannot listen on ${host}, port ${port}: ${(error as Error).message}`);
    }
    throw new StartError('GW_PORT_TAKEN', `Port ${port} on ${host} is taken by another process. Stop it, or set PORT.`);
  }
  const { port: taken } = app.server.address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${taken}`;
}

async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const { config, store, encryption, effects, log, timeouts } = options;
  const uploads = new WeakSet<Duplex>();
  const app = Fastify({
    // No logger of Fastify's own: it would watch the end of every answer, which costs a tenth of a webhook's time, and
    // would write whole URLs, which may hold secrets.
    logger: false,
    routerOptions: { maxParamLength: LONGEST_PATH_PART },
    forceCloseConnections: 'idle',
    requestTimeout: timeouts.requestMs,
    connectionTimeout: timeouts.idleMs,
    http: {
      headersTimeout: timeouts.headersMs,
      connectionsCheckingInterval: Math.min(CHECK_CONNECTIONS_EVERY_MS, timeouts.headersMs),
    },
    clientErrorHandler: (error, socket) => {
      // The time for a whole request is not for uploads to Whapi, which may be large: they are given up when silent.
      if (error.code !== REQUEST_TIMEOUT || !uploads.has(socket)) answerClientError(error, socket);
    },
    frameworkErrors: (error, request, reply) => {
      errorHandler(log)(error, request, reply);
    },
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.server.maxConnections = MOST_CONNECTIONS;

  app.setValidatorCompiler(validators());
  app.setErrorHandler(errorHandler(log));
  app.setNotFoundHandler(({ method, url }) => {
    throw new GatewayError('GW_NOT_FOUND', `There is no ${method} ${maskedUrl(url)}.`);
  });
  await describeRoutes(app);
  await app.register(rateLimit, { global: false });
  const refuse = authenticationGuard(app);

  await app.register(ingress, {
    store,
    openSecret: encryption.open,
    gatewayId: options.gatewayId,
    refuse,
    maxBodyBytes: config.maxBodyBytes,
    maxPendingBytes: config.maxPendingBytes,
    ratePerSecond: config.webhookRatePerSecond,
    effects,
    onDeliveries: options.onDeliveries,
    onChannelState: options.onChannelState,
    log,
  });
  await app.register(operationRoutes, { store });
  await app.register(whapiProxy, {
    store,
    openSecret: encryption.open,
    refuse,
    ratePerMinute: config.apiRatePerMinute,
    timeoutMs: options.whapiTimeoutMs,
    uploads,
    publicUrl: config.publicUrl,
    resyncs: options.whapiResyncs,
    log,
  });
  await app.register(
    async (v1) => {
      v1.addHook('onRequest', requireToken(options.adminToken, refuse));
      v1.addHook('onRoute', (route) => {
        if (route.schema) route.schema.security = [{ admin: [] }];
      });
      if (config.apiRatePerMinute > 0) await v1.register(rateLimit, apiRate(config.apiRatePerMinute));
      const { whapiBaseUrl, publicUrl } = config;
      const onChanged = options.onChannelChanged;
      await v1.register(channelRoutes, { store, encryption, whapiBaseUrl, publicUrl, effects, onChanged, log });
      await v1.register(connectRoutes, { store, connector: options.connector });
      await v1.register(targetRoutes, {
        store,
        encryption,
        effects,
        whyRefused: options.whyRefused,
        sendTest: options.sendTest,
        onDeliveries: options.onDeliveries,
        breakers: options.breakers,
        log,
      });
      const { onRegistered, progressOf } = options;
      await v1.register(resyncRoutes, { store, onRegistered, progressOf });
      const { onDeliveries, onJob } = options;
      await v1.register(itemRoutes, { store, onDeliveries, onJob });
      await v1.register(messageRoutes, { store, breakers: options.breakers, effects, onDeliveries, onJob });
      await v1.register(deliveryRoutes, { store, onDeliveries, onJob });
      await v1.register(auditRoutes, {
        store,
        ledgerRetentionMs: config.ledgerRetentionDays * DAY_MS,
        effects,
        onAudit: options.onAudit,
        onDeliveries,
      });
      await v1.register(jobRoutes, { store });
      await v1.register(doctorRoutes, { doctor: options.doctor, effects });
    },
    { prefix: '/v1' },
  );
  return app;
}

function apiRate(max: number) {
  return {
    max,
    timeWindow: 60_000,
    errorResponseBuilder: (_request: unknown, { after }: { after: string }) =>
      new GatewayError(
        'GW_RATE_LIMITED',
        `More than ${max} requests a minute (API_RATE_PER_MINUTE). Try again in ${after}.`,
      ),
  };
}

/**
 * Fastify's own validator turns types into one another, which a query needs (`limit=5`) and a body must not have: there
 * `null` would become 0, and an unknown field would vanish without a word.
 */
function validators() {
  const strict = new Ajv({ allErrors: true, useDefaults: true, removeAdditional: false, strict: false });
  const coercing = new Ajv({
    allErrors: true,
    useDefaults: true,
    removeAdditional: false,
    coerceTypes: true,
    strict: false,
  });
  return ({ schema, httpPart }: { schema: unknown; httpPart?: string }) =>
    (httpPart === 'body' ? strict : coercing).compile(schema as object);
}
