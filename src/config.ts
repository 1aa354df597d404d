import { resolve } from 'node:path';
import { parseTargetNetworks } from './delivery/networks.js';
import type { TargetNetworks } from './delivery/networks.js';
import { StartError } from './errors.js';
import { ENCRYPTION_KEY_BYTES } from './encryption.js';

export type StoreLocation =
  { readonly engine: 'sqlite'; readonly file: string } | { readonly engine: 'postgres'; readonly url: string };

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Every setting of the process, checked. Frozen: nothing changes it after the start. */
export interface Config {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly store: StoreLocation;
  /** Null: made at the first start and kept beside the SQLite file. */
  readonly adminToken: string | null;
  /** Null: made at the first start and kept beside the SQLite file. */
  readonly encryptionKey: Buffer | null;
  readonly publicUrl: string | null;
  readonly whapiBaseUrl: string;
  readonly targetNetworks: TargetNetworks;
  readonly maxBodyBytes: number;
  /** Of webhooks that are in memory and not committed yet. */
  readonly maxPendingBytes: number;
  /** 0: no limit. */
  readonly apiRatePerMinute: number;
  /** 0: no limit. */
  readonly webhookRatePerSecond: number;
  readonly retentionDays: number;
  readonly ledgerRetentionDays: number;
  readonly logLevel: (typeof LOG_LEVELS)[number];
}

type Environment = Readonly<Record<string, string | undefined>>;

const SHORTEST_TOKEN = 16;
/** RFC 6750, 2.1. */
const BEARER_TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/** Reads the settings from the environment. @throws StartError GW_BAD_CONFIG, naming the variable and the fix */
export function readConfig(env: Environment): Config {
  const store = storeLocation(text(env, 'DATABASE_URL') ?? 'sqlite:./data/gateway.db');
  const adminToken = text(env, 'ADMIN_TOKEN');
  if (adminToken !== null && (adminToken.length < SHORTEST_TOKEN || !BEARER_TOKEN.test(adminToken))) {
    throw wrong(
      'ADMIN_TOKEN',
      `must have ${SHORTEST_TOKEN} characters or more, of those that a bearer token may have. Make one with: openssl rand -hex 24`,
    );
  }
  const encryptionKey = keyOf(text(env, 'ENCRYPTION_KEY'));
  if (store.engine === 'postgres' && (adminToken === null || encryptionKey === null)) {
    throw wrong(
      adminToken === null ? 'ADMIN_TOKEN' : 'ENCRYPTION_KEY',
      'is required with PostgreSQL, so that all replicas share it.',
    );
  }
  return Object.freeze({
    host: text(env, 'HOST') ?? '127.0.0.1',
    port: integer(env, 'PORT', 8080, 0, 65_535),
    store,
    adminToken,
    encryptionKey,
    publicUrl: url(env, 'PUBLIC_URL'),
    whapiBaseUrl: url(env, 'WHAPI_BASE_URL') ?? 'https://gate.whapi.cloud',
    targetNetworks: targetNetworks(text(env, 'TARGET_NETWORKS') ?? 'private'),
    maxBodyBytes: integer(env, 'MAX_BODY_BYTES', 10_485_760, 1024, 1_073_741_824),
    maxPendingBytes: integer(env, 'MAX_PENDING_BYTES', 67_108_864, 1024, 68_719_476_736),
    apiRatePerMinute: integer(env, 'API_RATE_PER_MINUTE', 600, 0, 1_000_000_000),
    webhookRatePerSecond: integer(env, 'WEBHOOK_RATE_PER_SECOND', 0, 0, 1_000_000_000),
    retentionDays: integer(env, 'RETENTION_DAYS', 7, 1, 3650),
    ledgerRetentionDays: integer(env, 'LEDGER_RETENTION_DAYS', 400, 1, 36_500),
    logLevel: oneOf(env, 'LOG_LEVEL', 'info', LOG_LEVELS),
  });
}

function wrong(name: string, problem: string): StartError {
  return new StartError('GW_BAD_CONFIG', `${name} ${problem}`);
}

/** An empty variable counts as not set: that is how many tools unset one. */
function text(env: Environment, name: string): string | null {
  const value = env[name]?.trim();
  return value === undefined || value === '' ? null : value;
}

function integer(env: Environment, name: string, fallback: number, least: number, most: number): number {
  const value = text(env, name);
  if (value === null) return fallback;
  const number = /^\d+$/.test(value) ? Number(value) : NaN;
  if (!(number >= least && number <= most)) {
    throw wrong(name, `must be a whole number from ${least} to ${most}, not "${value}".`);
  }
  return number;
}

function oneOf<T extends string>(env: Environment, name: string, fallback: T, allowed: readonly T[]): T {
  const value = text(env, name);
  if (value === null) return fallback;
  const found = allowed.find((word) => word === value.toLowerCase());
  if (found === undefined) throw wrong(name, `must be one of ${allowed.join(', ')}, not "${value}".`);
  return found;
}

function url(env: Environment, name: string): string | null {
  const value = text(env, name);
  if (value === null) return null;
  if (!/^https?:\/\//i.test(value) || !URL.canParse(value)) {
    throw wrong(name, `must be a URL that begins with http:// or https://, not "${value}".`);
  }
  return value.replace(/\/+$/, '');
}

function storeLocation(value: string): StoreLocation {
  if (/^postgres(ql)?:\/\//.test(value)) return { engine: 'postgres', url: value };
  const match = /^sqlite:(.+)$/.exec(value);
  if (!match) throw wrong('DATABASE_URL', 'must be sqlite:<path of a file> or postgres://….');
  return { engine: 'sqlite', file: resolve(match[1] ?? '') };
}

function keyOf(value: string | null): Buffer | null {
  if (value === null) return null;
  const key = Buffer.from(value, 'base64');
  if (key.length !== ENCRYPTION_KEY_BYTES || key.toString('base64').replace(/=+$/, '') !== value.replace(/=+$/, '')) {
    throw wrong(
      'ENCRYPTION_KEY',
      `must be ${ENCRYPTION_KEY_BYTES} bytes in base64. Make one with: openssl rand -base64 ${ENCRYPTION_KEY_BYTES}`,
    );
  }
  return key;
}

function targetNetworks(value: string): TargetNetworks {
  try {
    return parseTargetNetworks(value);
  } catch (error) {
    throw wrong(
      'TARGET_NETWORKS',
      `must be "public", "private" or a comma list of CIDRs: ${(error as Error).message}.`,
    );
  }
}
