import { GatewayError } from '../errors.js';
import { nameOf } from '../intake/event.js';
import { documentedBy } from '../intake/subscription.js';
import type { Target } from '../model.js';
import { DOCUMENTED_EVENTS, LEGACY_EVENT_TYPES, MOST_WEBHOOK_HEADERS } from '../whapi/wire.js';
import type { EventName, Settings, WebhookMode, WebhookSetting } from '../whapi/wire.js';

/** By what a webhook among others at Whapi is known to be the gateway's. */
export interface Identity {
  /** Where the channel's webhooks come in, now and under an earlier connect. */
  readonly urls: readonly string[];
  readonly secret: string;
}

/** What the gateway's webhook at Whapi is to be. */
export interface Wish extends Identity {
  readonly url: string;
  /** Null: as it is, `body` where there is none yet. */
  readonly mode: WebhookMode | null;
  /** Exactly these; null: `atLeast` on top of what it is subscribed to. */
  readonly events: readonly EventName[] | null;
  readonly atLeast: readonly EventName[];
}

/** The part of the settings that is touched. */
export interface Connectable {
  readonly webhooks: readonly WebhookSetting[];
  readonly callback_persist: boolean;
}

export interface Plan {
  readonly before: Connectable;
  readonly after: Connectable;
  /** What is different, in words; empty where nothing is. */
  readonly changes: readonly string[];
}

/** High in number, of no use to most bots: only for a target that names them. */
const NOISY_TYPE = 'presences';
/** What the gateway itself goes by: whether the channel can resync. */
const CHANNEL_STATE: EventName = { type: 'channel', method: 'post' };
/** Asked for while no target says what it takes: what is resynced is messages, and most bots take these. */
const MESSAGES: EventName = { type: 'messages', method: 'post' };

/**
 * The settings with the gateway's webhook in them, for the same `current` always the same: what is as it is wished is
 * left alone. Webhooks of others stay what they are, and where they are. A second webhook of the gateway's goes, for
 * every event would come twice. @throws GatewayError GW_CONFLICT (no header is free for the secret)
 */
export function planConnect(current: Settings, wish: Wish): Plan {
  const before = connectable(current);
  const [existing] = before.webhooks.filter((webhook) => isOurs(webhook, wish));
  const ours = wished(existing, wish);
  const others = before.webhooks.filter((webhook) => webhook === existing || !isOurs(webhook, wish));
  const after = {
    webhooks: existing ? others.map((webhook) => (webhook === existing ? ours : webhook)) : [...others, ours],
    callback_persist: true,
  };
  const extra = before.webhooks.length - others.length;
  return {
    before,
    after,
    changes: [
      ...(existing ? updates(existing, ours) : [`adds a webhook to ${ours.url} (${namesOf(ours.events)})`]),
      ...(extra > 0 ? [`removes ${extra} more of the gateway's webhooks: every event would come twice`] : []),
      ...(before.callback_persist ? [] : [PERSIST_ON]),
    ],
  };
}

const PERSIST_ON = 'sets callback_persist: Whapi keeps webhooks on disk until they are answered';

/** The settings without the gateway's webhook. `persistBefore`: what callback_persist was; null: it is left alone. */
export function planDisconnect(current: Settings, identity: Identity, persistBefore: boolean | null): Plan {
  const before = connectable(current);
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

/** Whether two states mean the same. What is null is the same as what is not there. */
export function isSame(one: Connectable, other: Connectable): boolean {
  return canonical(one) === canonical(other);
}

export function connectable({ webhooks, callback_persist }: Settings): Connectable {
  return { webhooks: webhooks ?? [], callback_persist: callback_persist ?? false };
}

/** What of `plan.after` differs from what Whapi has, as a PATCH. */
export function patchOf(current: Connectable, after: Connectable): Settings {
  return {
    ...(canonical(current.webhooks) !== canonical(after.webhooks) && { webhooks: after.webhooks }),
    ...(current.callback_persist !== after.callback_persist && { callback_persist: after.callback_persist }),
  };
}

/** By its URL, with or without the secret in it, else by the secret itself: no one else has it. */
export function isOurs({ url, headers = {} }: WebhookSetting, { urls, secret }: Identity): boolean {
  const bearer = Object.entries(headers).find(isAuthorization)?.[1];
  const place = placeOf(url);
  return urls.some((each) => placeOf(each) === place) || bearer === `Bearer ${secret}` || url.includes(`/s/${secret}`);
}

function isAuthorization([name]: [string, string]): boolean {
  return name.toLowerCase() === 'authorization';
}

function wished(existing: WebhookSetting | undefined, { url, mode, events, atLeast, secret }: Wish): WebhookSetting {
  const header = Object.entries(existing?.headers ?? {}).find(isAuthorization)?.[0] ?? 'Authorization';
  const kept = Object.entries(existing?.headers ?? {}).filter((each) => !isAuthorization(each));
  if (kept.length >= MOST_WEBHOOK_HEADERS) {
    throw new GatewayError(
      'GW_CONFLICT',
      `The gateway's webhook at Whapi has ${kept.length} headers of your own, and Whapi takes ${MOST_WEBHOOK_HEADERS} ` +
        'with the one for the secret. Take one off it there, then connect again.',
    );
  }
  return {
    ...existing,
    url,
    mode: mode ?? existing?.mode ?? 'body',
    events: events ?? union(subscribed(existing), atLeast),
    headers: { ...Object.fromEntries(kept), [header]: `Bearer ${secret}` },
    // It would drop genuine messages that were sent while the phone was offline; a target's own limit loses nothing.
    ...(typeof existing?.webhook_max_age_seconds === 'number' && { webhook_max_age_seconds: null }),
  };
}

function subscribed(existing: WebhookSetting | undefined): readonly EventName[] {
  return (existing?.events ?? []).filter(({ type }) => !LEGACY_EVENT_TYPES.has(type));
}

/** Those of `one` in their order, then what `more` adds. */
function union(one: readonly EventName[], more: readonly EventName[]): EventName[] {
  return [...new Map([...one, ...more].map((event) => [nameOf(event), event])).values()];
}

function updates(existing: WebhookSetting, ours: WebhookSetting): string[] {
  const is = (field: string): boolean => canonical(existing[field]) !== canonical(ours[field]);
  const names = new Set(existing.events?.map(nameOf));
  const added = (ours.events ?? []).filter((event) => !names.delete(nameOf(event)));
  return [
    ...(is('url') ? [`points the gateway's webhook to ${ours.url} instead of ${maskedUrl(existing.url)}`] : []),
    ...(is('mode') ? [`changes its mode from ${existing.mode ?? 'body'} to ${ours.mode ?? 'body'}`] : []),
    ...(added.length > 0 ? [`subscribes it to ${namesOf(added)}`] : []),
    ...(names.size > 0 ? [`unsubscribes it from ${[...names].join(', ')}`] : []),
    ...(is('headers') ? ['sets its secret header'] : []),
    ...(is('webhook_max_age_seconds') ? [`takes its webhook_max_age_seconds off: ${MAX_AGE_LOSES}`] : []),
  ];
}

/** A webhook to be shown: its known fields, secrets masked. */
export interface ShownWebhook {
  readonly url: string;
  readonly mode: string;
  readonly events: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly webhookMaxAgeSeconds: number | null;
}

export function shown(webhook: WebhookSetting): ShownWebhook {
  return {
    url: maskedUrl(webhook.url),
    mode: webhook.mode ?? 'body',
    events: (webhook.events ?? []).map(nameOf),
    headers: Object.fromEntries(Object.keys(webhook.headers ?? {}).map((name) => [name, '***'])),
    webhookMaxAgeSeconds: webhook.webhook_max_age_seconds ?? null,
  };
}

export const MAX_AGE_LOSES = 'messages that were sent while the phone was offline would never come';

/** The targets that a channel's events go to now. */
export function receiversOf(targets: readonly Target[], channel: string): Target[] {
  return targets.filter(({ enabled, channels }) => enabled && (channels.includes('*') || channels.includes(channel)));
}

/**
 * What the enabled targets of a channel subscribe to, presences only where one names them, and the channel's own state.
 * Without such a target: the state and new messages.
 */
export function eventsFor(targets: readonly Target[], channel: string): EventName[] {
  const meant = receiversOf(targets, channel);
  if (meant.length === 0) return [MESSAGES, CHANNEL_STATE];
  const named = meant.flatMap(({ events }) => events.filter((event) => event !== '*'));
  const wantsAll = meant.some(({ events }) => events.includes('*'));
  const usual = wantsAll ? DOCUMENTED_EVENTS.filter(({ type }) => type !== NOISY_TYPE) : [];
  return union([...usual, ...eventsNamed(named)], [CHANNEL_STATE]);
}

/** `*`, `messages`, `messages.*` and `messages.post` as events; a type that is not known is taken at its word. */
export function eventsNamed(names: readonly string[]): EventName[] {
  const known = documentedBy(names);
  const literal = names.flatMap((name) => {
    const [type = '', method = '*'] = name.split('.');
    const isKnown = name === '*' || known.some((event) => event.type === type);
    const methods = method === '*' ? (['post', 'put', 'patch', 'delete'] as const) : [method as EventName['method']];
    return isKnown ? [] : methods.map((each) => ({ type, method: each }));
  });
  return union(known, literal);
}

const MOST_NAMES = 6;

function namesOf(events: readonly EventName[] = []): string {
  return events.length > MOST_NAMES ? `${events.length} events` : events.map(nameOf).join(', ');
}

/** Where a webhook goes, whatever form the secret takes in it. */
function placeOf(url: string): string {
  if (!URL.canParse(url)) return url;
  const { origin, pathname } = new URL(url);
  return origin + pathname.replace(/\/s\/[^/]+\/?$/, '').replace(/\/+$/, '');
}

/** A URL to be shown: without what may be a secret in it. */
export function maskedUrl(url: string): string {
  if (!URL.canParse(url)) return url;
  const { protocol, host, pathname, searchParams } = new URL(url);
  const query = [...searchParams.keys()].map((name) => `${name}=***`).join('&');
  return `${protocol}//${host}${pathname.replace(/(\/s\/)[^/]+/g, '$1***')}${query === '' ? '' : `?${query}`}`;
}

/** JSON with sorted keys and without nulls, so that equal meanings are equal texts. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    const entries = Object.entries(part).filter(([, each]) => each !== null && each !== undefined);
    return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
  });
}
