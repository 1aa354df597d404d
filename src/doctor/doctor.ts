import type { Connector } from '../connect/connector.js';
import type { Effects } from '../effects.js';
import { GatewayError } from '../errors.js';
import type { Registry, Upkeep } from '../ledger/ledger.js';
import type { Views } from '../ledger/views.js';
import type { Attempt, Channel, Sealed, Target } from '../model.js';
import { refusalBy } from '../whapi/answers.js';
import type { WhapiClient } from '../whapi/client.js';
import type { CallScheduler } from '../whapi/scheduler.js';
import {
  clockCheck,
  diskCheck,
  healthCheck,
  lastWebhookCheck,
  missing,
  storeCheck,
  targetCheck,
  webhookCheck,
  whapiFailure,
} from './policy.js';
import type { Check } from './policy.js';

export interface DoctorOptions {
  readonly ledger: Pick<Registry, 'channels' | 'targets'> & Pick<Upkeep, 'probe'> & Pick<Views, 'lastWebhookAt'>;
  readonly whapi: Pick<WhapiClient, 'getHealth'>;
  readonly scheduler: Pick<CallScheduler, 'forPerson'>;
  readonly connector: Pick<Connector, 'plan'>;
  readonly openSecret: (sealed: Sealed) => string;
  readonly refusalOf: (url: string) => string | null;
  readonly sendTest: (target: Target) => Promise<Attempt>;
  /** Bytes free on the disk of the database; null: it is on another machine. */
  readonly freeBytes: () => Promise<number | null>;
  readonly effects: Pick<Effects, 'now'>;
}

export interface Doctor {
  /** Looks at everything that a working gateway depends on. `sendTest`: each target is sent a test event. */
  examine(options: { sendTest: boolean }): Promise<readonly Check[]>;
}

const HEALTH_TIMEOUT_MS = 10_000;
const AS_TARGETS_WANT = { publicUrl: null, mode: null, events: null };

export function createDoctor(options: DoctorOptions): Doctor {
  const { ledger, whapi, connector, effects } = options;

  const store = async (): Promise<Check[]> => {
    const refusal = await ledger.probe().then(
      () => null,
      (error: unknown) => wordsOf(error),
    );
    const free = await options.freeBytes();
    return [storeCheck(refusal), ...(free === null ? [] : [diskCheck(free)])];
  };

  /** Health, settings and webhooks of one channel; the clock's skew against Whapi's where it told the time. */
  const channel = async (each: Channel): Promise<{ checks: Check[]; skewMs: number | null }> => {
    const access = { baseUrl: each.whapiBaseUrl, token: options.openSecret(each.whapiToken) };
    let asked = effects.now();
    const health = await options.scheduler.forPerson(each, 'doctor', async () => {
      asked = effects.now(); // the clock is compared with Whapi's: time in line is not counted
      return await whapi.getHealth(access, { timeoutMs: HEALTH_TIMEOUT_MS });
    });
    const last = lastWebhookCheck(each.name, await ledger.lastWebhookAt(each.name, 0), effects.now());
    if (health.kind !== 'found') {
      const failure = whapiFailure(each.name, refusalBy(health, 'tell its health').message);
      return { checks: [failure, last], skewMs: null };
    }
    const checks = [healthCheck(each.name, health.body.status.text), ...(await settings(each)), last];
    return { checks, skewMs: health.date === null ? null : (asked + effects.now()) / 2 - health.date };
  };

  const settings = async (each: Channel): Promise<Check[]> => {
    try {
      const { changes, isThere, warnings } = await connector.plan(each, AS_TARGETS_WANT);
      const about = { name: 'webhook_settings', subject: each.name, status: 'warn', fix: null } as const;
      return [
        webhookCheck(each.name, { isThere, changes }),
        ...warnings.map(({ webhookUrl, message }) => ({
          ...about,
          message: webhookUrl === null ? message : `${webhookUrl}: ${message}`,
        })),
      ];
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      const status = error.code === 'GW_NO_PUBLIC_URL' ? 'warn' : 'fail';
      return [{ name: 'webhook', subject: each.name, status, message: error.message, fix: null }];
    }
  };

  const target = async (each: Target, sendTest: boolean, channels: ReadonlySet<string>): Promise<Check> => {
    const refusal = options.refusalOf(each.url);
    const test = sendTest && refusal === null ? await options.sendTest(each) : null;
    return targetCheck(each, { refusal, test, channels });
  };

  return {
    examine: async ({ sendTest }) => {
      const [channels, targets] = await Promise.all([ledger.channels(), ledger.targets()]);
      const names = new Set(channels.map(({ name }) => name));
      const [ofStore, ofChannels, ofTargets] = await Promise.all([
        store(),
        Promise.all(channels.map(channel)),
        Promise.all(targets.map(async (each) => await target(each, sendTest, names))),
      ]);
      const skewMs = ofChannels.map((each) => each.skewMs).find((each) => each !== null);
      return [
        ...ofStore,
        ...(skewMs === undefined ? [] : [clockCheck(skewMs)]),
        ...(channels.length === 0 ? [missing('channels')] : ofChannels.flatMap(({ checks }) => checks)),
        ...(targets.length === 0 ? [missing('targets')] : ofTargets),
      ];
    },
  };
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
