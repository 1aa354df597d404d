import { setTimeout as sleep } from 'node:timers/promises';
import { eventsIn, messagesOf, statusesOf } from './chaos-events.js';
import type { ChaosEvent, ChaosLane } from './chaos-events.js';
import type { Client } from './client.js';

/** Each chat has two lanes, and each lane one webhook in flight at a time, so that it has an order to check. */
const CHATS = 8;

/** Plays Whapi: sends each webhook until it is answered 200, whatever happens to the gateway. */
export interface Storm {
  /** Live events that were answered 200, by lane, in the order in which Whapi sent them. */
  readonly answered: ReadonlyMap<string, readonly ChaosEvent[]>;
  /** Ids of restored messages that were answered 200. */
  readonly restored: readonly string[];
  /** The number of webhooks that the store could not accept (503). */
  readonly refused: number;
  /** Ids of events whose webhook once got no answer in time. The gateway may still record that webhook at any time. */
  readonly unanswered: ReadonlySet<string>;
  /**
   * Sends until `enough` returns true, then lets requests in flight end or fail. `client` is asked for each request: with several
   * replicas, Whapi may reach any of them.
   */
  run(client: () => Client, enough: () => boolean): Promise<void>;
}

const REST_MS = 5;
/** Whapi gives up a request after some seconds, and sends it again. */
const ANSWER_TIMEOUT_MS = 3000;

/** @param isFull whether too many answered messages wait for the bot: then Whapi rests */
export function createStorm(isFull: (answered: number) => boolean): Storm {
  const answered = new Map<string, ChaosEvent[]>();
  const restored: string[] = [];
  const unanswered = new Set<string>();
  const lanes = Array.from({ length: CHATS }, (_, chat) => [messagesOf(chat), statusesOf(chat)]).flat();
  const next = new Map<ChaosLane, number>();
  let answeredCount = 0;
  let refused = 0;

  const sendOne = async (lane: ChaosLane, client: () => Client): Promise<void> => {
    const number = next.get(lane) ?? 0;
    const { body, restoredId } = lane(number);
    if (restoredId !== null && !(await register(client(), restoredId))) return;
    const answer = await inTime(client().webhook(body));
    if (answer === null) for (const { id } of eventsIn(body)) unanswered.add(id);
    if (answer?.status === 503) refused += 1;
    if (answer?.status !== 200) return;
    if (restoredId === null) noteAnswered(body);
    else restored.push(restoredId);
    next.set(lane, number + 1); // Only now: until the 200, Whapi repeats the same webhook.
  };

  const noteAnswered = (body: string): void => {
    for (const event of eventsIn(body)) {
      answered.set(event.lane, answered.get(event.lane) ?? []);
      answered.get(event.lane)?.push(event);
      answeredCount += 1;
    }
  };

  const sendIn = async (lane: ChaosLane, client: () => Client, enough: () => boolean): Promise<void> => {
    while (!enough()) {
      try {
        if (isFull(answeredCount)) await sleep(REST_MS);
        else await sendOne(lane, client);
      } catch {
        // The connection broke or the gateway has crashed: Whapi sends it again.
      }
    }
  };

  return {
    answered,
    restored,
    unanswered,
    get refused() {
      return refused;
    },
    run: async (client, enough) => {
      await Promise.all(lanes.map(async (lane) => await sendIn(lane, client, enough)));
    },
  };
}

async function register(client: Client, id: string): Promise<boolean> {
  const answer = await inTime(client.call('POST', '/v1/resyncs', { channel: 'main', message_ids: [id] }));
  return answer?.status === 202;
}

/** Null after ANSWER_TIMEOUT_MS. */
export async function inTime<T>(answer: Promise<T>): Promise<T | null> {
  const answered = new AbortController();
  try {
    return await Promise.race([answer, sleep(ANSWER_TIMEOUT_MS, null, { signal: answered.signal })]);
  } finally {
    answered.abort();
  }
}
