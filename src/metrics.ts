import { STATUS_OF } from './errors.js';
import type { GatewayError, GatewayErrorCode } from './errors.js';
import { Histogram } from './histogram.js';
import { SETTLED_STATUSES } from './model.js';
import type { Attempt, Target, Verdict } from './model.js';
import type { Observer, RecordedWebhook } from './observer.js';
import type { Figures, RollupRow } from './store/rollups.js';
import type { Delivery, Settlement } from './store/outbox.js';

/**
 * What has been counted since the start, in plain maps: a labelled counter of a library costs 25 times as much. What is
 * counted: webhooks, items, held items and settled deliveries are events; `attempts` are HTTP requests to targets.
 */

/** Channels, and targets, that are counted by name. The others are counted together: each name costs memory for good. */
const MOST_NAMED = 200;
/** The name under which the others are counted. */
export const OTHER = 'other';
/** The subject of all channels and targets together. */
export const ALL = 'all';
export const channelSubject = (name: string): string => `c:${name}`;
export const targetSubject = (id: string): string => `t:${id}`;

export const ATTEMPT_RESULTS = ['2xx', '3xx', '4xx', '5xx', 'timeout', 'connect'] as const;
export type AttemptResult = (typeof ATTEMPT_RESULTS)[number];

const zeros = <Name extends string>(...names: readonly Name[]): Record<Name, number> =>
  Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;

export interface ResyncCalls {
  readonly channel: string;
  readonly kind: 'resync' | 'poll';
  readonly result: string;
  readonly count: number;
}

export const CLAIM_RESULTS = ['granted', 'renewed', 'refused', 'released'] as const;
export type ClaimResult = (typeof CLAIM_RESULTS)[number];

export class ChannelCounts {
  webhooks = 0;
  held = 0;
  replays = 0;
  /** Messages of replays. */
  replayed = 0;
  readonly verdicts = zeros<Verdict>('new', 'late', 'restored', 'duplicate', 'event');
  /** Claims of messages by their bots. */
  readonly claims = zeros<ClaimResult>(...CLAIM_RESULTS);
  /** Refused webhooks by HTTP status. */
  readonly refused = new Map<number, number>();

  figures(): Figures {
    const refused = [...this.refused.values()].reduce((sum, count) => sum + count, 0);
    return { webhooks: this.webhooks, refused, held: this.held, ...this.verdicts };
  }
}

export class TargetCounts {
  attempts = 0;
  readonly results = zeros<AttemptResult>(...ATTEMPT_RESULTS);
  readonly ended = zeros(...SETTLED_STATUSES);
  /** Of attempts: from the request to the answer. */
  readonly latency = new Histogram();
  /** Of deliveries that succeeded: from the commit to the success. */
  readonly lag = new Histogram();

  figures(): Figures {
    const failed = this.attempts - this.results['2xx'];
    return {
      ...{ attempts: this.attempts, failed_attempts: failed, ...this.ended },
      ...bucketsOf('latency', this.latency),
      ...bucketsOf('lag', this.lag),
    };
  }
}

function bucketsOf(name: string, { counts }: Histogram): Record<string, number> {
  const buckets: Record<string, number> = {};
  for (const [bucket, count] of counts.entries()) if (count > 0) buckets[`${name}.${bucket}`] = count;
  return buckets;
}

export class Metrics implements Observer {
  readonly channels = new Map<string, ChannelCounts>();
  readonly targets = new Map<string, TargetCounts>();
  readonly refusals = zeros(...(Object.keys(STATUS_OF) as GatewayErrorCode[]));
  readonly webhookCommit = new Histogram();
  readonly #resyncCalls = new Map<string, ResyncCalls>();
  /** By subject: what the store has. */
  readonly #added = new Map<string, Figures>();

  onRecorded({ channel, recorded, commitMs }: RecordedWebhook): void {
    const counts = this.#channel(channel);
    counts.webhooks += 1;
    counts.held += recorded.held.size;
    if (recorded.replay) {
      counts.replays += recorded.replay.isNew ? 1 : 0;
      counts.replayed += recorded.replay.messages;
    }
    for (const verdict of recorded.verdicts) counts.verdicts[verdict] += 1;
    this.webhookCommit.observe(commitMs);
  }

  onRefused(channel: string, { status }: GatewayError): void {
    const { refused } = this.#channel(channel);
    refused.set(status, (refused.get(status) ?? 0) + 1);
  }

  /** A request was answered with an error. */
  onError(code: GatewayErrorCode): void {
    this.refusals[code] += 1;
  }

  onSettled({ target, recordedAt }: Delivery, { status, attempt }: Settlement): void {
    const counts = named(this.targets, target.id, TargetCounts);
    if (status !== 'pending') counts.ended[status] += 1;
    if (attempt === null) return;
    counts.attempts += 1;
    counts.results[resultOf(attempt, target)] += 1;
    counts.latency.observe(attempt.durationMs);
    if (status === 'delivered') counts.lag.observe(Math.max(0, attempt.startedAt + attempt.durationMs - recordedAt));
  }

  /** A resync called Whapi. `result`: the kind of its answer. */
  onResyncCall(channel: string, kind: ResyncCalls['kind'], result: string): void {
    const isNamed = this.channels.has(channel) || this.channels.size < MOST_NAMED;
    const name = isNamed ? channel : OTHER;
    const key = [name, kind, result].join(' ');
    const { count } = this.#resyncCalls.get(key) ?? { count: 0 };
    this.#resyncCalls.set(key, { channel: name, kind, result, count: count + 1 });
    if (isNamed) this.#channel(channel);
  }

  /** A bot claimed a message, was refused, or gave its claim back. */
  onClaim(channel: string, result: ClaimResult): void {
    this.#channel(channel).claims[result] += 1;
  }

  resyncCalls(): readonly ResyncCalls[] {
    return [...this.#resyncCalls.values()];
  }

  onBreaker(): void {
    // Its state is read when metrics are scraped.
  }

  /** What was counted since the store was last told, by subject. */
  unsaved(): RollupRow[] {
    const all: [string, Figures][] = [
      ...[...this.channels].map(([name, counts]): [string, Figures] => [channelSubject(name), counts.figures()]),
      ...[...this.targets].map(([id, counts]): [string, Figures] => [targetSubject(id), counts.figures()]),
    ];
    const total: Record<string, number> = {};
    for (const [, figures] of all)
      for (const [name, count] of Object.entries(figures)) total[name] = (total[name] ?? 0) + count;
    return [...all, [ALL, total] as const].flatMap(([subject, figures]) => {
      const difference = differenceOf(figures, this.#added.get(subject) ?? {});
      return Object.keys(difference).length > 0 ? [{ subject, figures: difference }] : [];
    });
  }

  /** The store was told this row of `unsaved`. */
  saved({ subject, figures }: RollupRow): void {
    const added: Record<string, number> = { ...this.#added.get(subject) };
    for (const [name, count] of Object.entries(figures)) added[name] = (added[name] ?? 0) + count;
    this.#added.set(subject, added);
  }

  #channel(name: string): ChannelCounts {
    return named(this.channels, name, ChannelCounts);
  }
}

function named<T>(counts: Map<string, T>, name: string, make: new () => T): T {
  const known = counts.get(name);
  if (known) return known;
  if (counts.size > MOST_NAMED) return counts.get(OTHER) as T;
  const key = counts.size === MOST_NAMED ? OTHER : name;
  const made = new make();
  counts.set(key, made);
  return made;
}

function differenceOf(now: Figures, before: Figures): Figures {
  const difference: Record<string, number> = {};
  for (const [name, count] of Object.entries(now)) {
    const more = count - (before[name] ?? 0);
    if (more !== 0) difference[name] = more;
  }
  return difference;
}

function resultOf({ status, durationMs }: Attempt, { timeoutMs }: Target): AttemptResult {
  if (status === null) return durationMs >= timeoutMs ? 'timeout' : 'connect';
  if (status < 300) return '2xx';
  if (status < 400) return '3xx';
  return status < 500 ? '4xx' : '5xx';
}
