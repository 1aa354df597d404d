import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from './client.js';

/** Webhooks in flight at the same time: one per chat, so that each chat has an order to check. */
const CHATS = 16;

/** Plays Whapi: sends each webhook until it is answered 200, whatever happens to the gateway. */
export interface Storm {
  /** Ids of live messages that were answered 200, by chat, in the order in which Whapi sent them. */
  readonly answered: ReadonlyMap<number, readonly string[]>;
  /** Ids of restored messages that were answered 200. */
  readonly restored: readonly string[];
  /** The number of webhooks that the store could not accept (503). */
  readonly refused: number;
  /**
   * Sends until `enough` returns true, then lets requests in flight end or fail. `client` is asked for each request: with several
   * replicas, Whapi may reach any of them.
   */
  run(client: () => Client, enough: () => boolean): Promise<void>;
}

/** One in this many messages of a chat is brought back instead: registered first, then sent as Whapi would. */
const RESTORED_EVERY = 5;
const REST_MS = 5;
/** Whapi gives up a request after some seconds, and sends it again. */
const ANSWER_TIMEOUT_MS = 3000;

/** @param isFull whether too many answered messages wait for the bot: then Whapi rests */
export function createStorm(isFull: (answered: number) => boolean): Storm {
  const answered = new Map<number, string[]>();
  const restored: string[] = [];
  const next = new Map<number, number>();
  let answeredCount = 0;
  let refused = 0;

  const sendOne = async (chat: number, client: () => Client): Promise<void> => {
    const number = next.get(chat) ?? 0;
    const id = `storm.${chat}-${number}`;
    const isRestored = number % RESTORED_EVERY === RESTORED_EVERY - 1;
    if (isRestored && !(await register(client(), id))) return;
    const { status } = await inTime(client().webhook(messageOf(id, chat, number)));
    if (status === 503) refused += 1;
    if (status !== 200) return;
    if (isRestored) restored.push(id);
    else {
      answered.set(chat, [...(answered.get(chat) ?? []), id]);
      answeredCount += 1;
    }
    next.set(chat, number + 1); // only now: until the 200, Whapi repeats the same webhook
  };

  const sendIn = async (chat: number, client: () => Client, enough: () => boolean): Promise<void> => {
    while (!enough()) {
      try {
        if (isFull(answeredCount)) await sleep(REST_MS);
        else await sendOne(chat, client);
      } catch {
        // The connection broke, the gateway has crashed or stands still: Whapi sends it again.
      }
    }
  };

  return {
    answered,
    restored,
    get refused() {
      return refused;
    },
    run: async (client, enough) => {
      await Promise.all(Array.from({ length: CHATS }, async (_, chat) => await sendIn(chat, client, enough)));
    },
  };
}

async function register(client: Client, id: string): Promise<boolean> {
  const { status } = await inTime(client.call('POST', '/v1/resyncs', { channel: 'main', message_ids: [id] }));
  return status === 202;
}

function messageOf(id: string, chat: number, number: number): string {
  const message = {
    id,
    type: 'text',
    from_me: false,
    chat_id: `${chat}@s.whatsapp.net`,
    timestamp: 1762000000 + number,
  };
  return JSON.stringify({ messages: [message], event: { type: 'messages', event: 'post' } });
}

/** @throws Error after ANSWER_TIMEOUT_MS */
export async function inTime<T>(answer: Promise<T>): Promise<T> {
  const answered = new AbortController();
  const tooLate = async (): Promise<never> => {
    await sleep(ANSWER_TIMEOUT_MS, undefined, { signal: answered.signal });
    throw new Error(`No answer within ${ANSWER_TIMEOUT_MS} ms.`);
  };
  try {
    return await Promise.race([answer, tooLate()]);
  } finally {
    answered.abort();
  }
}
