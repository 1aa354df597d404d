import { hash } from 'node:crypto';
import { KEY_BYTES } from '../rules/keys.js';
import { FINGERPRINT_BYTES } from '../rules/ledger-facts.js';

/** A 16-byte key (store/rules/keys.ts) as PostgreSQL's `uuid` takes it. */
export function uuidOf(key: Buffer): string {
  return key.toString('hex');
}

/** The key behind a `uuid` that PostgreSQL returned. */
export function keyOf(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

/**
 * A fingerprint of the ledger as `uuid`. Only its first bytes count; those that were read, or carried over from SQLite, have no
 * others.
 */
export function fingerprintUuid(fingerprint: Buffer): string {
  return fingerprint.toString('hex', 0, FINGERPRINT_BYTES).padEnd(2 * KEY_BYTES, '0');
}

/** The first bytes of a fingerprint of the ledger. */
export function fingerprintOf(uuid: string): Buffer {
  return keyOf(uuid).subarray(0, FINGERPRINT_BYTES);
}

/** A `uuid` that PostgreSQL returned in the form of `uuidOf`, so that both compare as texts. */
export function plainUuid(uuid: string): string {
  return uuid.replaceAll('-', '');
}

/** The concatenated keys in a buffer as an array for a `uuid[]`. */
export function uuidsIn(keys: Buffer): string[] {
  const hex = keys.toString('hex');
  return Array.from({ length: hex.length / 32 }, (_, at) => hex.slice(at * 32, (at + 1) * 32));
}

/** The second number of a channel's advisory lock. Two names with one number share a lock, which is only slower. */
export function lockNumberOf(channel: string): number {
  return Buffer.from(hash('sha256', channel, 'hex').slice(0, 8), 'hex').readInt32BE(0);
}
