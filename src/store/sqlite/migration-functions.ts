import { decode } from '../../intake/decode.js';
import type { WebhookHttpMethod } from '../../model.js';
import { laneKeys } from '../rules/keys.js';
import type Database from 'better-sqlite3';

/** SQL functions for migrations: the keys of lanes are hashes of parts of the webhooks. */
export function defineMigrationFunctions(db: Database.Database): void {
  db.function('lanes_of', { deterministic: true }, lanesOf);
}

/** The lane keys of a delivery (`laneKeys`); `before`, the ones that it has, when its webhook cannot be decoded any more. */
function lanesOf(
  channel: string,
  method: WebhookHttpMethod,
  suffix: string,
  body: Buffer,
  positions: string | null,
  before: Buffer,
): Buffer {
  try {
    const { items } = decode(body, { method, suffix });
    const sent = positions === null ? null : new Set(JSON.parse(positions) as number[]);
    return laneKeys(
      channel,
      items.filter((_, position) => sent?.has(position) ?? true),
    );
  } catch {
    return before;
  }
}
