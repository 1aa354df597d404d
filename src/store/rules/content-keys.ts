import { contentFingerprint } from '../../intake/content-fingerprint.js';
import { contentKey } from './keys.js';

/** The keys of a message's content fingerprint. @param message as Whapi shows it */
export function contentKeys(channel: string, message: unknown): Buffer[] {
  return (contentFingerprint(message)?.texts ?? []).map((text) => contentKey(channel, text));
}
