import { contentFingerprint } from '../../intake/content-fingerprint.js';
import { isRecord, stringOrNull } from '../../json.js';
import { contentKeys } from './content-keys.js';
import { messageKey } from './keys.js';

/** Whapi has answered a call for a registered id with this message. */
export interface ShownAs {
  readonly channel: string;
  /** Of the registered id. */
  readonly key: Buffer;
  /** As Whapi shows it. */
  readonly message: unknown;
}

/** What a shown message is recognized by if it comes under another id. */
export interface ShownKeys {
  /** Unix seconds, by the message itself. */
  readonly sentAt: number;
  /** Of its content, and of the id that Whapi shows it with if that is another one. */
  readonly keys: readonly Buffer[];
}

/**
 * Whether a message with this timestamp may be one of the shown ones: it is no newer than the newest of them. Spares most
 * lookups. @param newestShownAt null: there are none
 */
export function mayBeShown(timestamp: number | null, newestShownAt: number | null): boolean {
  return newestShownAt !== null && timestamp !== null && Math.floor(timestamp) <= newestShownAt;
}

/** Null: nothing, because the message has no time, or one that is yet to come. */
export function shownKeys({ channel, key, message }: ShownAs, now: number): ShownKeys | null {
  const sentAt = contentFingerprint(message)?.sentAt;
  if (sentAt === undefined || sentAt * 1000 > now) return null;
  const shownId = isRecord(message) ? stringOrNull(message['id']) : null;
  const shownKey = shownId === null || shownId === '' ? key : messageKey(channel, shownId);
  return { sentAt, keys: [...contentKeys(channel, message), ...(shownKey.equals(key) ? [] : [shownKey])] };
}
