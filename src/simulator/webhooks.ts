import { Agent, request } from 'undici';

import type { Effects } from '../effects.js';
import { DOCUMENTED_EVENTS, MOST_WEBHOOK_HEADERS } from '../whapi/wire.js';
import type { EventName, Settings, SettingsUpdate, WebhookMode, WebhookSetting } from '../whapi/wire.js';
import { isRecord } from '../json.js';

/** Webhook faults to inject. Read when a webhook becomes due. */
export interface WebhookFaults {
  /** Number of extra identical copies of each webhook, sent at the same time. */
  duplicateWebhooks: number;
  /** Each webhook waits until the next one for its URL has overtaken it, or 0.25 s (real time). */
  reorderWebhooks: boolean;
}

/** An event in the simulator. `at` is in milliseconds since the epoch. */
export type SimulatorEvent =
  | { kind: 'call'; at: number; method: string; path: string; status: number }
  | { kind: 'webhook'; at: number; event: EventName; method: string; attempt: number; status: number | null }
  | { kind: 'restored'; at: number; messageId: string };

/** The state that the parts of one simulator share. */
export interface SimulatorContext<F extends WebhookFaults> {
  readonly channelId: string;
  readonly effects: Effects;
  readonly faults: F;
  readonly pending: PendingWork;
  /** Aborted when the simulator is closed. */
  readonly signal: AbortSignal;
  /** Sleeps for Whapi's `ms` (scaled); returns at once after close. */
  readonly pause: (ms: number) => Promise<void>;
  readonly report: (event: SimulatorEvent) => void;
}

/** One webhook request before it is sent. */
interface Outgoing {
  readonly webhook: WebhookSetting;
  readonly event: EventName;
  readonly body: string;
}

const BACKOFF_MS = 3_000;
const MAX_BACKOFF_MS = 900_000;
/** Real time, not scaled, like the arrival of the next webhook. */
const REORDER_HOLD_MS = 250;
/** Real time, not scaled: the gateway answers in real time. Whapi's limit is not documented; it advises 5 s. */
const ANSWER_TIMEOUT_MS = 5_000;
const MAX_CONNECTIONS = 64;

/** Every event that a webhook of the simulated channel can subscribe to. */
export const ALL_EVENTS: readonly EventName[] = DOCUMENTED_EVENTS;

/** Whapi's documented default for a webhook without `events`: a name that no current event has. */
const OLD_DEFAULT_EVENTS: readonly EventName[] = [{ type: 'message', method: 'put' }];

/** Counts work in flight, so that a test can wait for its end. */
export class PendingWork {
  #count = 0;
  #waiting: (() => void)[] = [];

  add(work: Promise<unknown>): void {
    this.#count += 1;
    void work.finally(() => {
      this.#count -= 1;
      if (this.#count === 0) for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  /** Resolves when no work is in flight. */
  async idle(): Promise<void> {
    while (this.#count > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** Method and URL of the request for an event, by the webhook's mode (docs/whapi.md, Modes). */
function expandWebhook(webhook: WebhookSetting, event: EventName): { method: string; url: string } {
  if (webhook.mode === 'path') return { method: 'POST', url: appendPath(webhook.url, `${event.type}/${event.method}`) };
  if (webhook.mode === 'method') {
    return { method: event.method.toUpperCase(), url: appendPath(webhook.url, event.type) };
  }
  return { method: 'POST', url: webhook.url };
}

function appendPath(base: string, tail: string): string {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${tail}`;
  return url.href;
}

function subscribes(webhook: WebhookSetting, event: EventName): boolean {
  return (webhook.events ?? OLD_DEFAULT_EVENTS).some(
    ({ type, method }) => type === event.type && method === event.method,
  );
}

/**
 * A channel's settings and webhooks. Sends each webhook as Whapi does: to every subscriber independently, again and
 * again until the answer is exactly 200.
 */
export class SimulatedWebhooks {
  readonly #context: SimulatorContext<WebhookFaults>;
  readonly #connections = new Agent({ connections: MAX_CONNECTIONS });
  /** By URL: releases the webhook that waits to be overtaken. */
  readonly #held = new Map<string, () => void>();
  #settings: Settings = {
    pdo_sync: true,
    callback_backoff_delay_ms: BACKOFF_MS,
    max_callback_backoff_delay_ms: MAX_BACKOFF_MS,
    callback_persist: true,
    webhooks: [],
    offline_mode: false,
    full_history: false,
  };

  constructor(context: SimulatorContext<WebhookFaults>) {
    this.#context = context;
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** Like PATCH /settings: replaces the given fields, `webhooks` as a whole. Null for an invalid body. */
  patchSettings(patch: unknown): SettingsUpdate | null {
    if (!isRecord(patch) || !areSettings(patch)) return null;
    const before = this.#settings;
    this.#settings = { ...before, ...patch };
    const changes = Object.keys(patch).filter((key) => JSON.stringify(patch[key]) !== JSON.stringify(before[key]));
    return { before_update: before, after_update: this.#settings, changes };
  }

  /** Sends a webhook to each subscriber. Its bytes are fixed here: every attempt and every copy is the same. */
  emit(event: EventName, payload: Readonly<Record<string, unknown>>): void {
    const { channelId, pending } = this.#context;
    const marked = { ...payload, event: { type: event.type, event: event.method }, channel_id: channelId };
    const body = JSON.stringify(marked);
    for (const webhook of this.#settings.webhooks ?? []) {
      if (subscribes(webhook, event)) pending.add(this.#deliver({ webhook, event, body }));
    }
  }

  /** Sends one request without retry, for webhook_test. Resolves to the status; null without an answer. */
  async sendOnce(outgoing: Outgoing, attempt = 1): Promise<number | null> {
    const { method, url } = expandWebhook(outgoing.webhook, outgoing.event);
    const status = await this.#post(method, url, outgoing);
    this.#context.report({
      kind: 'webhook',
      at: this.#context.effects.now(),
      event: outgoing.event,
      method,
      attempt,
      status,
    });
    return status;
  }

  /** Aborts the requests in flight. */
  async close(): Promise<void> {
    await this.#connections.destroy();
  }

  async #deliver(outgoing: Outgoing): Promise<void> {
    const releaseOvertaken = await this.#takeTurn(outgoing.webhook.url);
    const copies = Array.from({ length: 1 + this.#context.faults.duplicateWebhooks });
    await Promise.all(copies.map(async () => await this.#sendUntilAccepted(outgoing, releaseOvertaken)));
  }

  async #sendUntilAccepted(outgoing: Outgoing, afterFirstAttempt: () => void): Promise<void> {
    for (let attempt = 1; !this.#context.signal.aborted; attempt += 1) {
      const status = await this.sendOnce(outgoing, attempt);
      afterFirstAttempt();
      if (status === 200) return;
      await this.#context.pause(this.#backoffMs(attempt));
    }
  }

  #backoffMs(failures: number): number {
    const { callback_backoff_delay_ms: step, max_callback_backoff_delay_ms: most } = this.#settings;
    return Math.min(failures * (step ?? BACKOFF_MS), most ?? MAX_BACKOFF_MS);
  }

  /** Resolves when a webhook may go to `url`, with a function to call after it has been sent. */
  async #takeTurn(url: string): Promise<() => void> {
    const releaseOvertaken = this.#held.get(url);
    this.#held.delete(url);
    if (releaseOvertaken) return releaseOvertaken;
    if (this.#context.faults.reorderWebhooks) await this.#waitToBeOvertaken(url);
    return () => undefined;
  }

  async #waitToBeOvertaken(url: string): Promise<void> {
    const { promise, resolve } = withResolver();
    this.#held.set(url, resolve);
    await Promise.race([promise, this.#context.effects.sleep(REORDER_HOLD_MS, this.#context.signal)]);
    const timedOut = this.#held.get(url) === resolve;
    if (timedOut) this.#held.delete(url);
    else await promise;
  }

  async #post(method: string, url: string, { webhook, body }: Outgoing): Promise<number | null> {
    try {
      const response = await request(url, {
        method,
        headers: { 'content-type': 'application/json', ...webhook.headers },
        body,
        dispatcher: this.#connections,
        headersTimeout: ANSWER_TIMEOUT_MS,
        bodyTimeout: ANSWER_TIMEOUT_MS,
      });
      await response.body.dump();
      return response.statusCode;
    } catch {
      return null;
    }
  }
}

function withResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}

function isBetween(value: unknown, min: number, max: number): boolean {
  return value === undefined || (typeof value === 'number' && value >= min && value <= max);
}

function areSettings(value: Record<string, unknown>): value is Settings & Record<string, unknown> {
  const { callback_backoff_delay_ms: step, max_callback_backoff_delay_ms: most, webhooks = [] } = value;
  const areWebhooks = Array.isArray(webhooks) && webhooks.every((webhook) => isRecord(webhook) && isWebhook(webhook));
  return areWebhooks && isBetween(step, 3_000, 15_000) && isBetween(most, 600_000, 3_600_000);
}

/** Whether a JSON object is a valid element of `webhooks`. */
export function isWebhook(value: Record<string, unknown>): value is WebhookSetting & Record<string, unknown> {
  const { url, mode = 'body', headers = {}, events = [] } = value;
  const modes: readonly unknown[] = ['body', 'path', 'method'] satisfies WebhookMode[];
  const isUrl = typeof url === 'string' && /^https?:/.test(url) && URL.canParse(url);
  return isUrl && modes.includes(mode) && areHeaders(headers) && Array.isArray(events) && events.every(isEvent);
}

function areHeaders(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const values = Object.values(value);
  return values.length <= MOST_WEBHOOK_HEADERS && values.every((text) => typeof text === 'string');
}

function isEvent(value: unknown): boolean {
  return isRecord(value) && typeof value['type'] === 'string' && typeof value['method'] === 'string';
}
