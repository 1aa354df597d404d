import { isUtf8 } from 'node:buffer';
import { NO_LIMITS, scanMembers } from '../intake/scan.js';
import { unixSeconds } from '../intake/timestamp.js';
import type { ListedMessage } from '../model.js';
import { isRecord } from '../json.js';
import { stringOrNull } from '../json.js';

export interface MessagesPage {
  /** Without elements that lack an id or a time. */
  readonly messages: readonly ListedMessage[];
  /** How many elements the answer had, valid or not: the next `offset` counts them all. */
  readonly length: number;
  /** How many messages match the query, according to Whapi; null if it does not say. */
  readonly total: number | null;
}

/** Reads the body of `GET /messages/list`; null if it has another form. Elements keep the bytes that Whapi sent. */
export function readMessagesPage(body: Buffer): MessagesPage | null {
  const root = parseObject(body);
  const values = root?.['messages'];
  if (!root || !Array.isArray(values)) return null;
  const arrays = scanMembers(body, (key) => key === 'messages', NO_LIMITS)?.flatMap(({ elements }) =>
    elements ? [elements] : [],
  );
  const spans = arrays?.at(-1) ?? [];
  const messages = spans.flatMap(({ start, end }, index) => {
    const value: unknown = values[index];
    return listedMessage(value, body.subarray(start, end)) ?? [];
  });
  const total = root['total'];
  return { messages, length: values.length, total: Number.isSafeInteger(total) ? (total as number) : null };
}

function listedMessage(value: unknown, json: Buffer): ListedMessage | null {
  if (!isRecord(value)) return null;
  const [id, timestamp] = [stringOrNull(value['id']), unixSeconds(value['timestamp'])];
  if (id === null || id === '' || timestamp === null) return null;
  return {
    id,
    timestamp: Math.floor(timestamp),
    type: stringOrNull(value['type']),
    chatId: stringOrNull(value['chat_id']),
    json,
  };
}

function parseObject(body: Buffer): Record<string, unknown> | null {
  if (!isUtf8(body)) return null;
  try {
    const root: unknown = JSON.parse(body.toString('utf8'));
    return isRecord(root) ? root : null;
  } catch {
    return null;
  }
}
