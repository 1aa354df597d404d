import type { Client } from './client.js';

/** Webhooks under way at the same time: one for each chat, so that within a chat there is an order to be kept. */
const CHATS = 16;

/** What Whapi does, whatever becomes of the gateway: sends each webhook until it is answered 200. */
export interface Storm {
  /** Ids of live messages that were answered 200, by chat, in the order in which Whapi sent them. */
  readonly answered: ReadonlyMap<number, readonly string[]>;
  /** Ids of restored messages that were answered 200. */
  readonly restored: readonly string[];
  /** How many webhooks the store could not take (503). */
  readonly refused: number;
  /** Sends until `enough` says so, then lets what is under way end or fail. */
  rage(client: () => Client, enough: () => boolean): Promise<void>;
}

/** Every so many messages of a chat one is brought back instead: registered first, then sent as Whapi would. */
const RESTORED_EVERY = 5;

export function createStorm(): Storm {
  const answered = new Map<number, string[]>();
  const restored: string[] = [];
  const next = new Map<number, number>();
  let refused = 0;

  const sendOne = async (chat: number, client: Client): Promise<void> => {
    const number = next.get(chat) ?? 0;
    const id = `storm.${chat}-${number}`;
    const isRestored = number % RESTORED_EVERY === RESTORED_EVERY - 1;
    if (isRestored && !(await register(client, id))) return;
    const { status } = await client.webhook(messageOf(id, chat, number));
    if (status === 503) refused += 1;
    if (status !== 200) return;
    if (isRestored) restored.push(id);
    else answered.set(chat, [...(answered.get(chat) ?? []), id]);
    next.set(chat, number + 1); // only now: until the 200, Whapi sends the same again
  };

  const rageIn = async (chat: number, client: () => Client, enough: () => boolean): Promise<void> => {
    while (!enough()) {
      try {
        await sendOne(chat, client());
      } catch {
        // The connection broke, or the gateway is gone: Whapi sends it again.
      }
    }
  };

  return {
    answered,
    restored,
    get refused() {
      return refused;
    },
    rage: async (client, enough) => {
      await Promise.all(Array.from({ length: CHATS }, async (_, chat) => await rageIn(chat, client, enough)));
    },
  };
}

async function register(client: Client, id: string): Promise<boolean> {
  const { status } = await client.call('POST', '/v1/resyncs', { channel: 'main', message_ids: [id] });
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
