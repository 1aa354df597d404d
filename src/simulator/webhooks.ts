import { Agent, request } from 'undici';

import type { Effects } from '../effects.js';
import { DOCUMENTED_EVENTS, MOST_WEBHOOK_HEADERS } from '../whapi/wire.js';
import type { EventName, Settings, SettingsUpdate, WebhookMode, WebhookSetting } from '../whapi/wire.js';
import { isRecord } from '../json.js';

/** Switches for what goes wrong with webhooks. Read at the moment a webhook becomes due. */
export interface WebhookFaults {
  /** Extra copies of each webhook, byte for byte the same, sent at the same time. */
  duplicateWebhooks: number;
  /** A webhook waits until the next one for its URL has overtaken it, or 0.25 s (real time) without one. */
  reorderWebhooks: boolean;
}

/** What the simulator tells of itself, one line for each thing that happened. `at` is in milliseconds. */
export type SimulatorEvent =
  | { kind: 'call'; at: number; method: string; path: string; status: number }
  | { kind: 'webhook'; at: number; event: EventName; method: string; attempt: number; status: number | null }
  | { kind: 'restored'; at: number; messageId: string };

/** What the parts of one simulator share. */
export interface SimulatorContext<F extends WebhookFaults> {
  readonly channelId: string;
  readonly effects: Effects;
  readonly faults: F;
  readonly pending: PendingWork;
  /** Aborted when the simulator is closed. */
  readonly signal: AbortSignal;
  /** Sleeps for Whapi's `ms`, shortened by the time scale; returns at once after close. */
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
/** Real time, not scaled: whoever lets the next webhook go does so in real time. */
const REORDER_HOLD_MS = 250;
/** Real time, not scaled: it is the gateway that needs it. Whapi's own limit is not documented; its advice is 5 s. */
const ANSWER_TIMEOUT_MS = 5_000;
const MOST_CONNECTIONS = 64;

/** Every event that the simulated channel lets a webhook subscribe to. */
export const ALL_EVENTS: readonly EventName[] = DOCUMENTED_EVENTS;

/** What Whapi's schema says a webhook without `events` is subscribed to: a name that no event bears any more. */
const OLD_DEFAULT_EVENTS: readonly EventName[] = [{ type: 'message', method: 'put' }];

/** Counts what is under way, so that a test can wait for the end of it. */
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

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#count > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** Method and URL under which a webhook shows an event (docs/whapi.md, Modes). */
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
 * The settings of a channel, and its webhooks, sent as Whapi sends them: to each subscriber, without waiting for one
 * another, again and again until the answer is exactly 200.
 */
export class SimulatedWebhooks {
  readonly #context: SimulatorContext<WebhookFaults>;
  readonly #connections = new Agent({ connections: MOST_CONNECTIONS });
  /** By URL: lets the webhook go that waits to be overtaken. */
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

  /** As PATCH /settings: named fields are replaced, `webhooks` as a whole. Null when the body is not settings. */
  patchSettings(patch: unknown): SettingsUpdate | null {
    if (!isRecord(patch) || !areSettings(patch)) return null;
    const before = this.#settings;
    this.#settings = { ...before, ...patch };
    const changes = Object.keys(patch).filter((key) => JSON.stringify(patch[key]) !== JSON.stringify(before[key]));
    return { before_update: before, after_update: this.#settings, changes };
  }

  /** Makes a webhook due for each subscriber. Its bytes are fixed here: every attempt and every copy is the same. */
  emit(event: EventName, payload: Readonly<Record<string, unknown>>): void {
    const { channelId, pending } = this.#context;
    const marked = { ...payload, event: { type: event.type, event: event.method }, channel_id: channelId };
    const body = JSON.stringify(marked);
    for (const webhook of this.#settings.webhooks ?? []) {
      if (subscribes(webhook, event)) pending.add(this.#deliver({ webhook, event, body }));
    }
  }

  /** One request without a second try, for webhook_test. Resolves to the status; null when no answer came. */
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

  /** Cuts off the requests that are under way. */
  async close(): Promise<void> {
    await this.#connections.destroy();
  }

  async #deliver(outgoing: Outgoing): Promise<void> {
    const letOvertakenGo = await this.#takeTurn(outgoing.webhook.url);
    const copies = Array.from({ length: 1 + this.#context.faults.duplicateWebhooks });
    await Promise.all(copies.map(async () => await this.#sendUntilAccepted(outgoing, letOvertakenGo)));
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

  /** Resolves when a webhook may go to `url`; gives the function to be called once it has gone. */
  async #takeTurn(url: string): Promise<() => void> {
    const letOvertakenGo = this.#held.get(url);
    this.#held.delete(url);
    if (letOvertakenGo) return letOvertakenGo;
    if (this.#context.faults.reorderWebhooks) await this.#waitToBeOvertaken(url);
    return () => undefined;
  }

  async #waitToBeOvertaken(url: string): Promise<void> {
    const { promise, resolve } = withResolver();
    this.#held.set(url, resolve);
    await Promise.race([promise, this.#context.effects.sleep(REORDER_HOLD_MS, this.#context.signal)]);
    const nobodyCame = this.#held.get(url) === resolve;
    if (nobodyCame) this.#held.delete(url);
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

function isWithin(value: unknown, least: number, most: number): boolean {
  return value === undefined || (typeof value === 'number' && value >= least && value <= most);
}

function areSettings(value: Record<string, unknown>): value is Settings & Record<string, unknown> {
  const { callback_backoff_delay_ms: step, max_callback_backoff_delay_ms: most, webhooks = [] } = value;
  const areWebhooks = Array.isArray(webhooks) && webhooks.every((webhook) => isRecord(webhook) && isWebhook(webhook));
  return areWebhooks && isWithin(step, 3_000, 15_000) && isWithin(most, 600_000, 3_600_000);
}

/** Whether a JSON object can be one element of `webhooks`. */
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
