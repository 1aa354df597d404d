import type { Effects } from '../effects.js';
import { GatewayError } from '../errors.js';
import type { Channel, Target } from '../model.js';
import { failureToGatewayError } from '../whapi/answers.js';
import type { WhapiAccess, WhapiClient, WhapiResult } from '../whapi/client.js';
import type { CallScheduler } from '../whapi/scheduler.js';
import type { Settings, WebhookMode, WebhookSetting } from '../whapi/wire.js';
import { identityOf, webhookUrlAt } from './identity.js';
import {
  managedSettings,
  wantedEvents,
  eventsNamed,
  isOurs,
  isSame,
  patchOf,
  planConnect,
  planDisconnect,
} from './policy.js';
import type { Plan, DesiredWebhook } from './policy.js';
import { RESTART_NEEDED, warningsAbout, warningsAboutTargets, warningsAboutUrl } from './warnings.js';
import type { Warning } from './warnings.js';
import type { Registry } from '../store/registry.js';
import type { Traffic } from '../store/traffic.js';
import { placeOf } from '../secret-places.js';
import type { OpenSecret } from '../secret-places.js';

export interface ConnectTimeouts {
  /** For one call about settings. */
  readonly callTimeoutMs: number;
  /** How long after Whapi's answer to a test its webhook may still arrive. */
  readonly arrivalMs: number;
  readonly pollEveryMs: number;
}

export const CONNECT_TIMEOUTS: ConnectTimeouts = { callTimeoutMs: 15_000, arrivalMs: 5000, pollEveryMs: 100 };

export interface ConnectRequest {
  /** Null: PUBLIC_URL, otherwise the URL of the previous connect. */
  readonly publicUrl: string | null;
  readonly mode: WebhookMode | null;
  /** Event names as in targets; null: what the enabled targets of the channel subscribe to. */
  readonly events: readonly string[] | null;
}

export interface Connected extends Plan {
  readonly webhookUrl: string;
  /** The gateway's webhook at Whapi before the change; null if there was none. */
  readonly existing: WebhookSetting | null;
  readonly warnings: readonly Warning[];
}

export interface Verification {
  /** Whether a webhook from Whapi arrived; null: it could not be tested. */
  readonly verified: boolean | null;
  /** The result, and what to do if no webhook arrived. */
  readonly message: string;
}

/** Adds the gateway to the webhooks of a channel at Whapi, and removes it again. */
export interface Connector {
  /** What `connect` would change. @throws GatewayError as `connect` does */
  plan(channel: Channel, request: ConnectRequest): Promise<Connected>;
  /**
   * @throws GatewayError GW_NO_PUBLIC_URL, GW_CONFLICT (the settings keep changing, or no header is free),
   * GW_WHAPI_REFUSED, GW_WHAPI_UNAVAILABLE
   */
  connect(channel: Channel, request: ConnectRequest): Promise<Connected & Verification>;
  planDisconnect(channel: Channel): Promise<Plan>;
  /** Undoes what `connect` changed, and nothing else. @throws GatewayError as `connect` does */
  disconnect(channel: Channel): Promise<Plan>;
}

export interface ConnectorOptions {
  readonly store: { readonly registry: Registry; readonly traffic: Pick<Traffic, 'lastWebhookAt'> };
  readonly whapi: Pick<WhapiClient, 'getSettings' | 'patchSettings' | 'testWebhook'>;
  readonly scheduler: Pick<CallScheduler, 'forPerson'>;
  readonly openSecret: OpenSecret;
  readonly publicUrl: string | null;
  readonly timeouts: ConnectTimeouts;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
}

/** Someone else may write the settings at the same time. After this many attempts the gateway leaves them alone. */
const MOST_WRITE_ATTEMPTS = 4;
/** The event of the test webhook. No bot acts on it, whatever Whapi puts into it. */
const TEST_EVENT_TYPE = 'presences';

export function createConnector(options: ConnectorOptions): Connector {
  const { store, whapi, scheduler, openSecret, timeouts, effects } = options;
  const call = { timeoutMs: timeouts.callTimeoutMs };
  const callWhapi = async <T>(
    channel: Channel,
    make: (access: WhapiAccess) => Promise<WhapiResult<T>>,
  ): Promise<WhapiResult<T>> => {
    const access = {
      baseUrl: channel.whapiBaseUrl,
      token: openSecret(channel.whapiToken, placeOf.whapiToken(channel)),
    };
    return await scheduler.forPerson(channel, 'connect', async () => await make(access));
  };

  const settingsOf = async (channel: Channel): Promise<Settings> =>
    bodyOf(
      await callWhapi(channel, async (access) => await whapi.getSettings(access, call)),
      "read the channel's settings",
    );

  const desiredWebhook = async (
    channel: Channel,
    request: ConnectRequest,
    targets: readonly Target[],
  ): Promise<DesiredWebhook> => {
    const url = await webhookUrlOf(channel, request.publicUrl);
    return {
      ...(await identityOf(channel, request.publicUrl ?? options.publicUrl, options)),
      url,
      mode: request.mode,
      events: request.events === null ? null : eventsNamed(request.events),
      leastEvents: wantedEvents(targets, channel.name),
    };
  };

  const webhookUrlOf = async ({ name }: Channel, publicUrl: string | null): Promise<string> => {
    const base = publicUrl ?? options.publicUrl;
    if (base !== null) return webhookUrlAt(base, name);
    const former = (await store.registry.connection(name))?.webhookUrl;
    if (former !== undefined) return former;
    throw new GatewayError(
      'GW_NO_PUBLIC_URL',
      'The public URL of this gateway is unknown, so Whapi cannot be given a webhook. Send public_url, for example https://gateway.example.com (--public-url on the command line), or set PUBLIC_URL.',
      [{ path: '/public_url', message: 'is required if PUBLIC_URL is not set' }],
    );
  };

  /**
   * Writes until Whapi has the desired settings. Each answer to a write contains the settings before it: if they differ
   * from what was read, someone else wrote in between, and that change is now lost. So the next write is planned from
   * them.
   */
  const applyPlan = async (channel: Channel, first: Settings, planFor: (settings: Settings) => Plan): Promise<Plan> => {
    const plan = planFor(first);
    let current = plan.before;
    let wanted = plan.after;
    for (let writes = 0; !isSame(current, wanted); writes += 1) {
      if (writes === MOST_WRITE_ATTEMPTS) throw settingsKeepChanging(channel);
      const patch = patchOf(current, wanted);
      const result = await callWhapi(channel, async (access) => await whapi.patchSettings(access, patch, call));
      const { before_update: beforeWrite, after_update: afterWrite } = bodyOf(result, "change the channel's settings");
      const isOverwritten =
        beforeWrite !== undefined && afterWrite !== undefined && !isSame(managedSettings(beforeWrite), current);
      const now = isOverwritten ? afterWrite : await settingsOf(channel);
      current = managedSettings(now);
      wanted = planFor(isOverwritten ? beforeWrite : now).after;
    }
    return { ...plan, after: current };
  };

  const prepareConnect = async (channel: Channel, request: ConnectRequest) => {
    const targets = await store.registry.targets();
    const desired = await desiredWebhook(channel, request, targets);
    const settings = await settingsOf(channel);
    const plan = planConnect(settings, desired);
    const isPersistNew = plan.after.callback_persist !== plan.before.callback_persist;
    const warnings = [
      ...warningsAboutUrl(desired.url, channel.whapiBaseUrl),
      ...warningsAbout(plan.before, desired, targets),
      ...(desired.events === null ? warningsAboutTargets(targets, channel.name) : []),
      ...(isPersistNew ? [RESTART_NEEDED] : []),
    ];
    const existing = plan.before.webhooks.find((webhook) => isOurs(webhook, desired)) ?? null;
    return { desired, settings, plan, existing, isPersistNew, warnings };
  };

  const verify = async (channel: Channel, { url, mode }: { url: string; mode: WebhookMode }): Promise<Verification> => {
    const since = effects.now();
    const headers = { Authorization: `Bearer ${openSecret(channel.webhookSecret, placeOf.webhookSecret(channel))}` };
    const test = { url, type: TEST_EVENT_TYPE, mode, headers };
    const result = await callWhapi(channel, async (access) => await whapi.testWebhook(access, test, call));
    const deadline = effects.now() + (result.kind === 'found' ? timeouts.arrivalMs : 0);
    while ((await store.traffic.lastWebhookAt(channel.name, since)) === null) {
      if (effects.now() >= deadline) return notArrived(result, url);
      await effects.sleep(timeouts.pollEveryMs);
    }
    return { verified: true, message: 'A webhook from Whapi arrived with the right secret.' };
  };

  return {
    plan: async (channel, request) => {
      const { desired, plan, existing, warnings } = await prepareConnect(channel, request);
      return { ...plan, webhookUrl: desired.url, existing, warnings };
    },
    connect: async (channel, request) => {
      const { desired, settings, existing, isPersistNew, warnings } = await prepareConnect(channel, request);
      // Stored before anything changes: after a crash in between, `disconnect` still knows what to undo.
      const connection = { webhookUrl: desired.url, hasSetPersist: isPersistNew, connectedAt: effects.now() };
      await store.registry.rememberConnection(channel.name, connection);
      const plan = await applyPlan(channel, settings, (now) => planConnect(now, desired));
      const mode = plan.after.webhooks.find(({ url }) => url === desired.url)?.mode ?? 'body';
      const verification = await verify(channel, { url: desired.url, mode });
      return { ...plan, webhookUrl: desired.url, existing, warnings, ...verification };
    },
    planDisconnect: async (channel) => (await prepareDisconnect(channel)).plan,
    disconnect: async (channel) => {
      const { settings, planFor } = await prepareDisconnect(channel);
      const plan = await applyPlan(channel, settings, planFor);
      await store.registry.forgetConnection(channel.name);
      return plan;
    },
  };

  async function prepareDisconnect(channel: Channel) {
    const identity = await identityOf(channel, options.publicUrl, options);
    const persist = (await store.registry.connection(channel.name))?.hasSetPersist ? false : null;
    const planFor = (settings: Settings): Plan => planDisconnect(settings, identity, persist);
    const settings = await settingsOf(channel);
    return { settings, planFor, plan: planFor(settings) };
  }
}

/** @throws GatewayError GW_WHAPI_REFUSED, GW_WHAPI_UNAVAILABLE */
function bodyOf<T>(result: WhapiResult<T>, wanted: string): T {
  if (result.kind === 'found') return result.body;
  throw failureToGatewayError(result, wanted);
}

function settingsKeepChanging({ name }: Channel): GatewayError {
  return new GatewayError(
    'GW_CONFLICT',
    `The settings of channel "${name}" at Whapi keep changing. Find out who changes them, then connect again.`,
  );
}

function notArrived(result: WhapiResult<{ success: boolean }>, url: string): Verification {
  if (result.kind !== 'found') {
    const { message } = failureToGatewayError(result, 'send a test webhook');
    return { verified: null, message: `${message} The channel's next message will show whether webhooks arrive.` };
  }
  const message = result.body.success
    ? `Whapi got an answer to its test webhook, but the webhook did not arrive here: another server answers at ${url}. ` +
      'Check that the proxy before the gateway forwards /webhooks/ with method, path and headers unchanged.'
    : `Whapi's test webhook did not arrive. Check that ${url} can be reached from the internet: DNS, firewall, TLS ` +
      'certificate, and a proxy that forwards /webhooks/ with its Authorization header.';
  return { verified: false, message };
}
