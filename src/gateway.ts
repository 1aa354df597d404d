import type { Logger } from 'pino';
import { AUDIT_TIMING } from './audit/policy.js';
import type { AuditTiming } from './audit/policy.js';
import { startAuditWorker } from './audit/worker.js';
import { startClockWatch } from './clock.js';
import type { Config } from './config.js';
import { CONNECT_TIMING, createConnector } from './connect/connector.js';
import type { ConnectTiming } from './connect/connector.js';
import { BREAKER_TIMING } from './delivery/breaker.js';
import type { BreakerTiming } from './delivery/breaker.js';
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
import { startServer, USUAL_PATIENCE } from './http/server.js';
import type { Patience } from './http/server.js';
import { freeBytesFor } from './disk.js';
import { startJobWorker } from './jobs.js';
import { loadKeys } from './keyfiles.js';
import type { Keys } from './keyfiles.js';
import type { Ledger } from './ledger/ledger.js';
import { openLedger } from './ledger/open.js';
import { startLoop } from './loop.js';
import type { Loop } from './loop.js';
import { startResyncNotices } from './resync/notices.js';
import { createPassThrough } from './resync/pass-through.js';
import { RESYNC_TIMING } from './resync/policy.js';
import type { ResyncTiming } from './resync/policy.js';
import { progressOf } from './resync/progress.js';
import { startResyncWorker } from './resync/worker.js';
import { createVault } from './vault.js';
import type { Vault } from './vault.js';
import { createWhapiClient } from './whapi/client.js';
import { createCallScheduler } from './whapi/scheduler.js';

export interface Gateway {
  /** Where it listens. */
  readonly url: string;
  readonly keys: Keys;
  /** Stops accepting, finishes what is under way within ten seconds, closes the store. */
  close(): Promise<void>;
}

/** Pauses that the demo and tests shorten. */
export interface Pace {
  readonly retryDelaysMs: readonly number[];
  readonly breaker: BreakerTiming;
  readonly resync: ResyncTiming;
  readonly connect: ConnectTiming;
  readonly patience: Patience;
  readonly audit: AuditTiming;
  /** How long Whapi may take to begin its answer to a client's own call: media that it has to fetch take a while. */
  readonly whapiTimeoutMs: number;
}

export const USUAL_PACE: Pace = {
  retryDelaysMs: RETRY_DELAYS_MS,
  breaker: BREAKER_TIMING,
  resync: RESYNC_TIMING,
  connect: CONNECT_TIMING,
  patience: USUAL_PATIENCE,
  audit: AUDIT_TIMING,
  whapiTimeoutMs: 100_000,
};

/** Of the ten seconds that closing may take, what deliveries and calls under way are given. */
const GRACE_MS = 8000;
const KEY_FINGERPRINT = 'encryption_key_fingerprint';
/** What a gateway calls itself in `x-gateway-via`: all processes of one store are one gateway. */
const GATEWAY_ID = 'gateway_id';
const DAY_MS = 24 * 60 * 60 * 1000;
const SWEEP_EVERY_MS = 60 * 60 * 1000;
/** Between two steps of a sweep: the ingress goes first. */
const SWEEP_PAUSE_MS = 20;

/** Starts everything, from the store outwards; closing goes the other way. @throws StartError */
export async function startGateway(
  config: Config,
  effects: Effects,
  log: Logger,
  pace: Pace = USUAL_PACE,
): Promise<Gateway> {
  const ledger = openLedger(config.store, effects);
  try {
    const keys = loadKeys(config, effects, (await ledger.pinned(KEY_FINGERPRINT)) !== null);
    const vault = createVault(keys.encryptionKey, effects);
    await checkKey(ledger, vault);
    await sealHeaders(ledger, vault);
    const onError = (error: unknown): void => {
      const about = error instanceof GatewayError ? { code: error.code, detail: error.message } : { err: error };
      log.error(about, 'background work failed, retrying');
    };

    const gatewayId = await ledger.pin(GATEWAY_ID, newId('gtw', effects));
    const sender = createSender({ openSecret: vault.open, networks: config.targetNetworks, gatewayId, effects });
    const notices = deliveryNotices(log, effects);
    const breakers = await Breakers.load({ ledger, timing: pace.breaker, effects, onChange: notices.onBreaker });
    const delaysMs = pace.retryDelaysMs;
    const deliveries = startDeliveryLoop({ ledger, sender, breakers, delaysMs, effects, onError, notices });
    const whapi = createWhapiClient();
    const openSecret = vault.open;
    const { resync: timing, whapiTimeoutMs } = pace;
    const scheduler = createCallScheduler({ ledger, whapi, openSecret, timing, effects, onError });
    const resyncs = startResyncWorker({ ledger, whapi, openSecret, scheduler, timing, effects, onError });
    const resyncNotices = startResyncNotices({ ledger, log, effects, onError });
    const onRegistered = (): void => {
      resyncs.wake();
      resyncNotices.wake();
    };
    const passThrough = createPassThrough({
      ...{ ledger, scheduler, timing, effects, onError },
      callTimeoutMs: whapiTimeoutMs,
      onRegistered,
    });
    const sendTest = createTester({ sender, ledger, newId: () => newId('test', effects) });
    const { publicUrl } = config;
    const connector = createConnector({
      ...{ ledger, whapi, scheduler, openSecret, publicUrl, effects },
      timing: pace.connect,
    });
    const doctor = createDoctor({
      ...{ ledger, whapi, scheduler, connector, breakers, openSecret, sendTest, effects },
      refusalOf: sender.refusalOf,
      freeBytes: async () => await freeBytesFor(config.store),
    });
    const jobs = startJobWorker({ ledger, onDeliveries: deliveries.wake, onError, effects });
    const audits = startAuditWorker({
      ...{ ledger, whapi, openSecret, scheduler, effects, onError },
      timing: pace.audit,
      pacing: timing,
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
        await ledger.clockSetBack(byMs);
        scheduler.clockSetBack(byMs);
        resyncs.clockSetBack(byMs);
        audits.clockSetBack(byMs);
        breakers.clockSetBack();
        resyncs.wake();
        deliveries.wake();
      },
      onError,
    });
    const sweep = startSweep(ledger, config, effects, onError);
    const stopWork = async (graceMs: number, serverClosed: Promise<void>): Promise<void> => {
      const calls = [resyncs.stop(), audits.stop(), resyncNotices.stop(), scheduler.stop(graceMs, serverClosed)];
      await Promise.all([deliveries.stop(graceMs), ...calls, jobs.stop(), sweep.stop(), clock.stop()]);
    };
    const server = await startServer({
      config,
      ledger,
      vault,
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
      progressOf: (resync) => progressOf(resync, timing, effects.now(), scheduler.underWay(resync.channel)),
      whapiResyncs: passThrough,
      whapiTimeoutMs,
      refusalOf: sender.refusalOf,
      sendTest,
      connector,
      doctor,
      patience: pace.patience,
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
        await ledger.close();
      },
    };
  } catch (error) {
    await ledger.close();
    // Not yet a server that could answer 503 and go on when there is room again: whoever started it starts it again.
    if (error instanceof GatewayError) throw new StartError('GW_STORE_UNUSABLE', error.message, { cause: error });
    throw error;
  }
}

/** Secrets sealed under another key could not be opened: better to say so at the start than at the first webhook. */
async function checkKey(ledger: Ledger, vault: Vault): Promise<void> {
  if ((await ledger.pin(KEY_FINGERPRINT, vault.fingerprint)) !== vault.fingerprint) {
    throw new StartError(
      'GW_WRONG_KEY',
      'The encryption key is not the one that this database was made with. Set ENCRYPTION_KEY, or the file ' +
        'encryption-key beside the database, back to that one.',
    );
  }
}

/** Up to schema version 3 headers of targets were stored in the clear; only here are both they and the key at hand. */
async function sealHeaders(ledger: Ledger, vault: Vault): Promise<void> {
  for (const { id, headers } of await ledger.targets()) {
    if (!vault.isSealed(headers)) await ledger.changeTarget(id, { headers: vault.seal(headers) });
  }
}

function startSweep(ledger: Ledger, config: Config, effects: Effects, onError: (error: unknown) => void): Loop {
  const retention = { payloadMs: config.retentionDays * DAY_MS, ledgerMs: config.ledgerRetentionDays * DAY_MS };
  const turn = async (): Promise<number> => {
    const isMore = await ledger.prune(retention);
    return effects.now() + (isMore ? SWEEP_PAUSE_MS : SWEEP_EVERY_MS);
  };
  return startLoop({ turn, onError, idleMs: SWEEP_EVERY_MS, effects });
}
