import { GatewayError } from '../errors.js';
import { nameOf } from '../intake/event.js';
import { documentedEvents } from '../intake/subscription.js';
import type { Target } from '../model.js';
import { MASK } from '../quoted.js';
import { DOCUMENTED_EVENTS, LEGACY_EVENT_TYPES, MOST_WEBHOOK_HEADERS } from '../whapi/wire.js';
import type { EventName, Settings, WebhookMode, WebhookSetting } from '../whapi/wire.js';

/** How to recognize the gateway's own webhook among the webhooks at Whapi. */
export interface Identity {
  /** The channel's webhook URLs, of now and of an earlier connect. */
  readonly urls: readonly string[];
  readonly secret: string;
}

/** What the gateway's webhook at Whapi should be. */
export interface DesiredWebhook extends Identity {
  readonly url: string;
  /** Null: unchanged, `body` for a new webhook. */
  readonly mode: WebhookMode | null;
  /** Exactly these events; null: the current ones plus `leastEvents`. */
  readonly events: readonly EventName[] | null;
  readonly leastEvents: readonly EventName[];
}

/** The part of the settings that connecting changes. */
export interface ManagedSettings {
  readonly webhooks: readonly WebhookSetting[];
  readonly callback_persist: boolean;
}

export interface Plan {
  readonly before: ManagedSettings;
  readonly after: ManagedSettings;
  /** What changes, for people; empty if nothing does. */
  readonly changes: readonly string[];
}

/** Frequent and of no use to most bots, so only requested for targets that name it. */
const NOISY_TYPE = 'presences';
/** Needed by the gateway itself: it tells whether the channel can resync. */
const CHANNEL_STATE: EventName = { type: 'channel', method: 'post' };
/** Requested while no target says what it takes: resyncs are about messages, and most bots take them. */
const MESSAGES: EventName = { type: 'messages', method: 'post' };

/**
 * The settings with the gateway's webhook in them. Idempotent: what matches already is left alone. Other webhooks keep
 * their settings and their order. A second webhook of the gateway is removed, because every event would arrive twice.
 * @throws GatewayError GW_CONFLICT (no header is free for the secret)
 */
export function planConnect(current: Settings, desired: DesiredWebhook): Plan {
  const before = managedSettings(current);
  const [existing] = before.webhooks.filter((webhook) => isOurs(webhook, desired));
  const ours = desiredSetting(existing, desired);
  const others = before.webhooks.filter((webhook) => webhook === existing || !isOurs(webhook, desired));
  const after = {
    webhooks: existing ? others.map((webhook) => (webhook === existing ? ours : webhook)) : [...others, ours],
    callback_persist: true,
  };
  const extra = before.webhooks.length - others.length;
  return {
    before,
    after,
    changes: [
      ...(existing ? changesBetween(existing, ours) : [`adds a webhook to ${ours.url} (${namesOf(ours.events)})`]),
      ...(extra > 0 ? [`removes ${extra} more of the gateway's webhooks: every event would arrive twice`] : []),
      ...(before.callback_persist ? [] : [PERSIST_ON]),
    ],
  };
}

const PERSIST_ON = 'sets callback_persist: Whapi keeps webhooks on disk until they are answered';

/** The settings without the gateway's webhook. `persistBefore`: the earlier callback_persist; null: leave it alone. */
export function planDisconnect(current: Settings, identity: Identity, persistBefore: boolean | null): Plan {
  const before = managedSettings(current);
  const webhooks = before.webhooks.filter((webhook) => !isOurs(webhook, identity));
  const gone = before.webhooks.filter((webhook) => isOurs(webhook, identity));
  const after = { webhooks, callback_persist: persistBefore ?? before.callback_persist };
  return {
    before,
    after,
    changes: [
      ...gone.map(({ url }) => `removes the webhook to ${maskedUrl(url)}`),
      ...(after.callback_persist === before.callback_persist
        ? []
        : [`sets callback_persist back to ${after.callback_persist}, as it was before the gateway was connected`]),
    ],
  };
}

/** Whether two settings mean the same. Null counts as missing. */
export function isSame(one: ManagedSettings, other: ManagedSettings): boolean {
  return canonicalJson(one) === canonicalJson(other);
}

export function managedSettings({ webhooks, callback_persist }: Settings): ManagedSettings {
  return { webhooks: webhooks ?? [], callback_persist: callback_persist ?? false };
}

/** The PATCH that turns the current settings into `after`. */
export function patchOf(current: ManagedSettings, after: ManagedSettings): Settings {
  return {
    ...(canonicalJson(current.webhooks) !== canonicalJson(after.webhooks) && { webhooks: after.webhooks }),
    ...(current.callback_persist !== after.callback_persist && { callback_persist: after.callback_persist }),
  };
}

/** Recognized by its URL, with or without the secret in it, or by the secret, which nothing else has. */
export function isOurs({ url, headers = {} }: WebhookSetting, { urls, secret }: Identity): boolean {
  const bearer = Object.entries(headers).find(isAuthorization)?.[1];
  const place = locationOf(url);
  return (
    urls.some((each) => locationOf(each) === place) || bearer === `Bearer ${secret}` || url.includes(`/s/${secret}`)
  );
}

function isAuthorization([name]: [string, string]): boolean {
  return name.toLowerCase() === 'authorization';
}

function desiredSetting(
  existing: WebhookSetting | undefined,
  { url, mode, events, leastEvents, secret }: DesiredWebhook,
): WebhookSetting {
  const header = Object.entries(existing?.headers ?? {}).find(isAuthorization)?.[0] ?? 'Authorization';
  const kept = Object.entries(existing?.headers ?? {}).filter((each) => !isAuthorization(each));
  if (kept.length >= MOST_WEBHOOK_HEADERS) {
    throw new GatewayError(
      'GW_CONFLICT',
      `The gateway's webhook at Whapi has ${kept.length} headers of your own. Whapi allows ${MOST_WEBHOOK_HEADERS}, and ` +
        'the gateway needs one for its secret. Remove one at Whapi, then connect again.',
    );
  }
  return {
    ...existing,
    url,
    mode: mode ?? existing?.mode ?? 'body',
    events: events ?? union(currentEvents(existing), leastEvents),
    headers: { ...Object.fromEntries(kept), [header]: `Bearer ${secret}` },
    // The limit would drop genuine messages sent while the phone was offline. A target's max_age_seconds drops nothing.
    ...(typeof existing?.webhook_max_age_seconds === 'number' && { webhook_max_age_seconds: null }),
  };
}

function currentEvents(existing: WebhookSetting | undefined): readonly EventName[] {
  return (existing?.events ?? []).filter(({ type }) => !LEGACY_EVENT_TYPES.has(type));
}

/** The events of `one` in their order, then the additional ones of `more`. */
function union(one: readonly EventName[], more: readonly EventName[]): EventName[] {
  return [...new Map([...one, ...more].map((event) => [nameOf(event), event])).values()];
}

function changesBetween(existing: WebhookSetting, ours: WebhookSetting): string[] {
  const isChanged = (field: string): boolean => canonicalJson(existing[field]) !== canonicalJson(ours[field]);
  const names = new Set(existing.events?.map(nameOf));
  const added = (ours.events ?? []).filter((event) => !names.delete(nameOf(event)));
  return [
    ...(isChanged('url') ? [`points the gateway's webhook to ${ours.url} instead of ${maskedUrl(existing.url)}`] : []),
    ...(isChanged('mode') ? [`changes its mode from ${existing.mode ?? 'body'} to ${ours.mode ?? 'body'}`] : []),
    ...(added.length > 0 ? [`subscribes it to ${namesOf(added)}`] : []),
    ...(names.size > 0 ? [`unsubscribes it from ${[...names].join(', ')}`] : []),
    ...(isChanged('headers') ? ['sets its secret header'] : []),
    ...(isChanged('webhook_max_age_seconds') ? [`removes its webhook_max_age_seconds: ${MAX_AGE_LOSS}`] : []),
  ];
}

/** A webhook for display: its known fields, with secrets masked. */
export interface DisplayedWebhook {
  readonly url: string;
  readonly mode: string;
  readonly events: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly webhookMaxAgeSeconds: number | null;
}

export function displayed(webhook: WebhookSetting): DisplayedWebhook {
  return {
    url: maskedUrl(webhook.url),
    mode: webhook.mode ?? 'body',
    events: (webhook.events ?? []).map(nameOf),
    headers: Object.fromEntries(Object.keys(webhook.headers ?? {}).map((name) => [name, MASK])),
    webhookMaxAgeSeconds: webhook.webhook_max_age_seconds ?? null,
  };
}

export const MAX_AGE_LOSS = 'messages that were sent while the phone was offline would never arrive';

/** The enabled targets that receive a channel's events. */
export function receiversOf(targets: readonly Target[], channel: string): Target[] {
  return targets.filter(({ enabled, channels }) => enabled && (channels.includes('*') || channels.includes(channel)));
}

/**
 * The events that the enabled targets of a channel subscribe to, and the channel's own state. Presences are included
 * only if a target names them. Without any such target: the state and new messages.
 */
export function wantedEvents(targets: readonly Target[], channel: string): EventName[] {
  const meant = receiversOf(targets, channel);
  if (meant.length === 0) return [MESSAGES, CHANNEL_STATE];
  const named = meant.flatMap(({ events }) => events.filter((event) => event !== '*'));
  const wantsAll = meant.some(({ events }) => events.includes('*'));
  const documented = wantsAll ? DOCUMENTED_EVENTS.filter(({ type }) => type !== NOISY_TYPE) : [];
  return union([...documented, ...eventsNamed(named)], [CHANNEL_STATE]);
}

/** `*`, `messages`, `messages.*` and `messages.post` as events. An unknown type is used as it is written. */
export function eventsNamed(names: readonly string[]): EventName[] {
  const known = documentedEvents(names);
  const literal = names.flatMap((name) => {
    const [type = '', method = '*'] = name.split('.');
    const isKnown = name === '*' || known.some((event) => event.type === type);
    const methods = method === '*' ? (['post', 'put', 'patch', 'delete'] as const) : [method as EventName['method']];
    return isKnown ? [] : methods.map((each) => ({ type, method: each }));
  });
  return union(known, literal);
}

const MOST_NAMED_EVENTS = 6;

function namesOf(events: readonly EventName[] = []): string {
  return events.length > MOST_NAMED_EVENTS ? `${events.length} events` : events.map(nameOf).join(', ');
}

/** A webhook's URL without the secret, in whatever form it contains one. */
function locationOf(url: string): string {
  if (!URL.canParse(url)) return url;
  const { origin, pathname } = new URL(url);
  return origin + pathname.replace(/\/s\/[^/]+\/?$/, '').replace(/\/+$/, '');
}

/** A URL for display, with everything masked that may be a secret. */
export function maskedUrl(url: string): string {
  if (!URL.canParse(url)) return url;
  const { protocol, host, pathname, searchParams } = new URL(url);
  const query = [...searchParams.keys()].map((name) => `${name}=***`).join('&');
  return `${protocol}//${host}${pathname.replace(/(\/s\/)[^/]+/g, '$1***')}${query === '' ? '' : `?${query}`}`;
}

/** JSON with sorted keys and without nulls, so that equal settings give equal texts. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    const entries = Object.entries(part).filter(([, each]) => each !== null && each !== undefined);
    return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
  });
}
