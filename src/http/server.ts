import rateLimit from '@fastify/rate-limit';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify from 'fastify';
import type { FastifyBaseLogger, FastifyHttpOptions, FastifyInstance } from 'fastify';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Config } from '../config.js';
import { NAMED_SCHEMAS } from '../contract/all.js';
import { GatewayError, StartError } from '../errors.js';
import type { Guard } from '../guard.js';
import type { Observer } from '../observer.js';
import { authenticationGuard } from './auth.js';
import type { AdminAccess, NoteAuthentication, RefuseAuthentication } from './auth.js';
import { claimRoutes } from './claims.js';
import { trustProxyOf, warnOfUntrustedProxy } from './client-address.js';
import { limitConnections } from './connections.js';
import type { Connections } from './connections.js';
import { dashboardRoutes } from './dashboard.js';
import { DASHBOARD_FOLDER, readDashboard } from './dashboard-files.js';
import { docsRoutes } from './docs.js';
import { ingress } from './ingress.js';
import { describeRoutes } from './openapi.js';
import { metricsRoutes } from './metrics.js';
import type { MetricsOptions } from './metrics.js';
import { operationRoutes } from './operation.js';
import { PendingWebhooks } from './pending.js';
import { answerClientError, asKnown, errorHandler, REQUEST_TIMEOUT } from './problem.js';
import { sessionRoutes } from './session.js';
import { createSessions } from './session-cookie.js';
import { v1Routes } from './v1.js';
import type { Recorded } from '../store/intake.js';
import type { V1Hints, V1Options } from './v1.js';
import { shownRoot } from './shown-path.js';
import { serializerCompiler } from './serialization.js';
import { validatorCompiler } from './validation.js';
import { whapiProxy } from './whapi-proxy.js';
import type { WhapiResyncs } from './whapi-forward.js';

/** Wakes the workers after a commit that may have given them work. */
export interface ServerHints extends V1Hints {
  /** A webhook was recorded that added deliveries. Takes over those that are leased. */
  readonly handOver: (recorded: Recorded) => void;
  /** A webhook was recorded. */
  readonly onRecorded: Observer['onRecorded'];
  readonly onRefused: Observer['onRefused'];
  readonly onChannelState: (channel: string, state: string) => void;
}

export interface ServerOptions extends V1Options, ServerHints {
  readonly guard: Guard;
  /** What this gateway calls itself in `x-gateway-via`. */
  readonly gatewayId: string;
  readonly log: Pick<FastifyBaseLogger, 'error' | 'warn' | 'info' | 'debug'>;
  /** How long Whapi may take to begin its answer to a call that passes through. */
  readonly whapiTimeoutMs: number;
  /** Resyncs that calls through `/whapi` start. */
  readonly whapiResyncs: WhapiResyncs;
  readonly timeouts: ServerTimeouts;
  readonly metrics: MetricsOptions['metrics'];
  readonly readings: MetricsOptions['readings'];
}

/** How long a client may take. */
export interface ServerTimeouts {
  /** For the head of a request, from the connection or the answer before on. */
  readonly headersMs: number;
  /** For a whole request. */
  readonly requestMs: number;
  /** Limit without a byte in either direction, also for an answer that the client does not read. No answer takes as long. */
  readonly idleMs: number;
  /** For the next request on a connection. */
  readonly keepAliveMs: number;
  /** The same, where no request on the connection has authenticated. */
  readonly strangerKeepAliveMs: number;
}

export const SERVER_TIMEOUTS: ServerTimeouts = {
  headersMs: 10_000,
  requestMs: 60_000,
  idleMs: 120_000,
  keepAliveMs: 72_000,
  strangerKeepAliveMs: 10_000,
};

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

const HOST_EXAMPLES = 'Set HOST to an address of this machine, for example 127.0.0.1, or 0.0.0.0 for all of them.';
const unknownHost = (host: string): string => `no address is known for the name "${host}". ${HOST_EXAMPLES}`;

/** What the system's codes mean, and what to do. */
const LISTEN_FAILURES: ReadonlyMap<string, (host: string, port: number) => string> = new Map([
  ['ENOTFOUND', unknownHost],
  ['EAI_AGAIN', unknownHost],
  ['EADDRNOTAVAIL', (host: string) => `${host} is not an address of this machine. ${HOST_EXAMPLES}`],
  ['EINVAL', (host: string) => `${host} is not a complete address of this machine. ${HOST_EXAMPLES}`],
  [
    'EACCES',
    (_host: string, port: number) =>
      `the system does not allow this process to use port ${port}. Set PORT to one above 1023, for example 8080.`,
  ],
]);

async function listen(app: FastifyInstance, { host, port }: Config): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code !== 'EADDRINUSE') {
      const reason = LISTEN_FAILURES.get(code)?.(host, port) ?? (error as Error).message;
      throw new StartError('GW_CANNOT_LISTEN', `Cannot listen on HOST=${host} PORT=${port}: ${reason}`);
    }
    throw new StartError(
      'GW_PORT_TAKEN',
      `Port ${port} on ${host} is already in use. Stop the other process, or set PORT (for example PORT=8081).`,
    );
  }
  const { port: taken } = app.server.address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${taken}`;
}

function notFound(method: string, root: string): GatewayError {
  const remedy = root.startsWith('/webhooks')
    ? 'send webhooks to /webhooks/<channel> with POST, PUT, PATCH or DELETE'
    : 'GET /openapi.json lists all operations';
  return new GatewayError('GW_NOT_FOUND', `No operation matches ${method} ${root}: ${remedy}.`);
}

async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const { config, store, encryption, guard, effects, log } = options;
  const uploads = new WeakSet<Duplex>();
  const app = Fastify(
    fastifyOptions(options, uploads, (socket) => connections.requestOn(socket)),
  ).withTypeProvider<TypeBoxTypeProvider>();
  const { strangerKeepAliveMs } = options.timeouts;
  const connections = limitConnections(app.server, { most: MOST_CONNECTIONS, strangerKeepAliveMs });
  const onAuthenticated: NoteAuthentication = ({ raw }) => connections.authenticated(raw.socket);

  addSchemas(app);
  app.addHook('onError', (request, _reply, error, done) => {
    options.metrics.onError(asKnown(error, request).code);
    done();
  });
  app.setErrorHandler(errorHandler(log));
  if (config.trustedProxies === null) warnOfUntrustedProxy(app, log, effects);
  app.setNotFoundHandler(({ method, url }) => {
    throw notFound(method, shownRoot(url));
  });
  await describeRoutes(app);
  await app.register(rateLimit, { global: false });
  const refuse = authenticationGuard(app);
  const { open: openSecret } = encryption;

  const { gatewayId, handOver, onRecorded, onRefused, onChannelState } = options;
  const { maxBodyBytes, webhookRatePerSecond: ratePerSecond } = config;
  const pending = new PendingWebhooks(config.maxPendingBytes);
  await app.register(ingress, {
    ...{ store, openSecret, gatewayId, refuse, onAuthenticated, effects, log },
    ...{ maxBodyBytes, pending, ratePerSecond, handOver, onRecorded, onRefused, onChannelState },
  });
  await app.register(operationRoutes, { store, effects });
  const { whapiTimeoutMs: timeoutMs, whapiResyncs: resyncs } = options;
  const { apiRatePerMinute: ratePerMinute, publicUrl, whapiBaseUrl } = config;
  await app.register(whapiProxy, {
    ...{ store, openSecret, refuse, onAuthenticated, guard, log },
    ...{ ratePerMinute, timeoutMs, uploads, publicUrl, whapiBaseUrl, resyncs },
  });
  const { metrics, readings } = options;
  await app.register(claimRoutes, { store, openSecret, refuse, onAuthenticated, ratePerMinute, metrics });
  await app.register(dashboardRoutes, { files: readDashboard(DASHBOARD_FOLDER) });
  await app.register(docsRoutes);
  const access = adminAccess(options, refuse, onAuthenticated);
  const { metricsToken } = config;
  await app.register(metricsRoutes, { ...access, metricsToken, metrics, readings, pendingBytes: () => pending.bytes });
  const sessions = createSessions(options.adminToken, publicUrl, effects);
  await app.register(sessionRoutes, { ...access, sessions, publicUrl });
  await app.register(v1Routes, { ...options, access, sessions, prefix: '/v1' });
  return app;
}

function addSchemas(app: FastifyInstance): void {
  app.setValidatorCompiler(validatorCompiler());
  app.setSerializerCompiler(serializerCompiler(app));
  for (const schema of NAMED_SCHEMAS) app.addSchema(schema);
}

function adminAccess(
  { config, adminToken }: ServerOptions,
  refuse: RefuseAuthentication,
  onAuthenticated: NoteAuthentication,
): AdminAccess {
  const tokenPlace =
    config.adminToken === null ? 'the token in the file admin-token, beside the database' : 'the value of ADMIN_TOKEN';
  return { adminToken, tokenPlace, refuse, onAuthenticated };
}

/** `uploads`: connections on which bodies are on their way to Whapi. */
function fastifyOptions(
  { config, timeouts, log }: ServerOptions,
  uploads: WeakSet<Duplex>,
  requestOn: Connections['requestOn'],
) {
  return {
    // No logger of Fastify's own: it would watch the end of every answer, which costs a tenth of a webhook's time, and
    // would write whole URLs, which may hold secrets.
    logger: false,
    trustProxy: trustProxyOf(config.trustedProxies),
    routerOptions: { maxParamLength: LONGEST_PATH_PART },
    forceCloseConnections: 'idle',
    requestTimeout: timeouts.requestMs,
    connectionTimeout: timeouts.idleMs,
    keepAliveTimeout: timeouts.keepAliveMs,
    http: {
      headersTimeout: timeouts.headersMs,
      connectionsCheckingInterval: Math.min(CHECK_CONNECTIONS_EVERY_MS, timeouts.headersMs),
    },
    clientErrorHandler: (error, socket) => {
      // The time for a whole request is not for uploads to Whapi, which may be large: they are given up when silent.
      if (error.code !== REQUEST_TIMEOUT || !uploads.has(socket))
        answerClientError(error, socket, requestOn(socket)?.url ?? null);
    },
    frameworkErrors: (error, request, reply) => {
      errorHandler(log)(error, request, reply);
    },
  } satisfies FastifyHttpOptions<Server>;
}
