import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config.js';
import { StartError } from '../src/errors.js';

const KEY = Buffer.alloc(32, 7).toString('base64');
const TOKEN = 'a-token-that-is-long-enough';
const DEFAULTS = {
  host: '127.0.0.1',
  port: 8080,
  store: { engine: 'sqlite', file: resolve('data/gateway.db') },
  adminToken: null,
  metricsToken: null,
  encryptionKey: null,
  publicUrl: null,
  whapiBaseUrl: 'https://gate.whapi.cloud',
  maxBodyBytes: 10_485_760,
  maxPendingBytes: 67_108_864,
  apiRatePerMinute: 600,
  webhookRatePerSecond: 0,
  trustedProxies: null,
  retentionDays: 7,
  ledgerRetentionDays: 400,
  logLevel: 'info',
};
const POSTGRES = 'postgres://gateway:hush@db.example:5432/gateway';
const KEYS = { ADMIN_TOKEN: 'a-token-of-24-characters', ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64') };

describe('a configuration without variables', () => {
  it('has a default for every setting', () => {
    expect(readConfig({})).toEqual({ ...DEFAULTS, targetNetworks: expect.anything() as unknown });
  });

  it('allows public and private targets, but never link-local ones', () => {
    const { targetNetworks } = readConfig({});
    expect(['93.184.215.14', '127.0.0.1', '10.0.0.1'].map((address) => targetNetworks.allows(address))).toEqual([
      true,
      true,
      true,
    ]);
    expect(targetNetworks.allows('169.254.169.254')).toBe(false);
  });

  it('treats an empty or blank variable as unset', () => {
    const names = ['HOST', 'PORT', 'DATABASE_URL', 'ADMIN_TOKEN', 'ENCRYPTION_KEY', 'PUBLIC_URL', 'LOG_LEVEL'];
    for (const blank of ['', '  '])
      expect(readConfig(Object.fromEntries(names.map((name) => [name, blank])))).toMatchObject(DEFAULTS);
  });

  it('ignores variables of other programs', () => {
    expect(readConfig({ PATH: '/bin', NODE_ENV: 'production', PORTS: '1' })).toMatchObject(DEFAULTS);
  });
});

describe('a variable', () => {
  it.each([
    ['HOST', '0.0.0.0', { host: '0.0.0.0' }],
    ['HOST', '::1', { host: '::1' }],
    ['PORT', '0', { port: 0 }],
    ['PORT', ' 65535 ', { port: 65_535 }],
    ['DATABASE_URL', 'sqlite:/var/lib/gateway.db', { store: { engine: 'sqlite', file: '/var/lib/gateway.db' } }],
    ['DATABASE_URL', 'sqlite:x/y.db', { store: { engine: 'sqlite', file: join(process.cwd(), 'x/y.db') } }],
    ['ADMIN_TOKEN', TOKEN, { adminToken: TOKEN }],
    ['METRICS_TOKEN', TOKEN, { metricsToken: TOKEN }],
    ['ENCRYPTION_KEY', KEY, { encryptionKey: Buffer.alloc(32, 7) }],
    ['PUBLIC_URL', 'https://gateway.example/base//', { publicUrl: 'https://gateway.example/base' }],
    ['WHAPI_BASE_URL', 'http://127.0.0.1:8090/', { whapiBaseUrl: 'http://127.0.0.1:8090' }],
    ['MAX_BODY_BYTES', '1024', { maxBodyBytes: 1024 }],
    ['MAX_PENDING_BYTES', '2048', { maxPendingBytes: 2048 }],
    ['API_RATE_PER_MINUTE', '0', { apiRatePerMinute: 0 }],
    ['WEBHOOK_RATE_PER_SECOND', '50', { webhookRatePerSecond: 50 }],
    ['RETENTION_DAYS', '1', { retentionDays: 1 }],
    ['LEDGER_RETENTION_DAYS', '36500', { ledgerRetentionDays: 36_500 }],
    ['LOG_LEVEL', 'TRACE', { logLevel: 'trace' }],
  ])('%s=%s is accepted', (name, value, expected) => {
    expect(readConfig({ [name]: value })).toMatchObject(expected);
  });

  it('TARGET_NETWORKS accepts its two keywords and lists of CIDRs', () => {
    const allows = (setting: string, address: string) =>
      readConfig({ TARGET_NETWORKS: setting }).targetNetworks.allows(address);
    expect(allows('public', '127.0.0.1')).toBe(false);
    expect(allows('private', '127.0.0.1')).toBe(true);
    expect(allows('10.1.0.0/16, fd00::/8', '10.1.2.3')).toBe(true);
    expect(allows('10.1.0.0/16, fd00::/8', '127.0.0.1')).toBe(false);
  });

  it('TRUSTED_PROXIES accepts loopback, addresses and CIDRs', () => {
    const { trustedProxies } = readConfig({ TRUSTED_PROXIES: 'loopback, 10.0.0.0/8' });
    expect(['127.0.0.1', '10.1.2.3', '192.0.2.1'].map((address) => trustedProxies?.trusts(address))).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe('a malformed value', () => {
  it.each([
    ['PORT', 'eighty'],
    ['PORT', '-1'],
    ['PORT', '65536'],
    ['PORT', '80.5'],
    ['PORT', '0x50'],
    ['PORT', '1e3'],
    ['DATABASE_URL', 'mysql://db.example/gateway'],
    ['DATABASE_URL', 'sqlite:'],
    ['DATABASE_URL', './data/gateway.db'],
    ['ADMIN_TOKEN', 'too-short'],
    ['METRICS_TOKEN', 'too-short'],
    ['ENCRYPTION_KEY', Buffer.alloc(31).toString('base64')],
    ['ENCRYPTION_KEY', Buffer.alloc(32).toString('hex')],
    ['PUBLIC_URL', 'gateway.example'],
    ['PUBLIC_URL', 'ftp://gateway.example'],
    ['WHAPI_BASE_URL', 'https://'],
    ['WHAPI_BASE_URL', 'http://169.254.169.254'],
    ['WHAPI_BASE_URL', 'https://whapi.example/#top'],
    ['TARGET_NETWORKS', 'everything'],
    ['TARGET_NETWORKS', '10.0.0.0/8,'],
    ['TARGET_NETWORKS', '10.0.0.0/64'],
    ['TARGET_NETWORKS', '169.254.169.254/32'],
    ['MAX_BODY_BYTES', '10MB'],
    ['MAX_BODY_BYTES', '1023'],
    ['MAX_PENDING_BYTES', '1023'],
    ['API_RATE_PER_MINUTE', '-1'],
    ['WEBHOOK_RATE_PER_SECOND', '1.5'],
    ['TRUSTED_PROXIES', 'yes'],
    ['TRUSTED_PROXIES', '0.0.0.0/0'],
    ['RETENTION_DAYS', '0'],
    ['LEDGER_RETENTION_DAYS', 'forever'],
    ['LOG_LEVEL', 'verbose'],
  ])('%s=%s is refused with one line that names the variable', (name, value) => {
    const { code, exitCode, message } = refusalOf({ [name]: value });
    expect({ code, exitCode }).toEqual({ code: 'GW_BAD_CONFIG', exitCode: 2 });
    expect(message).toMatch(
      new RegExp(`^${name} is ("${escaped(value)}"; expected .+, for example .+\\.|not valid.* .*xpected .+)$`),
    );
  });

  it.each([
    ['https://user:word@whapi.example', 'https://***@whapi.example'],
    ['https://whapi.example/?token=x', 'https://whapi.example/?token=***'],
  ])('WHAPI_BASE_URL=%s is refused, and its secret is not repeated', (value, shown) => {
    expect(refusalOf({ WHAPI_BASE_URL: value }).message).toBe(
      `WHAPI_BASE_URL is "${shown}"; expected a URL without credentials, query and fragment, for example ` +
        'https://gate.whapi.cloud.',
    );
  });

  it('is refused with the valid values or a command that creates a secret', () => {
    expect(refusalOf({ PORT: '65536' }).message).toBe(
      'PORT is "65536"; expected a whole number from 0 to 65535, for example 8080.',
    );
    expect(refusalOf({ LOG_LEVEL: 'verbose' }).message).toContain('fatal, error, warn, info, debug, trace, silent');
    expect(refusalOf({ ENCRYPTION_KEY: 'x' }).message).toContain('openssl rand -base64 32');
    expect(refusalOf({ ADMIN_TOKEN: 'x' }).message).toContain('openssl rand');
  });

  it('is not repeated in the error if it may be a secret', () => {
    for (const name of ['ADMIN_TOKEN', 'ENCRYPTION_KEY', 'DATABASE_URL'])
      expect(refusalOf({ [name]: 'hush:hush' }).message).not.toContain('hush');
    expect(refusalOf({ PUBLIC_URL: 'ftp://me:hush@gateway.example' }).message).toContain('"ftp://***@gateway.example"');
  });

  it('includes a METRICS_TOKEN that is the admin token', () => {
    expect(refusalOf({ ADMIN_TOKEN: TOKEN, METRICS_TOKEN: TOKEN }).message).toMatch(/^METRICS_TOKEN is the same/);
  });

  it('includes an ADMIN_TOKEN that cannot be sent as a bearer token', () => {
    for (const token of ['a token with spaces in it', 'ein-geheimes-Wörtchen', 'a-token\twith-a-tab'])
      expect(refusalOf({ ADMIN_TOKEN: token }).message).toMatch(/^ADMIN_TOKEN /);
  });

  it('includes an ENCRYPTION_KEY with characters outside base64, which are not ignored', () => {
    expect(refusalOf({ ENCRYPTION_KEY: `${KEY.slice(0, 20)}!?${KEY.slice(20)}` }).message).toMatch(/^ENCRYPTION_KEY /);
  });
});

describe('DATABASE_URL', () => {
  it.each([
    ['sqlite://./data/gateway.db', 'sqlite:./data/gateway.db'],
    ['sqlite:///var/lib/gateway.db', 'sqlite:/var/lib/gateway.db'],
    ['sqlite://data/gateway.db', 'sqlite:data/gateway.db'],
    ['sqlite:file:data/gateway.db?mode=rwc', 'sqlite:data/gateway.db'],
    ['sqlite:file:///var/lib/gateway.db', 'sqlite:/var/lib/gateway.db'],
    ['sqlite:./gateway.db?cache=shared', 'sqlite:./gateway.db'],
    ['sqlite://', 'sqlite:./data/gateway.db'],
  ])('%s is refused, and the right form is shown', (value, right) => {
    const { exitCode, message } = refusalOf({ DATABASE_URL: value });
    expect(exitCode).toBe(2);
    expect(message).toBe(
      `DATABASE_URL is "${value}"; expected sqlite:<file> without "//", "file:" or options, for example ${right}.`,
    );
  });

  it.each(['sqlite::memory:', 'sqlite:file::memory:?cache=shared'])(
    '%s is refused: it would lose everything',
    (value) => {
      expect(refusalOf({ DATABASE_URL: value })).toMatchObject({
        exitCode: 2,
        message: `DATABASE_URL is "${value}"; expected a file, because the store must survive a restart, for example sqlite:./data/gateway.db.`,
      });
    },
  );

  it.each([
    ['', 'off', null],
    ['?sslmode=disable', 'off', null],
    ['?sslmode=verify-full&sslrootcert=/etc/ca.pem', 'checked', '/etc/ca.pem'],
    ['?sslmode=require', 'checked', null],
    ['?sslmode=no-verify', 'unchecked', null],
  ])('reads where PostgreSQL is, and how the connection is encrypted (%s)', (options, tls, caFile) => {
    const { store } = readConfig({ DATABASE_URL: POSTGRES + options, ...KEYS });
    expect(store).toEqual({ engine: 'postgres', url: POSTGRES, tls, caFile });
  });

  it.each([
    ['postgresql://gateway:hush@db.example:5432/gateway', 'postgresql://gateway:hush@db.example:5432/gateway'],
    ['postgres://gateway:hu@sh@db.example/gateway', 'postgres://gateway:hu%40sh@db.example/gateway'],
    [
      'postgres://gateway:hush@/gateway?host=/run/postgresql',
      'postgres://gateway:hush@localhost/gateway?host=%2Frun%2Fpostgresql',
    ],
  ])('takes %s', (value, url) => {
    expect(readConfig({ DATABASE_URL: value, ...KEYS }).store).toMatchObject({ url });
  });

  it.each([
    [`${POSTGRES}?sslmode=prefer`, 'has the sslmode "prefer"'],
    [`${POSTGRES}?ssl=true`, 'has the unknown option "ssl"'],
    [`${POSTGRES}?sslrootcert=ca.pem`, 'has sslrootcert without sslmode=verify-full'],
    ['postgres://gateway:hush@db.example', 'names no database'],
    ['Postgres:db', 'names no host'],
    ['postgresql://gateway:hush@db.example:x/gateway', 'is not a valid URL'],
    ['postgres://gateway:hu/hush@db.example/gateway', 'write "/" as %2F'],
    ['postgres://gateway:1#hush@db.example/gateway', 'write "/" as %2F'],
    ['postgres://gateway:1?hush@db.example/gateway', 'write "/" as %2F'],
    ['postgres://gateway:p@hush/1@db.example/gateway', 'write "/" as %2F'],
    ['postgres://gateway:hush%zz@db.example/gateway', 'and "%" as %25'],
    ['postgres://gateway:hush%e9@db.example/gateway', 'and "%" as %25'],
    ['postgres://gateway:hush@db1.example,db2.example/gateway', 'names several hosts'],
  ])('refuses what is wrong with it, and keeps the password (%#)', (value, problem) => {
    const refusal = refusalOf({ DATABASE_URL: value, ...KEYS });
    expect(refusal).toMatchObject({ code: 'GW_BAD_CONFIG', exitCode: 2 });
    expect(refusal.message).toContain(problem);
    expect(refusal.message).not.toContain('hush');
  });

  it.each(['ADMIN_TOKEN', 'ENCRYPTION_KEY'])('requires %s with PostgreSQL, because all replicas share it', (name) => {
    expect(refusalOf({ DATABASE_URL: POSTGRES, ...KEYS, [name]: '' })).toMatchObject({
      code: 'GW_BAD_CONFIG',
      message: expect.stringMatching(`^${name} is not set\\. With PostgreSQL it is required`) as unknown,
    });
  });
});

describe('PUBLIC_URL and WHAPI_BASE_URL', () => {
  it.each(
    ['PUBLIC_URL', 'WHAPI_BASE_URL'].flatMap((name) =>
      [
        'https://me:hush@gateway.example',
        'https://me@gateway.example/base',
        'https://gateway.example/base?token=hush',
        'https://gateway.example/?',
        'https://gateway.example/#top',
        'https://gateway.example#',
      ].map((value) => [name, value] as const),
    ),
  )('%s=%s is refused, because a path is appended to it', (name, value) => {
    const { exitCode, message } = refusalOf({ [name]: value });
    expect(exitCode).toBe(2);
    expect(message).toContain('; expected a URL without credentials, query and fragment, for example https://');
    expect(message).not.toContain('me:hush');
  });
});

describe('LEDGER_RETENTION_DAYS', () => {
  it('below RETENTION_DAYS is refused with both values', () => {
    expect(refusalOf({ RETENTION_DAYS: '30', LEDGER_RETENTION_DAYS: '7' })).toMatchObject({
      exitCode: 2,
      message:
        'LEDGER_RETENTION_DAYS is "7", and RETENTION_DAYS is "30"; expected LEDGER_RETENTION_DAYS to be at least ' +
        'RETENTION_DAYS, for example LEDGER_RETENTION_DAYS=400.',
    });
    expect(refusalOf({ LEDGER_RETENTION_DAYS: '6' }).message).toContain('and RETENTION_DAYS is "7"');
  });

  it('may equal RETENTION_DAYS, and follows it above 400 days', () => {
    expect(readConfig({ RETENTION_DAYS: '7', LEDGER_RETENTION_DAYS: '7' })).toMatchObject({ ledgerRetentionDays: 7 });
    expect(readConfig({ RETENTION_DAYS: '500' })).toMatchObject({ retentionDays: 500, ledgerRetentionDays: 500 });
  });
});

it('the settings are immutable', () => {
  const config = readConfig({}) as { port: number };
  expect(() => (config.port = 1)).toThrow(TypeError);
  expect(config.port).toBe(8080);
});

function refusalOf(env: Record<string, string>): StartError {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof StartError) return error;
    throw error;
  }
  throw new Error('These settings were taken.');
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
