/** An event that a chaos test sends and checks. */
export interface ChaosEvent {
  readonly kind: 'messages' | 'statuses';
  /** Its chat and kind: the events of a lane have an order (I6). */
  readonly lane: string;
  /** Different for each event, over all lanes. */
  readonly id: string;
}

/** The body of a webhook. */
export interface ChaosWebhook {
  readonly body: string;
  /** The id of a message that is brought back: registered first, then sent as Whapi would. Null: a live event. */
  readonly restoredId: string | null;
}

/** The webhooks of a lane, by number. */
export type ChaosLane = (number: number) => ChaosWebhook;

/** One in this many messages of a chat is brought back. */
const RESTORED_EVERY = 5;
const STATUSES = [
  { code: 2, status: 'sent' },
  { code: 3, status: 'delivered' },
  { code: 4, status: 'read' },
];
const EPOCH_SECONDS = 1_762_000_000;

/** Messages that people write in a chat. */
export function messagesOf(chat: number): ChaosLane {
  return (number) => {
    const id = `storm.${chat}-${number}`;
    const chatId = chatIdOf(chat);
    const message = { id, type: 'text', from_me: false, chat_id: chatId, timestamp: EPOCH_SECONDS + number };
    return {
      body: JSON.stringify({ messages: [message], event: { type: 'messages', event: 'post' } }),
      restoredId: number % RESTORED_EVERY === RESTORED_EVERY - 1 ? id : null,
    };
  };
}

/** What becomes of the messages that the number itself writes in a chat: each is sent, delivered and read, one after another. */
export function statusesOf(chat: number): ChaosLane {
  return (number) => {
    const status = {
      id: `own.${chat}-${Math.floor(number / STATUSES.length)}`,
      ...STATUSES[number % STATUSES.length],
      recipient_id: chatIdOf(chat),
      timestamp: String(EPOCH_SECONDS + number),
    };
    return {
      body: JSON.stringify({ statuses: [status], event: { type: 'statuses', event: 'post' } }),
      restoredId: null,
    };
  };
}

interface Payload {
  readonly messages?: readonly { readonly id: string; readonly chat_id: string }[];
  readonly statuses?: readonly { readonly id: string; readonly status: string; readonly recipient_id: string }[];
}

/** The events of a webhook, sent to the gateway or received from it. */
export function eventsIn(body: string | Buffer): readonly ChaosEvent[] {
  const { messages = [], statuses = [] } = JSON.parse(body.toString()) as Payload;
  return [
    ...messages.map(({ id, chat_id: chat }) => eventOf('messages', chat, id)),
    ...statuses.map(({ id, status, recipient_id: chat }) => eventOf('statuses', chat, `${id} ${status}`)),
  ];
}

function eventOf(kind: ChaosEvent['kind'], chat: string, id: string): ChaosEvent {
  return { kind, lane: `${kind} ${chat}`, id };
}

function chatIdOf(chat: number): string {
  return `${chat}@s.whatsapp.net`;
}
