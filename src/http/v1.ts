import cookie from '@fastify/cookie';
import rateLimit from '@fastify/rate-limit';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger } from 'fastify';
import type { Config } from '../config.js';
import type { Connector } from '../connect/connector.js';
import type { Doctor } from '../doctor/doctor.js';
import { DAY_MS, MINUTE_MS } from '../durations.js';
import type { Effects } from '../effects.js';
import type { Encryption } from '../encryption.js';
import { GatewayError } from '../errors.js';
import type { Guard } from '../guard.js';
import type { Target, TargetTest } from '../model.js';
import { auditRoutes } from './audits.js';
import { requireAdmin } from './auth.js';
import type { AdminAccess } from './auth.js';
import { channelRoutes } from './channels.js';
import { clientNetwork } from './client-address.js';
import { connectRoutes } from './connect.js';
import { deliveryRoutes } from './deliveries.js';
import { doctorRoutes } from './doctor.js';
import type { ProbeWorker } from '../probe/worker.js';
import type { Feed } from '../feed.js';
import { feedRoutes } from './feed.js';
import { itemRoutes } from './items.js';
import { jobRoutes } from './jobs.js';
import { judgeRoutes } from './judge.js';
import { messageRoutes } from './messages.js';
import { previewRoutes } from './previews.js';
import { printableAnswers } from './printable-answers.js';
import { probeRoutes } from './probes.js';
import type { Previewer } from '../preview/preview.js';
import { resyncRoutes } from './resyncs.js';
import type { ResyncRoutesOptions } from './resyncs.js';
import { requireOrigin, sessionOf } from './session.js';
import type { Sessions } from './session-cookie.js';
import { statsRoutes } from './stats.js';
import { targetRoutes } from './targets.js';
import type { BreakersOfTargets } from './targets.js';
import type { Store } from '../store/store.js';

/** Wakes the workers after a commit that may have given them work. */
export interface V1Hints {
  readonly onDeliveries: () => void;
  readonly onRegistered: () => void;
  readonly onJob: () => void;
  readonly onAudit: () => void;
  readonly onChannelChanged: () => void;
}

/** What the resources of `/v1` need. */
export interface V1Options extends V1Hints {
  readonly config: Config;
  readonly store: Store;
  readonly encryption: Encryption;
  readonly adminToken: string;
  readonly guard: Pick<Guard, 'refusalOf'>;
  readonly effects: Effects;
  readonly log: Pick<FastifyBaseLogger, 'info' | 'debug'>;
  readonly progressOf: ResyncRoutesOptions['progressOf'];
  readonly whyRefused: (url: string) => string | null;
  readonly sendTest: (target: Target) => Promise<TargetTest>;
  readonly breakers: BreakersOfTargets;
  readonly connector: Connector;
  readonly probes: Pick<ProbeWorker, 'begin' | 'cancel'>;
  readonly previewer: Previewer;
  readonly doctor: Doctor;
  readonly feed: Feed;
  readonly saveCounts: () => Promise<void>;
}

/** `/v1`: the API of the admin. Every route needs the admin token, or a session of the dashboard. */
export const v1Routes: FastifyPluginAsyncTypebox<
  V1Options & { readonly access: AdminAccess; readonly sessions: Sessions }
> = async (v1, options) => {
  const { config, store, encryption, guard, effects, log, breakers, onDeliveries, onJob } = options;
  const { access, sessions } = options;
  printableAnswers(v1);
  await v1.register(cookie);
  v1.addHook(
    'onRequest',
    requireAdmin(access, async (request, reply) => {
      const wrong = 'The session is not valid. Log in again.';
      const session = await sessionOf(request, sessions, async () => await access.refuse(request, reply, wrong));
      if (session !== null) requireOrigin(request, session);
      return session !== null;
    }),
  );
  if (config.apiRatePerMinute > 0) await v1.register(rateLimit, apiRate(config.apiRatePerMinute));

  const { whapiBaseUrl, publicUrl } = config;
  const onChanged = options.onChannelChanged;
  const onRemoved = onJob;
  await v1.register(channelRoutes, {
    ...{ store, encryption, guard, whapiBaseUrl, publicUrl, effects, onChanged, onRemoved, log },
  });
  await v1.register(connectRoutes, { store, connector: options.connector });
  await v1.register(probeRoutes, { store, probes: options.probes, log });
  const { whyRefused, sendTest } = options;
  await v1.register(targetRoutes, {
    ...{ store, encryption, effects, whyRefused, sendTest, onDeliveries, onRemoved, breakers, log },
  });
  await v1.register(previewRoutes, { store, effects });
  const { onRegistered, progressOf } = options;
  await v1.register(resyncRoutes, { store, onRegistered, progressOf });
  await v1.register(itemRoutes, { store, onDeliveries, onJob });
  await v1.register(judgeRoutes, { store, maxBodyBytes: config.maxBodyBytes });
  await v1.register(messageRoutes, { store, breakers, effects, onDeliveries, onJob });
  await v1.register(deliveryRoutes, { store, onDeliveries, onJob });
  const ledgerRetentionMs = config.ledgerRetentionDays * DAY_MS;
  await v1.register(auditRoutes, { store, ledgerRetentionMs, effects, onAudit: options.onAudit, onDeliveries });
  await v1.register(jobRoutes, { store });
  await v1.register(feedRoutes, { feed: options.feed, effects });
  await v1.register(statsRoutes, { store, breakers, saveCounts: options.saveCounts, effects, log });
  await v1.register(doctorRoutes, { doctor: options.doctor, effects });
};

function apiRate(max: number) {
  return {
    max,
    timeWindow: MINUTE_MS,
    keyGenerator: clientNetwork,
    errorResponseBuilder: (_request: unknown, { after }: { after: string }) =>
      new GatewayError(
        'GW_RATE_LIMITED',
        `More than ${max} requests per minute (API_RATE_PER_MINUTE). Try again in ${after}.`,
      ),
  };
}
