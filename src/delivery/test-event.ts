import { nameOf } from '../intake/event.js';
import { documentedEvents } from '../intake/subscription.js';
import type { EventName, Target, TargetTest } from '../model.js';
import { isNoHandlerStatus } from './policy.js';
import { destinationOf } from './send.js';
import type { Outgoing, Sender } from './send.js';
import type { Traffic, WebhookForm } from '../store/traffic.js';

export interface TesterOptions {
  readonly sender: Pick<Sender, 'send'>;
  readonly store: { readonly traffic: Pick<Traffic, 'lastForm'> };
  readonly newId: () => string;
}

const MESSAGES: EventName = { type: 'messages', method: 'post' };
/** For a target that subscribes to nothing that Whapi documents; bots ignore it. */
const FALLBACK: EventName = { type: 'service', method: 'post' };
/** A person waits for the result. */
const MOST_TEST_MS = 60_000;

/**
 * Sends a target an empty event that it subscribes to, bypassing the queue, with the URL and method that such an event
 * would have. Never rejects because of the target: its failures are part of the result.
 */
export function createTester({ sender, store, newId }: TesterOptions): (target: Target) => Promise<TargetTest> {
  return async (target) => {
    const event = testedEvent(target);
    const channels = target.channels.includes('*') ? null : target.channels;
    // Whapi's settings decide how an event shows in URL and method; the latest webhook reveals them.
    const form = formOf(event, await store.traffic.lastForm(event, channels));
    const outgoing: Outgoing = {
      ...{ id: newId(), channel: 'test', event, ...form },
      target: { ...target, timeoutMs: Math.min(target.timeoutMs, MOST_TEST_MS) },
      contentType: 'application/json',
      body: bodyOf(event),
      verdicts: ['event'],
      via: null,
    };
    const { url, method } = destinationOf(outgoing);
    const { attempt } = await sender.send(outgoing);
    const sent = { event: nameOf(event), method, path: url.pathname };
    if (attempt.status === null || !isNoHandlerStatus(attempt.status)) return { ...attempt, ...sent, fix: null };
    const error = `The target answers, but not at ${method} ${url.pathname} (${attempt.status}).`;
    return { ...attempt, error, ...sent, fix: fixFor(target, event, url.pathname) };
  };
}

/** How an event would arrive in the same mode of Whapi as the latest webhook (docs/whapi.md, Modes). */
function formOf({ type, method }: EventName, last: WebhookForm | null): Pick<WebhookForm, 'method' | 'suffix'> {
  if (!last) return { method: 'POST', suffix: '' };
  const { suffix, event } = last;
  const same = { method: last.method, suffix };
  if (event.type === type && event.method === method) return same;
  const [ofPath, ofMethod] = [`/${event.type}/${event.method}`, `/${event.type}`];
  if (suffix.endsWith(ofPath)) {
    return { method: 'POST', suffix: `${suffix.slice(0, -ofPath.length)}/${type}/${method}` };
  }
  if (!suffix.endsWith(ofMethod)) return same;
  const verb = method.toUpperCase() as WebhookForm['method'];
  return { method: verb, suffix: `${suffix.slice(0, -ofMethod.length)}/${type}` };
}

/** `messages.post` if the target takes it, otherwise the first event that it names. */
function testedEvent({ events }: Target): EventName {
  const named = events.flatMap((name) => documentedEvents([name]));
  return named.find(({ type, method }) => type === MESSAGES.type && method === MESSAGES.method) ?? named[0] ?? FALLBACK;
}

/** Shaped like Whapi's webhooks (docs/whapi.md, Envelope), with nothing in it that a bot could answer. */
function bodyOf({ type, method }: EventName): Buffer {
  const carrier = carrierOf(type, method);
  return Buffer.from(JSON.stringify({ ...(carrier !== null && { [carrier]: [] }), event: { type, event: method } }));
}

/** The key of the array that holds an event's items; null if it has none. */
function carrierOf(type: string, method: EventName['method']): string | null {
  if (['channel', 'users', 'service'].includes(type)) return null;
  if (type === 'groups' && method === 'put') return 'groups_participants';
  if (method === 'patch') return `${type}_updates`;
  return method === 'delete' ? `${type}_removed` : type;
}

/** `path`: where the event was sent. */
function fixFor({ id, url }: Target, { type, method }: EventName, path: string): string {
  const otherMode = path === new URL(url).pathname ? 'method' : 'body';
  return (
    `Change the path of the URL to the one that the bot listens on, or change the mode: body sends to the URL itself, ` +
    `method to /${type} below it, path to /${type}/${method} below it. If the bot does not handle this event, subscribe ` +
    `it only to the events that it handles. For example: "targets set ${id} --mode ${otherMode} --events messages.post".`
  );
}
