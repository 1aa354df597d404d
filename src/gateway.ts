import type { Logger } from 'pino';
import { AUDIT_INTERVALS } from './audit/policy.js';
import type { AuditIntervals } from './audit/policy.js';
import { startAuditWorker } from './audit/worker.js';
import { startClockWatch } from './clock.js';
import type { Config } from './config.js';
import { CONNECT_TIMEOUTS, createConnector } from './connect/connector.js';
import type { ConnectTimeouts } from './connect/connector.js';
import { BREAKER_INTERVALS } from './delivery/breaker.js';
import type { BreakerIntervals } from './delivery/breaker.js';
import { Breakers } from './delivery/breakers.js';
import { startDeliveryLoop } from './delivery/loop.js';
import { deliveryNotices } from './delivery/notices.js';
import { RETRY_DELAYS_MS } from './delivery/policy.js';
import { createSender } from './delivery/send.js';
import { createTester } from './delivery/test-event.js';
import { createDoctor } from './doctor/doctor.js';
import { newId } from './effects.js';
import type { Effects } from './effects.js';
import { GatewayError, StartError } from './errors.js';
import { startServer, SERVER_TIMEOUTS } from './http/server.js';
import type { ServerTimeouts } from './http/server.js';
import { freeBytesFor } from './disk.js';
import { startJobWorker } from './jobs.js';
import { loadKeys } from './keyfiles.js';
import type { Keys } from './keyfiles.js';
import { openStore } from './store/open.js';
import { startLoop } from './loop.js';
import type { Loop } from './loop.js';
import { startResyncNotices } from './resync/notices.js';
import { createPassThrough } from './resync/pass-through.js';
import { RESYNC_INTERVALS } from './resync/policy.js';
import type { ResyncIntervals } from './resync/policy.js';
import { progressOf } from './resync/progress.js';
import { startResyncWorker } from './resync/worker.js';
import { createEncryption } from './encryption.js';
import type { Encryption } from './encryption.js';
import { createWhapiClient } from './whapi/client.js';
import { createCallScheduler } from './whapi/scheduler.js';
import { DAY_MS, HOUR_MS } from './durations.js';
import type { Store } from './store/store.js';

export interface Gateway {
  /** Where it listens. */
  readonly url: string;
  readonly keys: Keys;
  /** Stops accepting, finishes what is under way within ten seconds, closes the store. */
  close(): Promise<void>;
}

/** Pauses that the demo and tests shorten. */
export interface Intervals {
  readonly retryDelaysMs: readonly number[];
  readonly breaker: BreakerIntervals;
  readonly resync: ResyncIntervals;
  readonly connect: ConnectTimeouts;
  readonly timeouts: ServerTimeouts;
  readonly audit: AuditIntervals;
  /** How long Whapi may take to begin its answer to a client's own call: media that it has to fetch take a while. */
  readonly whapiTimeoutMs: number;
}

export const DEFAULT_INTERVALS: Intervals = {
  retryDelaysMs: RETRY_DELAYS_MS,
  breaker: BREAKER_INTERVALS,
  resync: RESYNC_INTERVALS,
  connect: CONNECT_TIMEOUTS,
  timeouts: SERVER_TIMEOUTS,
  audit: AUDIT_INTERVALS,
  whapiTimeoutMs: 100_000,
};

/** Of the ten seconds that closing may take, what deliveries and calls under way are given. */
const GRACE_MS = 8000;
const KEY_FINGERPRINT = 'encryption_key_fingerprint';
/** What a gateway calls itself in `x-gateway-via`: all processes of one store are one gateway. */
const GATEWAY_ID = 'gateway_id';
const SWEEP_EVERY_MS = HOUR_MS;
/** Between two steps of a sweep: the ingress goes first. */
const SWEEP_PAUSE_MS = 20;

/** Starts everything, from the store outwards; closing goes the other way. @throws StartError */
export async function startGateway(
  config: Config,
  effects: Effects,
  log: Logger,
  intervals: Intervals = DEFAULT_INTERVALS,
): Promise<Gateway> {
  const store = openStore(config.store, effects);
  try {
    const keys = loadKeys(config, effects, (await store.upkeep.pinned(KEY_FINGERPRINT)) !== null);
    const encryption = createEncryption(keys.encryptionKey, effects);
    await checkKey(store, encryption);
    await sealHeaders(store, encryption);
    const onError = (error: unknown): void => {
      const about = error instanceof GatewayError ? { code: error.code, detail: error.message } : { err: error };
      log.error(about, 'background work failed, retrying');
    };

    const gatewayId = await store.upkeep.pin(GATEWAY_ID, newId('gtw', effects));
    const sender = createSender({ openSecret: encryption.open, networks: config.targetNetworks, gatewayId, effects });
    const notices = deliveryNotices(log, effects);
    const breakers = await Breakers.load({ store, intervals: intervals.breaker, effects, onChange: notices.onBreaker });
    const delaysMs = intervals.retryDelaysMs;
    const deliveries = startDeliveryLoop({ store, sender, breakers, delaysMs, effects, onError, notices });
    const whapi = createWhapiClient();
    const openSecret = encryption.open;
    const { resync: resyncIntervals, whapiTimeoutMs } = intervals;
    const scheduler = createCallScheduler({ store, whapi, openSecret, intervals: resyncIntervals, effects, onError });
    const resyncs = startResyncWorker({
      store,
      whapi,
      openSecret,
      scheduler,
      intervals: resyncIntervals,
      effects,
      onError,
    });
    const resyncNotices = startResyncNotices({ store, log, effects, onError });
    const onRegistered = (): void => {
      resyncs.wake();
      resyncNotices.wake();
    };
    const passThrough = createPassThrough({
      ...{ store, scheduler, intervals: resyncIntervals, effects, onError },
      callTimeoutMs: whapiTimeoutMs,
      onRegistered,
    });
    const sendTest = createTester({ sender, store, newId: () => newId('test', effects) });
    const { publicUrl } = config;
    const connector = createConnector({
      ...{ store, whapi, scheduler, openSecret, publicUrl, effects },
      timeouts: intervals.connect,
    });
    const doctor = createDoctor({
      ...{ store, whapi, scheduler, connector, breakers, openSecret, sendTest, effects },
      whyRefused: sender.whyRefused,
      freeBytes: async () => await freeBytesFor(config.store),
    });
    const jobs = startJobWorker({ store, onDeliveries: deliveries.wake, onError, effects });
    const audits = startAuditWorker({
      ...{ store, whapi, openSecret, scheduler, effects, onError },
      intervals: intervals.audit,
      callIntervals: resyncIntervals,
    });
    const onChannelChanged = (): void => {
      scheduler.wake();
      resyncs.wake();
      audits.wake();
    };
    const clock = startClockWatch({
      effects,
      onSetBack: async (byMs) => {
        log.warn({ by_ms: byMs }, 'clock was set back, due times shifted');
        await store.upkeep.clockSetBack(byMs);
        scheduler.clockSetBack(byMs);
        resyncs.clockSetBack(byMs);
        audits.clockSetBack(byMs);
        breakers.clockSetBack();
        resyncs.wake();
        deliveries.wake();
      },
      onError,
    });
    const sweep = startSweep(store, config, effects, onError);
    const stopWork = async (graceMs: number, serverClosed: Promise<void>): Promise<void> => {
      const calls = [resyncs.stop(), audits.stop(), resyncNotices.stop(), scheduler.stop(graceMs, serverClosed)];
      await Promise.all([deliveries.stop(graceMs), ...calls, jobs.stop(), sweep.stop(), clock.stop()]);
    };
    const server = await startServer({
      config,
      store,
      encryption,
      gatewayId,
      adminToken: keys.adminToken,
      effects,
      log,
      onDeliveries: deliveries.wake,
      breakers,
      onRegistered,
      onJob: jobs.wake,
      onAudit: audits.wake,
      onChannelChanged,
      onChannelState: (channel, state) => {
        scheduler.channelIs(channel, state);
        onChannelChanged();
      },
      progressOf: (resync) => progressOf(resync, resyncIntervals, effects.now(), scheduler.underWay(resync.channel)),
      whapiResyncs: passThrough,
      whapiTimeoutMs,
      whyRefused: sender.whyRefused,
      sendTest,
      connector,
      doctor,
      timeouts: intervals.timeouts,
    }).catch(async (error: unknown) => {
      await stopWork(0, Promise.resolve());
      throw error;
    });
    return {
      url: server.url,
      keys,
      close: async () => {
        const serverClosed = server.close(GRACE_MS);
        await Promise.all([serverClosed, stopWork(GRACE_MS, serverClosed)]);
        await store.close();
      },
    };
  } catch (error) {
    await store.close();
    // Not yet a server that could answer 503 and go on when there is room again: whoever started it starts it again.
    if (error instanceof GatewayError) throw new StartError('GW_STORE_UNUSABLE', error.message, { cause: error });
    throw error;
  }
}

/** Secrets sealed under another key could not be opened: better to say so at the start than at the first webhook. */
async function checkKey(store: Store, encryption: Encryption): Promise<void> {
  if ((await store.upkeep.pin(KEY_FINGERPRINT, encryption.fingerprint)) !== encryption.fingerprint) {
    throw new StartError(
      'GW_WRONG_KEY',
      'The encryption key is not the one that this database was made with. Set ENCRYPTION_KEY, or the file ' +
        'encryption-key beside the database, back to that one.',
    );
  }
}

/** Up to schema version 3 headers of targets were stored in the clear; only here are both they and the key at hand. */
async function sealHeaders(store: Store, encryption: Encryption): Promise<void> {
  for (const { id, headers } of await store.registry.targets()) {
    if (!encryption.isSealed(headers)) await store.registry.changeTarget(id, { headers: encryption.seal(headers) });
  }
}

function startSweep(store: Store, config: Config, effects: Effects, onError: (error: unknown) => void): Loop {
  const retention = { payloadMs: config.retentionDays * DAY_MS, ledgerMs: config.ledgerRetentionDays * DAY_MS };
  const turn = async (): Promise<number> => {
    const isMore = await store.upkeep.prune(retention);
    return effects.now() + (isMore ? SWEEP_PAUSE_MS : SWEEP_EVERY_MS);
  };
  return startLoop({ turn, onError, idleMs: SWEEP_EVERY_MS, effects });
}
