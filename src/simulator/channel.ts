import { MessageCache } from './cache.js';
import { ALL_EVENTS, isWebhook, SimulatedWebhooks, type SimulatorContext, type WebhookFaults } from './webhooks.js';
import {
  CHANNEL_NOT_FOUND,
  type ErrorBody,
  type EventName,
  HEALTHY,
  type Health,
  type MessagesList,
  type WhapiMessage,
} from '../whapi/wire.js';
import { isRecord } from '../json.js';

/** A status that `faults.restStatus` can force on every REST call. */
export type ForcedStatus = keyof typeof FORCED_ERRORS;

export function isForcedStatus(status: unknown): status is ForcedStatus {
  return typeof status === 'number' && Object.hasOwn(FORCED_ERRORS, status);
}

/** Faults to inject, mutable at any time. `noFaults()` is normal behaviour. */
export interface Faults extends WebhookFaults {
  /** Delay of each REST answer, in Whapi's milliseconds (scaled). */
  slowAnswerMs: number;
  /** Every REST call gets this status. A refused resync has no effect, but after a 500 the message still comes back. */
  restStatus: ForcedStatus | null;
  /** Every REST call gets the 404 of an unknown token. */
  channelNotFound: boolean;
  /** Duration of a resync call, in Whapi's milliseconds (scaled). */
  resyncTakesMs: number;
  /** Whapi's milliseconds (scaled) from a resync call's arrival until the message is back; may end before the call. */
  restoredAfterMs: number;
  /** Answer of a resync call for a message that the phone has. After 200 the message is back at once. */
  resyncAnswers: 404 | 200;
  /** The resync call is never answered, but its message comes back. */
  resyncHangs: boolean;
  /** False: the message comes back without a messages.post. */
  resyncSendsWebhook: boolean;
  /** Fields that a restored message has in place of its own, such as another `id` or `chat_id`. */
  restoredAs: Partial<WhapiMessage>;
  /** The event with which a restored message comes: messages.post, messages.put, messages.patch or chats.post. */
  restoredEvent: EventName;
  /** Whapi's milliseconds (scaled) between the return of a message and its webhook. */
  webhookAfterMs: number;
  /** How many webhooks one resync causes. */
  resyncWebhooks: number;
  /** A resync also sends a chats.patch with the restored message as the last one of its chat. */
  resyncSideEffect: boolean;
  /** `status.text` of the channel. Resyncs work only with AUTH. */
  healthText: string;
}

const MESSAGES_POST: EventName = { type: 'messages', method: 'post' };

/** The initial faults: none. */
export function noFaults(): Faults {
  return {
    duplicateWebhooks: 0,
    reorderWebhooks: false,
    slowAnswerMs: 0,
    restStatus: null,
    channelNotFound: false,
    resyncTakesMs: 15_000,
    restoredAfterMs: 60_000,
    resyncAnswers: 404,
    resyncHangs: false,
    resyncSendsWebhook: true,
    restoredAs: {},
    restoredEvent: MESSAGES_POST,
    webhookAfterMs: 0,
    resyncWebhooks: 1,
    resyncSideEffect: false,
    healthText: HEALTHY,
  };
}

/** A REST call after authentication. `body` is parsed JSON; undefined when there was none or it was unreadable. */
export interface RestRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
  /** The raw body. */
  readonly bytes: Buffer;
  readonly contentType: string | undefined;
}

/** Status and JSON body of an answer, or a file. Without `body`, the answer is empty. */
export interface RestAnswer {
  readonly status: number;
  readonly body?: unknown;
  readonly file?: MediaFile;
}

interface MediaFile {
  readonly contentType: string | undefined;
  readonly bytes: Buffer;
}

const CHANNEL_POST: EventName = { type: 'channel', method: 'post' };
const CHATS_PATCH: EventName = { type: 'chats', method: 'patch' };
const OWN_NUMBER = '12025550100';
const HEALTH_CODES: Readonly<Record<string, number>> = { INIT: 1, LAUNCH: 2, QR: 3, AUTH: 4, ERROR: 5, SYNC_ERROR: 6 };
const MESSAGE_PATH = /^\/messages\/(?!list$|text$)([^/]+)$/;
const CHAT_PATH = /^\/messages\/list\/([^/]+)$/;
const MEDIA_PATH = /^\/media\/([^/]+)$/;
const MESSAGE_ID = /^[A-Za-z0-9._-]+$/;

const FORCED_ERRORS = {
  400: errorAnswer(400, 'Wrong request parameters'),
  401: errorAnswer(401, 'Need channel authorization'),
  402: errorAnswer(402, 'Trial version limit exceeded'),
  403: errorAnswer(403, 'It is forbidden to send to this group/recipient'),
  429: errorAnswer(429, 'Too many requests'),
  500: errorAnswer(500, 'Internal Error', { support: 'care@whapi.cloud' }),
};

/** An error answer in Whapi's format. */
export function errorAnswer(status: number, message: string, more: Partial<ErrorBody['error']> = {}): RestAnswer {
  return { status, body: { error: { code: status, message, ...more } } satisfies ErrorBody };
}

/** The id in `/messages/{id}`; undefined for every other path. Real ids need no percent-encoding. */
export function messageIdOf(path: string): string | undefined {
  return MESSAGE_PATH.exec(path)?.[1];
}

/** Thrown by a route to refuse a call. */
class Refused extends Error {
  constructor(readonly answer: RestAnswer) {
    super();
  }
}

/** One channel: the phone's messages, Whapi's cache of them, the settings, and the REST API. */
export class SimulatedChannel {
  readonly webhooks: SimulatedWebhooks;
  readonly #context: SimulatorContext<Faults>;
  readonly #startedAt: number;
  /** Messages on the phone, by id. */
  readonly #onPhone = new Map<string, WhapiMessage>();
  /** Messages in Whapi's cache. */
  readonly #cache = new MessageCache();
  readonly #media = new Map<string, MediaFile>();

  constructor(context: SimulatorContext<Faults>) {
    this.#context = context;
    this.#startedAt = context.effects.now();
    this.webhooks = new SimulatedWebhooks(context);
  }

  store(message: WhapiMessage, cached: boolean): void {
    this.#onPhone.set(message.id, message);
    if (cached) this.#cache.add(message);
    else this.#cache.remove(message.id);
  }

  receive(message: WhapiMessage): void {
    this.store(message, true);
    this.#announce(message);
  }

  /** Sets the channel's state and sends a channel.post about it. */
  setHealth(text: string): void {
    this.#context.faults.healthText = text;
    this.webhooks.emit(CHANNEL_POST, { health: this.#health() });
  }

  /** The answer to a REST call; null if it is never answered. */
  async answer(call: RestRequest): Promise<RestAnswer | null> {
    const { faults } = this.#context;
    try {
      if (faults.channelNotFound) return errorAnswer(404, CHANNEL_NOT_FOUND);
      if (faults.restStatus !== null) return this.#fail(call, faults.restStatus);
      return await this.#route(call);
    } catch (error) {
      if (error instanceof Refused) return error.answer;
      throw error;
    }
  }

  #announce(message: WhapiMessage): void {
    this.webhooks.emit(MESSAGES_POST, { messages: [message] });
  }

  #fail({ path, query }: RestRequest, status: ForcedStatus): RestAnswer {
    const id = messageIdOf(path);
    if (status === 500 && id !== undefined && flag(query, 'resync')) this.#context.pending.add(this.#bringBack(id));
    return FORCED_ERRORS[status];
  }

  async #route(call: RestRequest): Promise<RestAnswer | null> {
    switch (`${call.method} ${call.path}`) {
      case 'GET /health':
        flag(call.query, 'wakeup');
        return { status: 200, body: this.#health() };
      case 'GET /limits':
        return { status: 204 };
      case 'GET /settings':
        return { status: 200, body: this.webhooks.settings };
      case 'PATCH /settings':
        return this.#patchSettings(call.body);
      case 'GET /settings/events':
        return { status: 200, body: ALL_EVENTS };
      case 'POST /settings/webhook_test':
        return await this.#testWebhook(call.body);
      case 'GET /messages/list':
        return { status: 200, body: this.#list(call.query, () => true) };
      case 'POST /messages/text':
        return this.#sendText(call.body);
      case 'POST /media':
        return this.#upload(call);
    }
    return call.method === 'GET' ? await this.#routeWithId(call) : errorAnswer(404, 'Not found');
  }

  async #routeWithId({ path, query }: RestRequest): Promise<RestAnswer | null> {
    const chat = CHAT_PATH.exec(path)?.[1];
    if (chat !== undefined) return this.#listChat(decoded(chat), query);
    const file = this.#media.get(MEDIA_PATH.exec(path)?.[1] ?? '');
    if (file) return { status: 200, file };
    const id = messageIdOf(path);
    if (id === undefined) return errorAnswer(404, 'Not found');
    if (!MESSAGE_ID.test(id)) throw wrong('MessageID must match pattern');
    return flag(query, 'resync') ? await this.#resync(id) : this.#message(id);
  }

  #message(id: string): RestAnswer {
    const message = this.#cache.get(id);
    return message ? { status: 200, body: message } : errorAnswer(404, 'Specified message not found');
  }

  async #resync(id: string): Promise<RestAnswer | null> {
    const { faults, pause, pending } = this.#context;
    pending.add(this.#bringBack(id));
    if (faults.resyncHangs) return null;
    const call = pause(faults.resyncTakesMs);
    pending.add(call);
    await call;
    const known = this.#onPhone.get(id);
    if (faults.resyncAnswers === 404 || known === undefined || !this.#phoneAnswers()) {
      return errorAnswer(404, 'Specified message not found');
    }
    this.#cache.add(known);
    return this.#message(id);
  }

  #phoneAnswers(): boolean {
    return this.#context.faults.healthText === HEALTHY;
  }

  async #bringBack(id: string): Promise<void> {
    const { effects, faults, pause, report, signal } = this.#context;
    if (!this.#onPhone.has(id) || !this.#phoneAnswers()) return;
    await pause(faults.restoredAfterMs);
    const known = this.#onPhone.get(id);
    if (signal.aborted || known === undefined) return;
    const restored = { ...known, ...faults.restoredAs };
    this.#cache.add(restored);
    report({ kind: 'restored', at: effects.now(), messageId: id });
    if (faults.resyncSideEffect) this.#patchChat(restored);
    if (!faults.resyncSendsWebhook) return;
    if (faults.webhookAfterMs > 0) await pause(faults.webhookAfterMs);
    for (let sent = 0; sent < faults.resyncWebhooks; sent += 1) this.#announceRestored(restored);
  }

  #announceRestored(message: WhapiMessage): void {
    const { restoredEvent: event } = this.#context.faults;
    const { id, chat_id } = message;
    if (event.type === 'chats')
      this.webhooks.emit(event, { chats: [{ id: chat_id, type: 'contact', last_message: message }] });
    else if (event.method === 'patch')
      this.webhooks.emit(event, { messages_updates: [{ id, before_update: message, after_update: message }] });
    else this.webhooks.emit(event, { messages: [message] });
  }

  #patchChat(restored: WhapiMessage): void {
    const chat = { id: restored.chat_id, type: restored.chat_id.endsWith('@g.us') ? 'group' : 'contact' };
    const last = this.#cache
      .newestFirst()
      .find(({ chat_id, id }) => chat_id === restored.chat_id && id !== restored.id);
    const before_update = last ? { ...chat, timestamp: last.timestamp, last_message: last } : chat;
    const after_update = { ...chat, timestamp: restored.timestamp, last_message: restored };
    const changes = ['timestamp', 'last_message'];
    this.webhooks.emit(CHATS_PATCH, { chats_updates: [{ before_update, after_update, changes }] });
  }

  #listChat(chat: string, query: URLSearchParams): RestAnswer {
    const exists = [...this.#onPhone.values()].some(({ chat_id }) => chat_id === chat);
    if (!exists) return errorAnswer(404, 'Specified chat not found');
    return { status: 200, body: this.#list(query, ({ chat_id }) => chat_id === chat) };
  }

  #list(query: URLSearchParams, inChat: (message: WhapiMessage) => boolean): MessagesList {
    const count = whole(query, 'count', 1, 500) ?? 100;
    const offset = whole(query, 'offset', 0) ?? 0;
    const from = whole(query, 'time_from', 0) ?? 0;
    const to = whole(query, 'time_to', 0) ?? Infinity;
    const mine = flag(query, 'from_me');
    const onlyNormal = flag(query, 'normal_types') ?? false;
    const isWanted = ({ type, from_me }: WhapiMessage): boolean =>
      (mine === undefined || from_me === mine) && !(onlyNormal && type === 'system');
    const found = this.#cache.newestFirst(from, to).filter((message) => inChat(message) && isWanted(message));
    if (oneOf(query, 'sort', ['asc', 'desc']) === 'asc') found.reverse();
    const messages = found.slice(offset, offset + count);
    const positions = messages.length > 0 ? { first: offset, last: offset + messages.length - 1 } : {};
    return { messages, count, total: found.length, offset, ...positions };
  }

  #health(): Health {
    const { channelId, effects, faults } = this.#context;
    const text = faults.healthText;
    return {
      channel_id: channelId,
      start_at: Math.floor(this.#startedAt / 1000),
      uptime: Math.floor((effects.now() - this.#startedAt) / 1000),
      version: '1.8.7',
      status: { code: HEALTH_CODES[text] ?? 0, text },
      ...(text === HEALTHY ? { user: { id: OWN_NUMBER, name: 'Simulated phone' } } : {}),
    };
  }

  #patchSettings(body: unknown): RestAnswer {
    const update = this.webhooks.patchSettings(body);
    return update ? { status: 200, body: update } : errorAnswer(400, 'Wrong settings format');
  }

  async #testWebhook(body: unknown): Promise<RestAnswer> {
    if (!isRecord(body) || !isWebhook(body) || typeof body['type'] !== 'string' || body.mode === undefined) {
      return errorAnswer(400, 'Wrong parameters');
    }
    const event: EventName = { type: body['type'], method: 'post' };
    // Whapi does not document this body; one without any known key is the hardest case for a receiver.
    const status = await this.webhooks.sendOnce({ webhook: body, event, body: '{"test":true}' });
    return { status: 200, body: { success: status === 200 } };
  }

  /** Stores a file for later messages, until the simulator is closed. */
  #upload({ bytes, contentType }: RestRequest): RestAnswer {
    const id = this.#context.effects.randomBytes(16).toString('hex');
    this.#media.set(id, { bytes, contentType });
    return { status: 200, body: { media: [{ id }] } };
  }

  #sendText(body: unknown): RestAnswer {
    if (!isRecord(body) || typeof body['to'] !== 'string' || typeof body['body'] !== 'string') throw wrong();
    const quoted = body['quoted'];
    if (typeof quoted === 'string' && !this.#cache.get(quoted)) {
      return errorAnswer(404, 'Specified message not found', { details: 'quoted' });
    }
    const { effects } = this.#context;
    const message: WhapiMessage = {
      id: newMessageId(effects.randomBytes(15)),
      from_me: true,
      type: 'text',
      chat_id: body['to'].includes('@') ? body['to'] : `${body['to']}@s.whatsapp.net`,
      timestamp: Math.floor(effects.now() / 1000),
      source: 'api',
      status: 'pending',
      text: { body: body['body'] },
      ...(typeof quoted === 'string' ? { context: { quoted_id: quoted } } : {}),
      from: OWN_NUMBER,
    };
    this.receive(message);
    return { status: 200, body: { sent: true, message } };
  }
}

/** A message id in Whapi's format: two parts, letters, digits, `.` and `_`. */
export function newMessageId(randomBytes: Buffer): string {
  const text = randomBytes.toString('base64url').replaceAll('-', '.');
  return `${text.slice(0, 11)}-${text.slice(11)}`;
}

function wrong(details?: string): Refused {
  return new Refused(errorAnswer(400, 'Wrong request parameters', details === undefined ? {} : { details }));
}

/** Whapi accepts only the words true and false as booleans. */
function flag(query: URLSearchParams, name: string): boolean | undefined {
  const word = oneOf(query, name, ['true', 'false']);
  return word === undefined ? undefined : word === 'true';
}

function oneOf(query: URLSearchParams, name: string, words: readonly string[]): string | undefined {
  const value = query.get(name) ?? undefined;
  if (value !== undefined && !words.includes(value)) throw wrong(`${name} must be one of ${words.join(', ')}`);
  return value;
}

function whole(query: URLSearchParams, name: string, least: number, most = Infinity): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(value >= least && value <= most)) throw wrong(`${name} is out of range`);
  return value;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong('ChatID must match pattern');
  }
}
