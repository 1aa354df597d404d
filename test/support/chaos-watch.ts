import type { ServerResponse } from 'node:http';
import type { Bot, BotRequest } from './bot.js';
import { eventsIn } from './chaos-events.js';
import type { ChaosEvent } from './chaos-events.js';
import type { Storm } from './storm.js';

/** One in this many requests is answered 500, left hanging, reset or answered with Retry-After. */
const TROUBLE = [12, 30, 20, 40];

/** Checks what the bot receives against the invariants. */
export interface Watch {
  /** Ids of events that the bot got. */
  readonly seen: ReadonlySet<string>;
  /** Ids of events that the bot answered 200. */
  readonly delivered: ReadonlySet<string>;
  /** Ids of events, by lane, in the order in which each came first. */
  readonly received: ReadonlyMap<string, readonly string[]>;
  /** Came first before the previous one of their lane was delivered (I6). */
  readonly overtaking: readonly ChaosEvent[];
  /** Repeated under another webhook-id (I5). */
  readonly changed: readonly ChaosEvent[];
  failures(): number;
  /** An answer that may cause trouble. */
  readonly trouble: (request: BotRequest, response: ServerResponse) => void;
  /** An answer that causes none. */
  readonly calm: (request: BotRequest, response: ServerResponse) => void;
  /** An answer that fails. */
  readonly down: (request: BotRequest, response: ServerResponse) => void;
}

export function createWatch(): Watch {
  const seen = new Set<string>();
  const delivered = new Set<string>();
  const received = new Map<string, string[]>();
  const webhookIds = new Map<string, unknown>();
  const overtaking: ChaosEvent[] = [];
  const changed: ChaosEvent[] = [];
  let failures = 0;

  const noteFirst = (event: ChaosEvent): void => {
    const earlier = received.get(event.lane) ?? [];
    const last = earlier.at(-1);
    if (last !== undefined && !delivered.has(last)) overtaking.push(event);
    earlier.push(event.id);
    received.set(event.lane, earlier);
    seen.add(event.id);
  };
  const note = ({ body, headers }: BotRequest): void => {
    for (const event of eventsIn(body)) {
      const { id } = event;
      if (!seen.has(id)) noteFirst(event);
      if (webhookIds.has(id) && webhookIds.get(id) !== headers['webhook-id']) changed.push(event);
      webhookIds.set(id, headers['webhook-id']);
    }
  };
  const calm = (request: BotRequest, response: ServerResponse): void => {
    note(request);
    for (const { id } of eventsIn(request.body)) delivered.add(id);
    response.writeHead(200).end();
  };
  const faults: ((response: ServerResponse) => void)[] = [
    (response) => void response.writeHead(500).end('no'),
    () => undefined,
    (response) => void response.socket?.destroy(),
    (response) => void response.writeHead(429, { 'retry-after': '1' }).end(),
  ];
  const fail = (request: BotRequest, response: ServerResponse, fault: (response: ServerResponse) => void): void => {
    failures += 1;
    note(request);
    fault(response);
  };
  return {
    seen,
    delivered,
    received,
    overtaking,
    changed,
    failures: () => failures,
    calm,
    down: (request, response) => fail(request, response, (each) => void each.writeHead(503).end()),
    trouble: (request, response) => {
      const fault = faults.find((_, kind) => Math.random() < 1 / (TROUBLE[kind] ?? Infinity));
      if (fault) fail(request, response, fault);
      else calm(request, response);
    },
  };
}

/** What a chaos test reports of its events, whatever it broke meanwhile. @param restored ids that must not reach the bot */
export function reportOf(storm: Storm, watch: Watch, bot: Bot, restored: readonly string[] = []) {
  const answered = [...storm.answered.values()].flat();
  const held = [...storm.restored, ...restored];
  const again = watch.changed.filter((event) => mayBeNewAgain(event, storm));
  return {
    answered: answered.length,
    ...{ messages: countOf('messages', answered), statuses: countOf('statuses', answered) },
    restored: held.length,
    attempts: bot.requests.length,
    failed_attempts: watch.failures(),
    statuses_recorded_again: again.length,
    lost: answered.filter(({ id }) => !watch.delivered.has(id)).length,
    leaked: held.filter((id) => watch.seen.has(id)).length,
    reordered: watch.overtaking.length + misplaced(storm, watch),
    repeats_under_another_id: watch.changed.length - again.length,
  };
}

export const NO_HARM = { lost: 0, leaked: 0, reordered: 0, repeats_under_another_id: 0 };

function countOf(kind: ChaosEvent['kind'], events: readonly ChaosEvent[]): number {
  return events.filter((event) => event.kind === kind).length;
}

/**
 * Rule 13 takes a status for a repetition as long as no other one of its message came in between. Whapi sends a status that
 * got no answer in time again, and then the next ones. If the gateway only then records the first copy, that is a new event.
 */
function mayBeNewAgain({ kind, id }: ChaosEvent, { unanswered }: Storm): boolean {
  return kind === 'statuses' && unanswered.has(id);
}

/** How many events came at another place of their lane than the one at which they were answered (I6). */
function misplaced(storm: Storm, watch: Watch): number {
  return [...storm.answered].reduce((count, [lane, events]) => {
    const ids = new Set(events.map(({ id }) => id).filter((id) => watch.seen.has(id)));
    const received = watch.received.get(lane)?.filter((id) => ids.has(id)) ?? [];
    return count + [...ids].filter((id, place) => received[place] !== id).length;
  }, 0);
}
