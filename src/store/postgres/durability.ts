import type pg from 'pg';
import { StartError } from '../../errors.js';

const SETTINGS = `SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit,
  current_setting('full_page_writes') AS full_page_writes`;

/**
 * I1: a webhook is answered once it is stored. A server that reports a commit before it is on disk breaks that promise.
 * @throws StartError GW_STORE_UNUSABLE
 */
export async function requireDurability(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<Record<string, string>>(SETTINGS);
  const off = Object.entries(rows[0] ?? {}).find(([, value]) => value === 'off');
  if (!off) return;
  throw new StartError(
    'GW_STORE_UNUSABLE',
    `PostgreSQL runs with ${off[0]}=off, so a crash of the server loses webhooks that were already answered. Set ${off[0]}=on ` +
      '(for the server, or with ALTER DATABASE or ALTER ROLE if one of these turned it off), then start the gateway again.',
  );
}
