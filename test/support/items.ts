import type { Item } from '../../src/intake/decode.js';
import type { JudgingContext, Memory } from '../../src/intake/judge.js';
import type { Sealed, Target } from '../../src/model.js';

export const NOW = Date.UTC(2025, 0, 15, 12);
export const NOW_SECONDS = NOW / 1000;
export const HOUR_MS = 60 * 60 * 1000;

/** A webhook that arrives now, in a channel with the default settings. */
export const AT: JudgingContext = { receivedAt: NOW, lateAfterSeconds: 900 };

/** A text from a minute ago that came as `messages.post`. */
export function message(change: Partial<Item> = {}): Item {
  return {
    kind: 'message',
    carrier: 'messages',
    eventType: 'messages',
    array: 0,
    span: { start: 0, end: 0 },
    method: 'post',
    messageId: 'id-1',
    chatId: 'chat-1',
    type: 'text',
    timestamp: NOW_SECONDS - 60,
    fromMe: false,
    sequence: null,
    ownTrigger: false,
    repeatable: false,
    object: null,
    ...change,
  };
}

/** An item of another array than `messages`. */
export function itemOf(carrier: string, kind: Item['kind'], change: Partial<Item> = {}): Item {
  return message({ carrier, kind, type: null, timestamp: null, repeatable: true, ...change });
}

/** An empty memory, except for the given facts. */
export function memory(known: Partial<Memory> = {}): Memory {
  return {
    ...{
      registered: false,
      known: false,
      unposted: false,
      resembles: false,
      replayed: false,
      recorded: false,
      newestInChat: null,
    },
    ...known,
  };
}

/** A target with the default settings. */
export function target(change: Partial<Target> = {}): Target {
  return {
    id: 'target-1',
    name: 'bot',
    url: 'http://127.0.0.1/hook',
    channels: ['*'],
    events: ['*'],
    deliver: ['new', 'late', 'event'],
    mode: 'as_received',
    split: 'none',
    headers: '{}' as Sealed,
    previousSecrets: [],
    secret: 'sealed' as Sealed,
    timeoutMs: 15_000,
    maxAttempts: 10,
    retryDelaysSeconds: null,
    maxAgeSeconds: null,
    concurrency: 16,
    ratePerSecond: null,
    backlogPolicy: 'all',
    backlogAfterSeconds: 600,
    backlogRatePerMinute: null,
    skipAnswered: false,
    enabled: true,
    disabledReason: null,
    createdAt: NOW,
    ...change,
  };
}
