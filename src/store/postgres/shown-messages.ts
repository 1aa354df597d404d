import { shownKeys } from '../rules/shown-messages.js';
import type { ShownAs } from '../rules/shown-messages.js';
import type { Transaction } from './queries.js';
import { uuidOf } from './keys.js';

/**
 * Whapi has answered a call for a registered id with this message, which may come under another id (rule 18).
 * @param cameAs the key of the registered id, if a webhook has brought it since Whapi was asked
 */
export async function saveShown(tx: Transaction, shown: ShownAs, cameAs: Buffer | null, now: number): Promise<void> {
  const found = shownKeys(shown, now);
  if (!found || found.keys.length === 0) return;
  await tx.run(
    `INSERT INTO gateway.content_fingerprints (key, message_key, sent_at, came_as)
     SELECT DISTINCT key, $2::uuid, $3::double precision, $4::uuid FROM unnest($1::uuid[]) AS key ORDER BY key
     ON CONFLICT (key, message_key) DO UPDATE SET came_as = excluded.came_as`,
    found.keys.map(uuidOf),
    uuidOf(shown.key),
    found.sentAt,
    cameAs && uuidOf(cameAs),
  );
}

/** Windows of registrations have closed. As an array: an anti-join would read all registrations. @param keys of their ids */
export async function forgetShown(tx: Transaction, keys: readonly string[]): Promise<void> {
  await tx.run(
    `DELETE FROM gateway.content_fingerprints WHERE message_key = ANY($1::uuid[])
       AND message_key <> ALL(ARRAY(SELECT m.key FROM gateway.resync_messages m WHERE m.key = ANY($1::uuid[]) AND NOT m.closed))`,
    keys,
  );
}
