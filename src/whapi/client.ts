import { Agent, request } from 'undici';
import type { Dispatcher } from 'undici';
import { BaseUrlRefused, whyBaseUrlRefused } from '../base-url.js';
import type { Guard } from '../guard.js';
import { PLACEHOLDER_TYPE } from '../model.js';
import { connectOptions, USER_AGENT } from '../outgoing.js';
import { failureOfError, MOST_ERROR_BYTES, parseJson, failureOfResponse } from './answers.js';
import type { WhapiAnswer, WhapiFailure } from './answers.js';
import { readMessagesPage } from './messages-page.js';
import type { MessagesPage } from './messages-page.js';
import type { Health, Settings, SettingsUpdate, WebhookTest } from './wire.js';
import { isRecord } from '../json.js';

/** The answer to a call that returns a body. */
export type WhapiResult<T> =
  | {
      readonly kind: 'found';
      readonly body: T;
      /** Whapi's clock when it answered, in milliseconds since the epoch; null if the answer had no date. */
      readonly date: number | null;
    }
  | WhapiFailure;

/** The answer to `GET /messages/list`. */
export type ListAnswer =
  | { readonly kind: 'found'; readonly page: MessagesPage }
  /** The answer is larger than the gateway reads: ask for fewer messages. */
  | { readonly kind: 'too_large' }
  | WhapiFailure;

/** The query of `GET /messages/list` (docs/whapi.md, Reading messages). */
export interface ListQuery {
  /** Unix seconds. Whether both ends are inclusive is not documented: ask for one more second on each side. */
  readonly timeFrom: number;
  readonly timeTo: number;
  /** 1 to 500. */
  readonly count: number;
  readonly offset: number;
}

export interface WhapiAccess {
  readonly baseUrl: string;
  readonly token: string;
}

export interface CallOptions {
  /** For the whole call. */
  readonly timeoutMs: number;
}

export interface WhapiClient {
  /** Never rejects: failures are answers. With `resync`, the call takes about 15 s. */
  getMessage(
    access: WhapiAccess,
    messageId: string,
    options: { resync: boolean; timeoutMs: number },
  ): Promise<WhapiAnswer>;
  /** Messages that Whapi has, newest first, without system messages. Never rejects. */
  listMessages(access: WhapiAccess, query: ListQuery, options: CallOptions): Promise<ListAnswer>;
  /** The state of the channel, without starting a stopped one (docs/whapi.md, Health). Never rejects. */
  getHealth(access: WhapiAccess, options: CallOptions): Promise<WhapiResult<Health>>;
  /** Never rejects. */
  getSettings(access: WhapiAccess, options: CallOptions): Promise<WhapiResult<Settings>>;
  /** Changes the given fields, and `webhooks` as a whole (docs/whapi.md, Settings). Never rejects. */
  patchSettings(
    access: WhapiAccess,
    change: Settings,
    options: CallOptions,
  ): Promise<WhapiResult<Partial<SettingsUpdate>>>;
  /** Makes Whapi send a webhook now. Its content is not documented (docs/whapi.md, Settings). Never rejects. */
  testWebhook(access: WhapiAccess, test: WebhookTest, options: CallOptions): Promise<WhapiResult<{ success: boolean }>>;
  /** Aborts calls under way. */
  destroy(): Promise<void>;
}

/** The most that is read of an answer: room for settings with hundreds of webhooks. */
const MOST_BYTES = 4 * 1024 * 1024;
/** Parsing this much takes a millisecond. A placeholder has no content, so anything larger is a message. */
const MOST_MESSAGE_BYTES = 64 * 1024;
/** Whapi has the id but could not read the message yet (docs/whapi.md, Message): it may still come. */
const PLACEHOLDER: WhapiFailure = {
  kind: 'missing',
  reason: `200, but only a placeholder: its type is "${PLACEHOLDER_TYPE}"`,
};
const NO_MESSAGE: WhapiFailure = { kind: 'missing', reason: '200, but the body is not a message' };
/** For lists: five hundred messages of 16 KiB. Parsing more at once would delay webhooks. */
const MOST_LIST_BYTES = 8 * 1024 * 1024;

/** @param guard for the base URLs of channels and what they resolve to */
export function createWhapiClient(guard: Guard): WhapiClient {
  const agent = new Agent({ connect: { ...connectOptions(), lookup: guard.lookup } });

  const send = async (
    { baseUrl, token }: WhapiAccess,
    { method = 'GET', path, json, timeoutMs }: WhapiRequest,
  ): Promise<Dispatcher.ResponseData> => {
    const refusal = whyBaseUrlRefused(baseUrl, guard);
    if (refusal !== null) throw new BaseUrlRefused(refusal);
    // Redirects are not followed: they could lead to an address that the guard refuses.
    return await request(`${baseUrl.replace(/\/$/, '')}${path}`, {
      dispatcher: agent,
      method,
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'application/json',
        'user-agent': USER_AGENT,
        ...(json !== undefined && { 'content-type': 'application/json' }),
      },
      ...(json !== undefined && { body: JSON.stringify(json) }),
      signal: AbortSignal.timeout(timeoutMs),
      // undici's default limits are shorter than a resync may take.
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
  };

  const callFor = async <T>(
    access: WhapiAccess,
    sent: WhapiRequest,
    isExpected: (body: unknown) => body is T,
  ): Promise<WhapiResult<T>> => {
    try {
      const answer = await send(access, sent);
      if (answer.statusCode !== 200) return await failureOf(answer);
      const body = parseJson(await readText(answer.body, MOST_BYTES));
      if (!isExpected(body)) return { kind: 'missing', reason: '200, but the body is not what Whapi documents' };
      return { kind: 'found', body, date: dateOf(answer.headers['date']) };
    } catch (error) {
      return failureOfError(error);
    }
  };

  return {
    getMessage: async (access, messageId, { resync, timeoutMs }) => {
      const path = `/messages/${encodeURIComponent(messageId)}${resync ? '?resync=true' : ''}`;
      try {
        const answer = await send(access, { path, timeoutMs });
        if (answer.statusCode !== 200) return await failureOf(answer);
        return messageAnswer(await readAtMost(answer.body, MOST_MESSAGE_BYTES));
      } catch (error) {
        return failureOfError(error);
      }
    },
    listMessages: async (access, { timeFrom, timeTo, count, offset }, { timeoutMs }) => {
      const window = `time_from=${timeFrom}&time_to=${timeTo}`;
      const path = `/messages/list?count=${count}&offset=${offset}&${window}&normal_types=true&sort=desc`;
      try {
        const answer = await send(access, { path, timeoutMs });
        if (answer.statusCode !== 200) return await failureOf(answer);
        const body = await readAtMost(answer.body, MOST_LIST_BYTES);
        if (body.length > MOST_LIST_BYTES) return { kind: 'too_large' };
        const page = readMessagesPage(body);
        return page
          ? { kind: 'found', page }
          : { kind: 'missing', reason: '200, but the body is not a list of messages' };
      } catch (error) {
        return failureOfError(error);
      }
    },
    getHealth: async (access, { timeoutMs }) =>
      await callFor(access, { path: '/health?wakeup=false', timeoutMs }, isHealth),
    getSettings: async (access, { timeoutMs }) => await callFor(access, { path: '/settings', timeoutMs }, isSettings),
    patchSettings: async (access, json, { timeoutMs }) =>
      await callFor(access, { method: 'PATCH', path: '/settings', json, timeoutMs }, isUpdate),
    testWebhook: async (access, json, { timeoutMs }) =>
      await callFor(access, { method: 'POST', path: '/settings/webhook_test', json, timeoutMs }, isTestResult),
    destroy: async () => await agent.destroy(),
  };
}

interface WhapiRequest {
  readonly method?: 'GET' | 'PATCH' | 'POST';
  /** Includes the query. */
  readonly path: string;
  readonly json?: unknown;
  readonly timeoutMs: number;
}

async function failureOf({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<WhapiFailure> {
  const retryAfter = headers['retry-after'];
  return failureOfResponse({
    status: statusCode,
    body: await readText(body, MOST_ERROR_BYTES),
    retryAfter: typeof retryAfter === 'string' ? retryAfter : null,
  });
}

function dateOf(header: string | string[] | undefined): number | null {
  const ms = typeof header === 'string' ? Date.parse(header) : NaN;
  return Number.isNaN(ms) ? null : ms;
}

/** Checks only what the gateway relies on. A proxy's HTML page with status 200 does not pass. */
function isHealth(body: unknown): body is Health {
  return isRecord(body) && isRecord(body['status']) && typeof body['status']['text'] === 'string';
}

function isSettings(body: unknown): body is Settings {
  return isRecord(body) && (body['webhooks'] === undefined || isWebhooks(body['webhooks']));
}

function isWebhooks(value: unknown): boolean {
  return Array.isArray(value) && value.every((webhook) => isRecord(webhook) && typeof webhook['url'] === 'string');
}

function isUpdate(body: unknown): body is Partial<SettingsUpdate> {
  if (!isRecord(body)) return false;
  return [body['before_update'], body['after_update']].every((part) => part === undefined || isSettings(part));
}

/**
 * An HTML page with status 200 is not a message, and neither is JSON without id and type: the id would count as
 * restored.
 */
function messageAnswer(body: Buffer): WhapiAnswer {
  const text = body.toString();
  const message = body.length > MOST_MESSAGE_BYTES ? undefined : parseJson(text);
  // A body that is too large or cut off is judged by its start.
  if (message === undefined) return /^\s*\{/.test(text) ? { kind: 'found' } : NO_MESSAGE;
  if (!isRecord(message)) return NO_MESSAGE;
  if (message['type'] === PLACEHOLDER_TYPE) return PLACEHOLDER;
  const isMessage = [message['id'], message['type']].some((part) => typeof part === 'string');
  return isMessage ? { kind: 'found', message } : NO_MESSAGE;
}

function isTestResult(body: unknown): body is { success: boolean } {
  return isRecord(body) && typeof body['success'] === 'boolean';
}

async function readText(body: AsyncIterable<Buffer>, mostBytes: number): Promise<string> {
  return (await readAtMost(body, mostBytes)).toString('utf8', 0, mostBytes);
}

/** Stops after the first chunk that exceeds the limit. */
async function readAtMost(body: AsyncIterable<Buffer>, mostBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > mostBytes) break;
  }
  return Buffer.concat(chunks);
}
