import { type Effects, systemEffects } from '../effects.js';
import type { RestAnswer, RestRequest, Simulator } from './simulator.js';
import { newMessageId, refusal } from './simulator-channel.js';
import { isRecord } from './simulator-webhooks.js';
import type { WhapiMessage } from './wire.js';

const SENDER = '12025550142';
const DAY_SECONDS = 86_400;
const LOST_DAYS_AGO = 30;

/**
 * Routes for a person who tries things, without a token:
 * `POST /_simulator/receive {text}`: a live message comes in;
 * `POST /_simulator/lose {text}`: the phone has a message of a month ago that Whapi has lost, to be resynced.
 * Both answer `{id}`.
 */
export function control(
  simulator: Simulator,
  { method, path, body }: RestRequest,
  effects: Effects = systemEffects,
): RestAnswer | undefined {
  if (method !== 'POST' || !['/_simulator/receive', '/_simulator/lose'].includes(path)) return undefined;
  const text = isRecord(body) ? body['text'] : undefined;
  if (typeof text !== 'string') return refusal(400, 'Send JSON: {"text":"…"}');
  const nowSeconds = Math.floor(effects.now() / 1000);
  const lost = path === '/_simulator/lose';
  const message = textMessage(text, lost ? nowSeconds - LOST_DAYS_AGO * DAY_SECONDS : nowSeconds, effects);
  if (lost) simulator.store(message, { cached: false });
  else simulator.receive(message);
  return { status: 200, body: { id: message.id } };
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
