import { createHmac } from 'node:crypto';
import { hostname } from 'node:os';
import type { Config } from './config.js';
import type { Keys } from './keyfiles.js';
import type { Log } from './log.js';
import type { Replica, Replicas } from './store/replicas.js';

const FINGERPRINT_LENGTH = 16;

/** Replicas that have the same value of a setting. */
export type ReplicaGroup = readonly Replica[];

/**
 * Tells the other replicas where this one listens, and which settings it has. With another ADMIN_TOKEN, one of three answers 401,
 * which looks like a fault that comes and goes.
 */
export async function introduceReplica(
  replicas: Replicas,
  { config, keys, url, log }: { config: Config; keys: Keys; url: string; log: Log },
): Promise<void> {
  await replicas.introduce({ name: `${hostname()}:${new URL(url).port}`, settings: fingerprintsOf(config, keys) });
  const settings = [...differingSettings(await replicas.list()).keys()];
  if (settings.length > 0) log.warn({ settings, fix: 'start all replicas with the same values' }, 'replicas differ');
}

/** The settings that replicas have different values of, with the replicas by value. Pure. */
export function differingSettings(replicas: readonly Replica[]): Map<string, readonly ReplicaGroup[]> {
  const groups = new Map<string, Map<string, Replica[]>>();
  for (const replica of replicas)
    for (const [name, fingerprint] of Object.entries(replica.settings)) {
      const byValue = groups.get(name) ?? new Map<string, Replica[]>();
      groups.set(name, byValue.set(fingerprint, [...(byValue.get(fingerprint) ?? []), replica]));
    }
  const found = [...groups].filter(([, byValue]) => byValue.size > 1);
  return new Map(found.map(([name, byValue]) => [name, [...byValue.values()]]));
}

/** Of the settings with which a replica answers or forgets in another way. Under the encryption key, which all of them share. */
function fingerprintsOf(config: Config, { adminToken, encryptionKey }: Keys): Record<string, string> {
  const values = {
    ADMIN_TOKEN: adminToken,
    PUBLIC_URL: config.publicUrl,
    WHAPI_BASE_URL: config.whapiBaseUrl,
    MAX_BODY_BYTES: config.maxBodyBytes,
    RETENTION_DAYS: config.retentionDays,
    LEDGER_RETENTION_DAYS: config.ledgerRetentionDays,
  };
  const fingerprint = (name: string, value: string | number | null): string =>
    createHmac('sha256', encryptionKey).update(`${name}=${value}`).digest('base64url').slice(0, FINGERPRINT_LENGTH);
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, fingerprint(name, value)]));
}
