import type { Connector } from '../connect/connector.js';
import type { Effects } from '../effects.js';
import { GatewayError } from '../errors.js';
import type { Breaker, Channel, EventName, Target, TargetTest } from '../model.js';
import { failureToGatewayError } from '../whapi/answers.js';
import type { WhapiClient } from '../whapi/client.js';
import type { CallScheduler } from '../whapi/scheduler.js';
import {
  clockCheck,
  damageCheck,
  diskCheck,
  healthCheck,
  lastWebhookCheck,
  noneConfigured,
  probeChecks,
  refusedCheck,
  replayCheck,
  storeCheck,
  targetCheck,
  webhookCheck,
  whapiFailure,
} from './policy.js';
import type { Check } from './policy.js';
import { serverChecks } from './server-checks.js';
import {
  backlogCheck,
  breakerCheck,
  deadCheck,
  sharedUrlChecks,
  subscriptionCheck,
  unhandledCheck,
} from './target-checks.js';
import type { Outbox } from '../store/outbox.js';
import type { Probes } from '../store/probes.js';
import type { Registry } from '../store/registry.js';
import type { Replicas } from '../store/replicas.js';
import type { DatabaseServer } from '../store/server.js';
import type { Traffic } from '../store/traffic.js';
import type { Upkeep } from '../store/upkeep.js';
import { errorText } from '../errors.js';
import { placeOf } from '../secret-places.js';
import type { OpenSecret } from '../secret-places.js';

export interface DoctorOptions {
  readonly store: {
    readonly registry: Pick<Registry, 'targets' | 'channels'>;
    readonly upkeep: Pick<Upkeep, 'probe'>;
    readonly traffic: Pick<Traffic, 'of' | 'recentEvents'>;
    readonly outbox: Pick<Outbox, 'loadOf'>;
    readonly probes: Pick<Probes, 'of'>;
    readonly server: DatabaseServer;
    readonly replicas: Pick<Replicas, 'list'>;
  };
  readonly breakers: { of(targetId: string): Breaker };
  readonly whapi: Pick<WhapiClient, 'getHealth'>;
  readonly scheduler: Pick<CallScheduler, 'forPerson'>;
  readonly connector: Pick<Connector, 'plan'>;
  readonly openSecret: OpenSecret;
  readonly whyRefused: (url: string) => string | null;
  readonly sendTest: (checkTarget: Target) => Promise<TargetTest>;
  /** The damage found in the store so far; null if there is none. */
  readonly damage: () => string | null;
  /** Free bytes on the disk of the database; null if it is on another machine. */
  readonly freeBytes: () => Promise<number | null>;
  readonly effects: Pick<Effects, 'now'>;
}

export interface Doctor {
  /** Checks everything that a working gateway depends on. `sendTest`: sends each target a test event. */
  examine(options: { sendTest: boolean }): Promise<readonly Check[]>;
}

const HEALTH_TIMEOUT_MS = 10_000;
const DEFAULT_REQUEST = { publicUrl: null, mode: null, events: null };

/** The results for one channel. */
interface ChannelFindings {
  readonly checks: readonly Check[];
  /** How far the clock is ahead of Whapi's; null if Whapi's answer had no date. */
  readonly skewMs: number | null;
  /** The events that Whapi sends for it according to its settings; null if that is not known. */
  readonly sent: readonly EventName[] | null;
}

export function createDoctor(options: DoctorOptions): Doctor {
  const { store, whapi, connector, effects } = options;

  const storeChecks = async (): Promise<Check[]> => {
    const refusal = await store.upkeep.probe().then(
      () => null,
      (error: unknown) => errorText(error),
    );
    const free = await options.freeBytes();
    return [
      storeCheck(refusal),
      ...listOf(damageCheck(options.damage())),
      ...(free === null ? [] : [diskCheck(free)]),
      ...(refusal === null ? await databaseChecks() : []),
    ];
  };

  const databaseChecks = async (): Promise<Check[]> => {
    const facts = await store.server.facts();
    return facts === null ? [] : serverChecks(facts, await store.replicas.list(), effects.now());
  };

  /** Checks health, settings and webhooks of one channel. */
  const examineChannel = async (each: Channel): Promise<ChannelFindings> => {
    const access = { baseUrl: each.whapiBaseUrl, token: options.openSecret(each.whapiToken, placeOf.whapiToken(each)) };
    let startedAt = effects.now();
    const health = await options.scheduler.forPerson(each, 'doctor', async () => {
      startedAt = effects.now(); // for comparing the clocks, so without the wait for the turn
      return await whapi.getHealth(access, { timeoutMs: HEALTH_TIMEOUT_MS });
    });
    const [traffic, probe] = await Promise.all([store.traffic.of(each.name), store.probes.of(each.name)]);
    const last = [
      lastWebhookCheck(each.name, traffic.lastWebhookAt, effects.now()),
      ...listOf(refusedCheck(each.name, traffic, effects.now())),
      ...listOf(replayCheck(each, traffic.lastReplay, effects.now())),
      ...probeChecks(each.name, probe, effects.now()),
    ];
    if (health.kind !== 'found') {
      const failure = whapiFailure(each.name, failureToGatewayError(health, "read the channel's health").message);
      return { checks: [failure, ...last], skewMs: null, sent: null };
    }
    const { checks: ofSettings, sent } = await settingsChecks(each);
    const checks = [healthCheck(each.name, health.body.status.text), ...ofSettings, ...last];
    return { checks, sent, skewMs: health.date === null ? null : (startedAt + effects.now()) / 2 - health.date };
  };

  const settingsChecks = async (each: Channel): Promise<Pick<ChannelFindings, 'checks' | 'sent'>> => {
    try {
      const { changes, existing, warnings } = await connector.plan(each, DEFAULT_REQUEST);
      const about = { name: 'webhook_settings', subject: each.name, status: 'warn', fix: null } as const;
      const events = existing?.events ?? [];
      const checks = [
        webhookCheck(each.name, { isConnected: existing !== null, changes }),
        ...warnings.map(({ webhookUrl, message }) => ({
          ...about,
          message: webhookUrl === null ? message : `${webhookUrl}: ${message}`,
        })),
      ];
      return { checks, sent: events.length > 0 ? events : null };
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      const status = error.code === 'GW_NO_PUBLIC_URL' ? 'warn' : 'fail';
      const check = { name: 'webhook', subject: each.name, status, message: error.message, fix: null } as const;
      return { checks: [check], sent: null };
    }
  };

  const target = async (each: Target, sendTest: boolean, channels: ReadonlySet<string>): Promise<Check> => {
    const refusal = options.whyRefused(each.url);
    const test = sendTest && refusal === null ? await options.sendTest(each) : null;
    return targetCheck(each, { refusal, test, channels });
  };

  /** Checks what waits for a target, what it refused, and whether it receives anything at all. */
  const deliveryChecks = async (each: Target, sent: ReadonlyMap<string, readonly EventName[]>): Promise<Check[]> => {
    const load = await store.outbox.loadOf(each.id);
    return [
      ...listOf(breakerCheck(each, options.breakers.of(each.id), load)),
      ...listOf(backlogCheck(each, load, effects.now())),
      ...listOf(deadCheck(each, load)),
      ...listOf(unhandledCheck(each, load)),
      ...listOf(subscriptionCheck(each, sent)),
    ];
  };

  return {
    examine: async ({ sendTest }) => {
      const [channels, targets] = await Promise.all([store.registry.channels(), store.registry.targets()]);
      const names = new Set(channels.map(({ name }) => name));
      const [ofStore, ofChannels, ofTargets, recent] = await Promise.all([
        storeChecks(),
        Promise.all(channels.map(examineChannel)),
        Promise.all(targets.map(async (each) => await target(each, sendTest, names))),
        store.traffic.recentEvents(),
      ]);
      const sent = new Map(
        channels.map(({ name }, index) => [name, [...(ofChannels[index]?.sent ?? []), ...(recent.get(name) ?? [])]]),
      );
      const ofDeliveries = await Promise.all(targets.map(async (each) => await deliveryChecks(each, sent)));
      const skewMs = ofChannels.map((each) => each.skewMs).find((each) => each !== null);
      return [
        ...ofStore,
        ...(skewMs === undefined ? [] : [clockCheck(skewMs)]),
        ...(channels.length === 0 ? [noneConfigured('channels')] : ofChannels.flatMap(({ checks }) => checks)),
        ...(targets.length === 0 ? [noneConfigured('targets')] : ofTargets),
        ...sharedUrlChecks(targets),
        ...ofDeliveries.flat(),
      ];
    },
  };
}

function listOf(check: Check | null): Check[] {
  return check === null ? [] : [check];
}
