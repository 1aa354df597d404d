import { MINUTE_MS } from '../durations.js';
import { nameOf } from '../intake/event.js';
import { subscribes } from '../intake/route.js';
import { sameBotWarning } from '../intake/subscription.js';
import type { Breaker, EventName, Target } from '../model.js';
import { counted, durationText } from '../quantities.js';
import type { Check } from './policy.js';
import type { TargetLoad } from '../store/outbox.js';

/** A delivery that waits longer than this is worth a warning. */
const BACKLOG_WARN_MS = 5 * MINUTE_MS;
const MOST_LISTED_EVENTS = 8;

/** Null if the breaker is closed. */
export function breakerCheck({ name, url, id }: Target, breaker: Breaker, { lastError }: TargetLoad): Check | null {
  if (breaker.state === 'closed') return null;
  const { since, probe } = breakerTimes(breaker);
  return {
    name: 'breaker',
    subject: name,
    status: 'fail',
    message:
      `Its circuit breaker is open${since}, after ${counted(breaker.consecutiveFailures, 'failed attempt')}; ${probe}. ` +
      `Deliveries wait.${lastErrorText(lastError)}`,
    fix: `Make the bot at ${url} answer. Deliveries then resume automatically, or at once with "targets test ${id}".`,
  };
}

/** Null if nothing waits. Deliveries that have waited for a few minutes at most are normal traffic. */
export function backlogCheck({ name, id }: Target, load: TargetLoad, now: number): Check | null {
  const { pending, oldestPendingAt, lastError } = load;
  if (pending === 0 || oldestPendingAt === null) return null;
  const at = { name: 'backlog', subject: name };
  const waiting = `${counted(pending, 'delivery', 'deliveries')} pending, the oldest for ${durationText(now - oldestPendingAt)}.`;
  if (now - oldestPendingAt < BACKLOG_WARN_MS) return { ...at, status: 'ok', message: waiting, fix: null };
  return {
    ...at,
    status: 'warn',
    message: `${waiting}${lastErrorText(lastError)}`,
    fix: `List them: GET /v1/deliveries?status=pending&target=${id}. "explain <message-id>" says why one waits.`,
  };
}

/** Null if none is dead. */
export function deadCheck({ name, id }: Target, { deadLastDay }: TargetLoad): Check | null {
  if (deadLastDay === 0) return null;
  return {
    name: 'dead',
    subject: name,
    status: 'warn',
    message: `${counted(deadLastDay, 'delivery', 'deliveries')} became dead in the last day and will not be retried.`,
    fix:
      `See why: GET /v1/deliveries?status=dead&target=${id}. To retry them: ` +
      `POST /v1/deliveries/retry { "status": "dead", "target": "${id}" }.`,
  };
}

/** Status `ok`: a bot does not have to handle every event. */
export function unhandledCheck({ name, id }: Target, { unhandledLastDay }: TargetLoad): Check | null {
  if (unhandledLastDay.length === 0) return null;
  const events = unhandledLastDay.map((each) => `${each.event} (${each.count})`).join(', ');
  return {
    name: 'unhandled',
    subject: name,
    status: 'ok',
    message: `It has no handler for ${events}.`,
    fix:
      `Subscribe it only to what the bot takes: "targets set ${id} --events messages.post", or ` +
      `PATCH /v1/targets/${id} { "events": ["messages.post"] }.`,
  };
}

/** `sent`: the events that each channel sends. Null if they are not known for one of the target's channels. */
export function subscriptionCheck(target: Target, sent: ReadonlyMap<string, readonly EventName[]>): Check | null {
  const names = target.channels.includes('*') ? [...sent.keys()] : target.channels.filter((name) => sent.has(name));
  const all = names.flatMap((name) => (sent.get(name) ?? []).map((event) => ({ name, event })));
  const isKnown = names.length > 0 && names.every((name) => (sent.get(name) ?? []).length > 0);
  if (!target.enabled || !isKnown || all.some(({ name, event }) => subscribes(target, name, event))) return null;
  const events = [...new Set(all.map(({ event }) => nameOf(event)))].sort();
  const shown =
    events.length > MOST_LISTED_EVENTS ? `${events.slice(0, MOST_LISTED_EVENTS).join(', ')} …` : events.join(', ');
  return {
    name: 'subscription',
    subject: target.name,
    status: 'warn',
    message: `It subscribes to ${target.events.join(', ')}, but its channels send only ${shown}: it receives nothing.`,
    fix: `Change its events, or have Whapi send them: "channels connect ${names[0] ?? ''}".`,
  };
}

/** One check per target that reaches the same bot as an older target. */
export function sharedUrlChecks(targets: readonly Target[]): Check[] {
  return targets.flatMap((target, index) => {
    const message = sameBotWarning(target, targets.slice(0, index));
    return message === null
      ? []
      : [{ name: 'target_url', subject: target.name, status: 'warn', message, fix: null } as const];
  });
}

/** Since when a breaker is open (empty if not known), and when it probes. */
export function breakerTimes({ state, openedAt, nextProbeAt }: Breaker): { since: string; probe: string } {
  return {
    since: openedAt === null ? '' : ` since ${iso(openedAt)}`,
    probe: state === 'half_open' || nextProbeAt === null ? 'a probe is under way' : `next probe at ${iso(nextProbeAt)}`,
  };
}

function lastErrorText(error: string | null): string {
  return error === null ? '' : ` Last error: ${error}`;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
