import { type Effects, systemEffects } from '../effects.js';
import type { RestAnswer, RestRequest, Simulator } from './simulator.js';
import { isForcedStatus, newMessageId, errorAnswer } from './channel.js';
import { DOCUMENTED_EVENTS } from '../whapi/wire.js';
import type { WhapiMessage } from '../whapi/wire.js';
import { isRecord } from '../json.js';

const SENDER = '12025550142';
const DAY_SECONDS = 86_400;
const LOST_DAYS_AGO = 30;

/**
 * Routes to control the simulator, without a token:
 * `POST /_simulator/receive {text}`: sends a live message;
 * `POST /_simulator/lose {text}`: creates a month-old message that the phone has and Whapi has lost;
 * `POST /_simulator/phone {status}`: sets the state of the channel: AUTH, QR, STOP, SYNC_ERROR …;
 * `POST /_simulator/fail {status, seconds}`: refuses every call with this status for `seconds` (scaled).
 * `POST /_simulator/deviate {id, chat_id, event, webhooks, after_seconds}`: how restored messages differ from the documented
 *   behaviour; `{}`: not at all. For `channels probe`.
 * The first two answer `{id}`.
 */
export function control(
  simulator: Simulator,
  { method, path, body }: RestRequest,
  effects: Effects = systemEffects,
): RestAnswer | undefined {
  if (method !== 'POST') return undefined;
  const fields = isRecord(body) ? body : {};
  switch (path) {
    case '/_simulator/receive':
    case '/_simulator/lose':
      return addMessage(simulator, fields['text'], path === '/_simulator/lose', effects);
    case '/_simulator/phone':
      return setHealth(simulator, fields['status']);
    case '/_simulator/fail':
      return fail(simulator, fields['status'], fields['seconds']);
    case '/_simulator/deviate':
      return deviate(simulator, fields);
  }
  return undefined;
}

function addMessage(simulator: Simulator, text: unknown, lost: boolean, effects: Effects): RestAnswer {
  if (typeof text !== 'string') return errorAnswer(400, 'Send JSON: {"text":"…"}');
  const nowSeconds = Math.floor(effects.now() / 1000);
  const message = textMessage(text, lost ? nowSeconds - LOST_DAYS_AGO * DAY_SECONDS : nowSeconds, effects);
  if (lost) simulator.store(message, { cached: false });
  else simulator.receive(message);
  return { status: 200, body: { id: message.id } };
}

function setHealth(simulator: Simulator, status: unknown): RestAnswer {
  if (typeof status !== 'string') return errorAnswer(400, 'Send JSON: {"status":"QR"}');
  simulator.setHealth(status);
  return { status: 200, body: { status } };
}

function fail(simulator: Simulator, status: unknown, seconds: unknown): RestAnswer {
  if (!isForcedStatus(status) || typeof seconds !== 'number') {
    return errorAnswer(400, 'Send JSON: {"status":429,"seconds":60}. The status is 400, 401, 402, 403, 429 or 500');
  }
  simulator.failFor(status, seconds * 1000);
  return { status: 200, body: { status, seconds } };
}

const DEVIATIONS =
  'Send JSON: {"id":"…","chat_id":"…","event":"messages.put","webhooks":2,"after_seconds":3600}, or {}';

function deviate({ faults }: Simulator, fields: Readonly<Record<string, unknown>>): RestAnswer {
  const { id, chat_id, event = 'messages.post', webhooks = 1, after_seconds: after = 0 } = fields;
  const restoredEvent = DOCUMENTED_EVENTS.find(({ type, method }) => `${type}.${method}` === event);
  const isValid = [id, chat_id].every((text) => text === undefined || typeof text === 'string');
  if (!isValid || !restoredEvent || typeof webhooks !== 'number' || typeof after !== 'number')
    return errorAnswer(400, DEVIATIONS);
  faults.restoredAs = {
    ...(typeof id === 'string' && { id }),
    ...(typeof chat_id === 'string' && { chat_id }),
  };
  faults.restoredEvent = restoredEvent;
  faults.resyncSendsWebhook = webhooks > 0;
  faults.resyncWebhooks = webhooks;
  faults.webhookAfterMs = after * 1000;
  return { status: 200, body: { ...fields } };
}

function textMessage(text: string, timestamp: number, effects: Effects): WhapiMessage {
  return {
    id: newMessageId(effects.randomBytes(15)),
    from_me: false,
    type: 'text',
    chat_id: `${SENDER}@s.whatsapp.net`,
    timestamp,
    source: 'mobile',
    text: { body: text },
    from: SENDER,
    from_name: 'Alice Example',
  };
}
