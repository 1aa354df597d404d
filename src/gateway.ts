import type { Logger } from 'pino';
import { AUDIT_INTERVALS } from './audit/policy.js';
import type { AuditIntervals } from './audit/policy.js';
import { startAuditWorker } from './audit/worker.js';
import { startClockWatch } from './clock.js';
import { Components } from './components.js';
import type { Config } from './config.js';
import { CONNECT_TIMEOUTS, createConnector } from './connect/connector.js';
import type { ConnectTimeouts } from './connect/connector.js';
import { createDamageCheck } from './damage.js';
import { BREAKER_INTERVALS } from './delivery/breaker.js';
import type { BreakerIntervals } from './delivery/breaker.js';
import { Breakers } from './delivery/breakers.js';
import { DELIVERY_LEASE_MS, startDeliveryLoop } from './delivery/loop.js';
import { deliveryNotices } from './delivery/notices.js';
import { RETRY_DELAYS_MS } from './delivery/policy.js';
import { createSender } from './delivery/send.js';
import { createTester } from './delivery/test-event.js';
import { freeBytesFor } from './disk.js';
import { createDoctor } from './doctor/doctor.js';
import { DAY_MS } from './durations.js';
import { newId } from './effects.js';
import type { Effects } from './effects.js';
import type { Encryption } from './encryption.js';
import { GatewayError, StartError } from './errors.js';
import { closeToOthers } from './file-privacy.js';
import { startFacts } from './facts.js';
import type { Facts } from './facts.js';
import { createGuard } from './guard.js';
import type { Guard } from './guard.js';
import { startServer, SERVER_TIMEOUTS } from './http/server.js';
import type { HttpServer, ServerHints, ServerTimeouts } from './http/server.js';
import { startJobWorker } from './jobs.js';
import { loadKeys } from './keyfiles.js';
import type { Keys } from './keyfiles.js';
import { createPreviewer } from './preview/preview.js';
import { PROBE_INTERVALS } from './probe/policy.js';
import { startProbeWorker } from './probe/worker.js';
import { createReadings } from './readings.js';
import { startResyncNotices } from './resync/notices.js';
import { createPassThrough } from './resync/pass-through.js';
import { RESYNC_INTERVALS } from './resync/policy.js';
import type { ResyncIntervals } from './resync/policy.js';
import { progressOf } from './resync/progress.js';
import { createSingleCalls } from './resync/single.js';
import { startResyncWorker } from './resync/worker.js';
import type { OpenSecret } from './secret-places.js';
import { openStore } from './store/open.js';
import type { Store } from './store/store.js';
import { warnAtStart } from './start-warnings.js';
import { storedFingerprint, unlockStoredSecrets } from './stored-secrets.js';
import { startSweep } from './sweep.js';
import { createWhapiClient } from './whapi/client.js';
import { createCallScheduler } from './whapi/scheduler.js';

export interface Gateway {
  /** Where it listens. */
  readonly url: string;
  readonly keys: Keys;
  /** Stops accepting requests, finishes work under way within ten seconds, then closes the store. */
  close(): Promise<void>;
}

/** Pauses and timeouts that the demo and tests shorten. */
export interface Intervals {
  readonly retryDelaysMs: readonly number[];
  readonly deliveryLeaseMs: number;
  readonly breaker: BreakerIntervals;
  readonly resync: ResyncIntervals;
  readonly connect: ConnectTimeouts;
  readonly timeouts: ServerTimeouts;
  readonly audit: AuditIntervals;
  readonly probe: typeof PROBE_INTERVALS;
  /** How long Whapi may take to start answering a client's own call. Media that Whapi has to fetch takes a while. */
  readonly whapiTimeoutMs: number;
}

export const DEFAULT_INTERVALS: Intervals = {
  retryDelaysMs: RETRY_DELAYS_MS,
  deliveryLeaseMs: DELIVERY_LEASE_MS,
  breaker: BREAKER_INTERVALS,
  resync: RESYNC_INTERVALS,
  connect: CONNECT_TIMEOUTS,
  timeouts: SERVER_TIMEOUTS,
  audit: AUDIT_INTERVALS,
  probe: PROBE_INTERVALS,
  whapiTimeoutMs: 100_000,
};

/** The share of the ten seconds for shutdown that requests, deliveries and calls under way get. */
const GRACE_MS = 8000;
/**
 * Where the store keeps what the gateway calls itself in `x-gateway-via`. All replicas are one gateway.
 */
const GATEWAY_ID = 'gateway_id';

/** What every area is built on. */
interface Base extends Facts {
  readonly components: Components;
  readonly config: Config;
  readonly effects: Effects;
  readonly log: Logger;
  readonly intervals: Intervals;
  readonly store: Store;
  readonly encryption: Encryption;
  readonly openSecret: OpenSecret;
  /** For what the gateway connects to: targets and Whapi. */
  readonly guard: Guard;
  readonly gatewayId: string;
  readonly onError: (error: unknown) => void;
}

type Deliveries = Awaited<ReturnType<typeof startDeliveries>>;
type WhapiCalls = ReturnType<typeof startWhapiCalls>;
type Background = ReturnType<typeof startBackground>;

/**
 * Starts everything in this order: store, deliveries, calls to Whapi, background work, HTTP server. The server comes
 * last, so it never accepts a request that nothing could serve. Stopping goes the other way, in three stages:
 *
 * 1. The server and all workers together, so that they share GRACE_MS. The server stops accepting at once, and only the
 *    call scheduler waits for it: calls of clients that are still being answered go through the scheduler.
 * 2. What saves the counts of the work above.
 * 3. The store, once nothing can use it any more.
 *
 * A start that fails stops what had started, in the same order and without a grace period. @throws StartError
 */
export async function startGateway(
  config: Config,
  effects: Effects,
  log: Logger,
  intervals: Intervals = DEFAULT_INTERVALS,
): Promise<Gateway> {
  const components = new Components();
  try {
    const store = components.add('store', await openStore(config.store, effects), async (each) => await each.close());
    components.nextStage();
    closeToOthers(config.store, log);
    const keys = loadKeys(config, effects, await storedFingerprint(store));
    for (const file of keys.readableByOthers)
      log.warn({ file, fix: `chmod 600 ${file}` }, 'key file is readable by other users');
    const encryption = await unlockStoredSecrets(store, keys.encryptionKey, effects);
    await warnAtStart(store, encryption, log);
    const gatewayId = await store.upkeep.pin(GATEWAY_ID, newId('gtw', effects));
    const onError = errorReporter(log);
    const openSecret = encryption.open;
    const guard = createGuard(config.targetNetworks);
    // What is compared with stored times has to come from the clock that they come from.
    const timed = { ...effects, now: store.upkeep.now };
    const settings = { config, effects: timed, log, intervals, gatewayId, onError };
    const facts = startFacts(components, { store, effects: timed, log, onError });
    const base = { components, ...settings, ...facts, store, encryption, openSecret, guard };

    const deliveries = await startDeliveries(base);
    const whapiCalls = startWhapiCalls(base);
    const background = startBackground(base, deliveries, whapiCalls);
    const { url } = await startHttp(base, keys, deliveries, whapiCalls, background);
    background.damage.start();
    return { url, keys, close: async () => await stopInTime(components, store, effects) };
  } catch (error) {
    await components.stop(0);
    // There is no server yet to answer 503 until the store recovers: the start fails, and the supervisor tries again.
    if (error instanceof GatewayError) throw new StartError('GW_STORE_UNUSABLE', error.message, { cause: error });
    throw error;
  }
}

/** Once the grace period is over, nothing waits for a write lock of another process either: the process would be killed. */
async function stopInTime(components: Components, store: Store, effects: Pick<Effects, 'sleep'>): Promise<void> {
  const stopped = new AbortController();
  void effects.sleep(GRACE_MS, stopped.signal).then(() => store.stopWaiting());
  await components.stop(GRACE_MS).finally(() => stopped.abort());
}

/** Deliveries to targets: claim, send, settle. */
async function startDeliveries(base: Base) {
  const { components, effects, log, intervals, store, openSecret, guard, gatewayId, observer, onError } = base;
  const notices = deliveryNotices(log, effects, observer);
  const breakers = await Breakers.load({ store, intervals: intervals.breaker, effects, onChange: notices.onBreaker });
  const sender = createSender({ openSecret, guard, gatewayId, effects });
  const { retryDelaysMs: delaysMs, deliveryLeaseMs: leaseMs } = intervals;
  const options = { store, sender, breakers, delaysMs, leaseMs, effects, onError, notices };
  const loop = components.add('delivery loop', startDeliveryLoop(options));
  const sendTest = createTester({ sender, store, newId: () => newId('test', effects) });
  return { wake: loop.wake, handOver: loop.handOver, breakers, sendTest, whyRefused: sender.whyRefused };
}

/** Everything that calls Whapi: one scheduler, and those who submit their calls to it. */
function startWhapiCalls(base: Base) {
  const { components, config, effects, log, intervals, store, openSecret, guard, onError } = base;
  const { resync: resyncIntervals, whapiTimeoutMs } = intervals;
  const whapi = createWhapiClient(guard);
  const holder = newId('prc', effects);
  const scheduler = components.add(
    'call scheduler',
    createCallScheduler({ store, whapi, openSecret, intervals: resyncIntervals, holder, effects, onError }),
    async (each, { graceMs, stopped }) => await each.stop(graceMs, stopped('http server')),
  );
  const shared = { store, whapi, openSecret, scheduler, holder, effects, onError };
  const onCall = base.metrics.onResyncCall.bind(base.metrics);
  const resyncs = components.add('resync worker', startResyncWorker({ ...shared, intervals: resyncIntervals, onCall }));
  const notices = components.add('resync notices', startResyncNotices({ store, log, effects, onError }));
  const audits = components.add(
    'audit worker',
    startAuditWorker({ ...shared, intervals: intervals.audit, callIntervals: resyncIntervals }),
  );
  const onRegistered = (): void => {
    resyncs.wake();
    notices.wake();
  };
  const onChannelChanged = (): void => {
    scheduler.wake();
    resyncs.wake();
    audits.wake();
  };
  const { publicUrl } = config;
  const calls = createSingleCalls({ ...shared, intervals: resyncIntervals, onCall, onRegistered });
  const probes = components.add('probes', startProbeWorker({ ...shared, log, calls, intervals: intervals.probe }));
  return {
    ...{ whapi, scheduler, probes, resyncs, audits, onRegistered, onChannelChanged },
    passThrough: createPassThrough({
      ...shared,
      intervals: resyncIntervals,
      callTimeoutMs: whapiTimeoutMs,
      onRegistered,
    }),
    connector: createConnector({ ...shared, publicUrl, timeouts: intervals.connect }),
  };
}

/** Bulk jobs, retention, the watch for a store's clock that is set back, and the check for damage. */
function startBackground(base: Base, deliveries: Deliveries, { scheduler, resyncs, audits }: WhapiCalls) {
  const { components, config, effects, log, store, onError } = base;
  const jobs = components.add('jobs', startJobWorker({ store, onDeliveries: deliveries.wake, onError, effects }));
  const onSetBack = async (byMs: number): Promise<void> => {
    log.warn({ by_ms: byMs }, 'clock was set back, due times shifted');
    await store.upkeep.clockSetBack(byMs);
    scheduler.wake();
    resyncs.clockSetBack(byMs);
    audits.clockSetBack(byMs);
    deliveries.breakers.clockSetBack();
    resyncs.wake();
    deliveries.wake();
  };
  components.add('clock watch', startClockWatch({ effects, onSetBack, onError }));
  const retention = { payloadMs: config.retentionDays * DAY_MS, ledgerMs: config.ledgerRetentionDays * DAY_MS };
  const onJump = (byMs: number): void => {
    log.warn({ by_ms: byMs }, 'time jumped forward, pruning paused for an hour');
  };
  components.add('sweep', startSweep({ store, retention, onJump, onError, effects }));
  const damage = components.add('damage check', createDamageCheck({ store, log }));
  return { onJob: jobs.wake, damage };
}

/** The HTTP server, with what its routes call and whom they wake. */
async function startHttp(
  base: Base,
  keys: Keys,
  deliveries: Deliveries,
  whapiCalls: WhapiCalls,
  { onJob, damage }: Background,
): Promise<HttpServer> {
  const { components, config, effects, log, intervals, store, encryption, openSecret, guard, gatewayId } = base;
  const { feed, observer, metrics, saveCounts, onError } = base;
  const { breakers, sendTest, whyRefused } = deliveries;
  const readings = createReadings({ store, location: config.store, breakers, onError, effects });
  const { whapi, scheduler, audits, passThrough, connector, probes, onRegistered, onChannelChanged } = whapiCalls;
  const doctor = createDoctor({
    ...{ store, whapi, scheduler, connector, breakers, openSecret, sendTest, whyRefused, effects },
    damage: damage.found,
    freeBytes: async () => await freeBytesFor(config.store),
  });
  const hints: ServerHints = {
    handOver: deliveries.handOver,
    ...{ onDeliveries: deliveries.wake, onJob, onAudit: audits.wake, onRegistered, onChannelChanged },
    ...{ onRecorded: observer.onRecorded, onRefused: observer.onRefused },
    onChannelState: (channel, state) => {
      void scheduler.noteChannelState(channel, state).then(onChannelChanged, onError);
    },
  };
  const server = await startServer({
    ...{ config, store, encryption, guard, gatewayId, adminToken: keys.adminToken, effects, log },
    ...hints,
    ...{ breakers, sendTest, whyRefused, connector, probes, doctor, feed, saveCounts, metrics, readings },
    previewer: createPreviewer({ store, effects }),
    ...{ whapiResyncs: passThrough, whapiTimeoutMs: intervals.whapiTimeoutMs, timeouts: intervals.timeouts },
    progressOf: (resync) => progressOf(resync, intervals.resync, effects.now(), scheduler.underWay(resync.channel)),
  });
  return components.add('http server', server, async (each, { graceMs }) => await each.close(graceMs));
}

/** Logs failures of background work. An expected one, such as a full disk, is logged without a stack. */
function errorReporter(log: Logger): (error: unknown) => void {
  return (error) => {
    const fields = error instanceof GatewayError ? { code: error.code, detail: error.message } : { err: error };
    log.error(fields, 'background work failed, retrying');
  };
}
