import { resolve } from 'node:path';
import { whyBaseUrlRefused } from './base-url.js';
import { StartError } from './errors.js';
import { ENCRYPTION_KEY_BYTES, parseKey } from './encryption.js';
import { createGuard } from './guard.js';
import { quoted } from './quoted.js';
import { parseTargetNetworks } from './target-networks.js';
import type { TargetNetworks } from './target-networks.js';
import { parseTrustedProxies } from './trusted-proxies.js';
import { isPostgresUrl, parsePostgresUrl, POSTGRES_URL_EXAMPLE } from './postgres-url.js';
import type { PostgresLocation } from './postgres-url.js';
import type { TrustedProxies } from './trusted-proxies.js';

export type StoreLocation = { readonly engine: 'sqlite'; readonly file: string } | PostgresLocation;

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** The validated settings of the process. Frozen. */
export interface Config {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly store: StoreLocation;
  /** Null: the first start creates it in a file beside the SQLite file. */
  readonly adminToken: string | null;
  /** Opens `/metrics` and nothing else. Null: only the admin token does. */
  readonly metricsToken: string | null;
  /** Null: the first start creates it in a file beside the SQLite file. */
  readonly encryptionKey: Buffer | null;
  readonly publicUrl: string | null;
  readonly whapiBaseUrl: string;
  readonly targetNetworks: TargetNetworks;
  readonly maxBodyBytes: number;
  /** Limit for webhooks in memory that are not committed yet. */
  readonly maxPendingBytes: number;
  /** 0: no limit. */
  readonly apiRatePerMinute: number;
  /** 0: no limit. */
  readonly webhookRatePerSecond: number;
  /** Null: no X-Forwarded-For is believed. */
  readonly trustedProxies: TrustedProxies | null;
  readonly retentionDays: number;
  readonly ledgerRetentionDays: number;
  readonly logLevel: (typeof LOG_LEVELS)[number];
}

type Environment = Readonly<Record<string, string | undefined>>;

const WHAPI_BASE_URL = 'https://gate.whapi.cloud';
const DEFAULT_LEDGER_DAYS = 400;
const SHORTEST_TOKEN = 16;
const MAKE_TOKEN = 'Make one with: openssl rand -hex 24';
const MAKE_KEY = `Make one with: openssl rand -base64 ${ENCRYPTION_KEY_BYTES}`;
/** RFC 6750, 2.1. */
const BEARER_TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/** What an admin token consists of. */
export const ADMIN_TOKEN_WORDS = `${SHORTEST_TOKEN} or more letters, digits and "-._~+/" without spaces`;

/** Whether a text can be the admin token, from the environment or from its file. */
export function isAdminToken(token: string): boolean {
  return token.length >= SHORTEST_TOKEN && BEARER_TOKEN.test(token);
}

/** The key that `rekey` changes to; null: it makes one. @throws StartError GW_BAD_CONFIG */
export function readNewEncryptionKey(env: Environment): Buffer | null {
  return keyOf('NEW_ENCRYPTION_KEY', text(env, 'NEW_ENCRYPTION_KEY'));
}

/** Whether DATABASE_URL names PostgreSQL. */
export function usesPostgres(env: Environment): boolean {
  return isPostgresUrl(text(env, 'DATABASE_URL') ?? '');
}

/** Where `migrate` reads and where it writes: its options, else DATABASE_URL. @throws StartError GW_BAD_CONFIG */
export function readMigration(
  env: Environment,
  { from, to }: { readonly from: string | undefined; readonly to: string | undefined },
): { readonly file: string; readonly location: PostgresLocation } {
  const fallback = text(env, 'DATABASE_URL');
  const isPostgres = usesPostgres(env);
  const source = from ?? (isPostgres ? null : fallback);
  const destination = to ?? (isPostgres ? fallback : null);
  if (source === null) throw wrong('--from', `is missing; expected a SQLite file, for example ${SQLITE_URL_EXAMPLE}.`);
  if (destination === null)
    throw wrong('--to', `is missing; expected PostgreSQL, for example ${POSTGRES_URL_EXAMPLE}.`);
  const [store, location] = [storeLocation(source, '--from'), storeLocation(destination, '--to')];
  if (store.engine !== 'sqlite') throw wrong('--from', `names PostgreSQL; expected ${SQLITE_URL_EXAMPLE}.`);
  if (location.engine !== 'postgres') throw wrong('--to', `names SQLite; expected ${POSTGRES_URL_EXAMPLE}.`);
  return { file: store.file, location };
}

/** Where the store is, for commands that need nothing else. @throws StartError GW_BAD_CONFIG */
export function readStoreLocation(env: Environment): StoreLocation {
  return storeLocation(text(env, 'DATABASE_URL') ?? SQLITE_URL_EXAMPLE, 'DATABASE_URL');
}

/** Reads the settings from the environment. @throws StartError GW_BAD_CONFIG, with the variable, its value and the fix */
export function readConfig(env: Environment): Config {
  const store = readStoreLocation(env);
  const adminToken = text(env, 'ADMIN_TOKEN');
  if (adminToken !== null && !isAdminToken(adminToken)) {
    throw wrong('ADMIN_TOKEN', `is not valid; expected ${ADMIN_TOKEN_WORDS}. ${MAKE_TOKEN}`);
  }
  const metricsToken = metricsTokenOf(env, adminToken);
  const encryptionKey = keyOf('ENCRYPTION_KEY', text(env, 'ENCRYPTION_KEY'));
  if (store.engine === 'postgres') requireKeys(adminToken, encryptionKey);
  const networks = targetNetworks(text(env, 'TARGET_NETWORKS') ?? 'private');
  return Object.freeze({
    host: text(env, 'HOST') ?? '127.0.0.1',
    port: integer(env, 'PORT', 8080, 0, 65_535),
    store,
    adminToken,
    metricsToken,
    encryptionKey,
    publicUrl: url(env, 'PUBLIC_URL', 'https://gateway.example.com'),
    whapiBaseUrl: whapiBaseUrl(env, networks),
    targetNetworks: networks,
    maxBodyBytes: integer(env, 'MAX_BODY_BYTES', 10_485_760, 1024, 1_073_741_824),
    maxPendingBytes: integer(env, 'MAX_PENDING_BYTES', 67_108_864, 1024, 68_719_476_736),
    apiRatePerMinute: integer(env, 'API_RATE_PER_MINUTE', 600, 0, 1_000_000_000),
    webhookRatePerSecond: integer(env, 'WEBHOOK_RATE_PER_SECOND', 0, 0, 1_000_000_000),
    trustedProxies: trustedProxies(text(env, 'TRUSTED_PROXIES')),
    ...retention(env),
    logLevel: oneOf(env, 'LOG_LEVEL', 'info', LOG_LEVELS),
  });
}

/** With SQLite the first start makes both, in files beside the database. Several replicas must have the same ones. */
function requireKeys(adminToken: string | null, encryptionKey: Buffer | null): void {
  const why = 'is not set. With PostgreSQL it is required, and the same for all replicas.';
  if (adminToken === null) throw wrong('ADMIN_TOKEN', `${why} ${MAKE_TOKEN}`);
  if (encryptionKey === null) throw wrong('ENCRYPTION_KEY', `${why} ${MAKE_KEY}`);
}

/** It must differ from the admin token, which opens everything: a monitor's configuration is read by many. */
function metricsTokenOf(env: Environment, adminToken: string | null): string | null {
  const token = text(env, 'METRICS_TOKEN');
  if (token === null) return null;
  if (!isAdminToken(token)) throw wrong('METRICS_TOKEN', `is not valid; expected ${ADMIN_TOKEN_WORDS}. ${MAKE_TOKEN}`);
  if (token === adminToken)
    throw wrong('METRICS_TOKEN', `is the same as ADMIN_TOKEN; expected a token of its own. ${MAKE_TOKEN}`);
  return token;
}

function wrong(name: string, problem: string): StartError {
  return new StartError('GW_BAD_CONFIG', `${name} ${problem}`);
}

/** For variables that hold no secret. The credentials of a URL are masked nevertheless. */
function wrongValue(name: string, value: string, expected: string, example: string): StartError {
  return wrong(name, `is ${quoted(value)}; expected ${expected}, for example ${example}.`);
}

/** An empty variable counts as not set, because many tools unset one so. */
function text(env: Environment, name: string): string | null {
  const value = env[name]?.trim();
  return value === undefined || value === '' ? null : value;
}

function integer(env: Environment, name: string, fallback: number, least: number, most: number): number {
  const value = text(env, name);
  if (value === null) return fallback;
  const number = /^\d+$/.test(value) ? Number(value) : NaN;
  if (!(number >= least && number <= most)) {
    throw wrongValue(name, value, `a whole number from ${least} to ${most}`, `${fallback}`);
  }
  return number;
}

function oneOf<T extends string>(env: Environment, name: string, fallback: T, allowed: readonly T[]): T {
  const value = text(env, name);
  if (value === null) return fallback;
  const found = allowed.find((word) => word === value.toLowerCase());
  if (found === undefined) throw wrongValue(name, value, `one of ${allowed.join(', ')}`, fallback);
  return found;
}

function url(env: Environment, name: string, example: string): string | null {
  const value = text(env, name);
  if (value === null) return null;
  if (!/^https?:\/\//i.test(value) || !URL.canParse(value)) {
    throw wrongValue(name, value, 'an http:// or https:// URL', example);
  }
  const { username, password } = new URL(value);
  // A path is appended to it. The texts of an empty query and fragment count too: URL.search and URL.hash hide them.
  if (username !== '' || password !== '' || /[?#]/.test(value)) {
    throw wrongValue(name, value, 'a URL without credentials, query and fragment', example);
  }
  return value.replace(/\/+$/, '');
}

function whapiBaseUrl(env: Environment, networks: TargetNetworks): string {
  const value = url(env, 'WHAPI_BASE_URL', WHAPI_BASE_URL) ?? WHAPI_BASE_URL;
  const refusal = whyBaseUrlRefused(value, createGuard(networks));
  if (refusal !== null) {
    throw wrong('WHAPI_BASE_URL', `is not valid. ${refusal} Expected a base URL, for example ${WHAPI_BASE_URL}.`);
  }
  return value;
}

/** Pruning never forgets an id before its payload, so a ledger retention below the other would not be obeyed. */
function retention(env: Environment): Pick<Config, 'retentionDays' | 'ledgerRetentionDays'> {
  const retentionDays = integer(env, 'RETENTION_DAYS', 7, 1, 3650);
  const fallback = Math.max(DEFAULT_LEDGER_DAYS, retentionDays);
  const ledgerRetentionDays = integer(env, 'LEDGER_RETENTION_DAYS', fallback, 1, 36_500);
  if (ledgerRetentionDays < retentionDays) {
    throw wrong(
      'LEDGER_RETENTION_DAYS',
      `is "${ledgerRetentionDays}", and RETENTION_DAYS is "${retentionDays}"; expected LEDGER_RETENTION_DAYS to be at ` +
        `least RETENTION_DAYS, for example LEDGER_RETENTION_DAYS=${fallback}.`,
    );
  }
  return { retentionDays, ledgerRetentionDays };
}

const SQLITE_URL_EXAMPLE = 'sqlite:./data/gateway.db';

/** A value that names no SQLite file is not repeated: it may hold a password. */
function storeLocation(value: string, name: string): StoreLocation {
  if (isPostgresUrl(value)) {
    const location = parsePostgresUrl(value);
    if (typeof location !== 'string') return location;
    throw wrong(name, `${location}. Example: ${POSTGRES_URL_EXAMPLE}.`);
  }
  const file = /^sqlite:(.+)$/.exec(value)?.[1];
  if (file === undefined) {
    throw wrong(
      name,
      `is not valid; expected sqlite:<file> or postgres://…, for example ${SQLITE_URL_EXAMPLE} or ${POSTGRES_URL_EXAMPLE}.`,
    );
  }
  if (file.startsWith(':memory:') || file.startsWith('file::memory:')) {
    throw wrongValue(name, value, 'a file, because the store must survive a restart', SQLITE_URL_EXAMPLE);
  }
  // SQLite's own URIs and the URLs of other libraries: taken literally, each would silently become a strange file name.
  const path = file
    .replace(/^file:/, '')
    .replace(/^\/\//, '')
    .replace(/\?.*$/, '');
  if (path !== file) {
    const example = path === '' ? SQLITE_URL_EXAMPLE : `sqlite:${path}`;
    throw wrongValue(name, value, 'sqlite:<file> without "//", "file:" or options', example);
  }
  return { engine: 'sqlite', file: resolve(file) };
}

function keyOf(name: string, value: string | null): Buffer | null {
  if (value === null) return null;
  const key = parseKey(value);
  if (key === null) {
    throw wrong(name, `is not valid; expected ${ENCRYPTION_KEY_BYTES} bytes in base64. ${MAKE_KEY}`);
  }
  return key;
}

function targetNetworks(value: string): TargetNetworks {
  try {
    return parseTargetNetworks(value);
  } catch (error) {
    throw wrong(
      'TARGET_NETWORKS',
      `is not valid: ${(error as Error).message}. Expected public, private, or CIDRs such as 10.0.0.0/8,192.168.0.0/16.`,
    );
  }
}

function trustedProxies(value: string | null): TrustedProxies | null {
  try {
    return value === null ? null : parseTrustedProxies(value);
  } catch (error) {
    throw wrong(
      'TRUSTED_PROXIES',
      `is not valid: ${(error as Error).message}. Expected loopback, or the addresses of your reverse proxies such as 10.0.0.5 or 10.0.0.0/24.`,
    );
  }
}
