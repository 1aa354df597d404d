/** Whether the connection to PostgreSQL is encrypted, and whether the server's certificate is checked. */
export type PostgresTls = 'off' | 'unchecked' | 'checked';

export interface PostgresLocation {
  readonly engine: 'postgres';
  /** Without the TLS options. Contains the password. */
  readonly url: string;
  readonly tls: PostgresTls;
  /** A file with the certificates of the server's authority; null: those that Node knows. */
  readonly caFile: string | null;
  /** Accepts a server that may lose what it has committed. Only for tests that crash no server: no URL sets it. */
  readonly mayLoseCommits?: true;
}

/**
 * What `sslmode` means here. `require` checks the certificate, as other Node drivers do and libpq does not. `no-verify` does not
 * check it.
 */
const TLS_OF: Readonly<Record<string, PostgresTls>> = {
  disable: 'off',
  'no-verify': 'unchecked',
  require: 'checked',
  'verify-ca': 'checked',
  'verify-full': 'checked',
};
const OPTIONS = ['sslmode', 'sslrootcert', 'application_name', 'options', 'host'];

export const POSTGRES_URL_EXAMPLE = 'postgres://gateway:secret@localhost:5432/gateway';

export function isPostgresUrl(value: string): boolean {
  return /^postgres(ql)?:/i.test(value);
}

/** A password of `openssl rand -base64` often has a "/", which would end the name of the host. */
const ENCODE =
  'Special characters of a password are percent-encoded: write "/" as %2F, "@" as %40, "#" as %23, "?" as %3F and "%" as %25';

/** Returns the location, or what is wrong as a text without the value, which may contain a password. */
export function parsePostgresUrl(value: string): PostgresLocation | string {
  const text = withHost(value);
  if (!URL.canParse(text)) return `is not a valid URL. ${ENCODE}`;
  const url = new URL(text);
  const options = url.searchParams;
  if (!hasReadableUser(url)) return `has a special character in its user, password or database. ${ENCODE}`;
  if (url.hostname === '' && !options.has('host')) return 'names no host';
  if (url.hostname.includes(',')) return 'names several hosts; expected one name that leads to the primary';
  if (!/^\/[^/]+$/.test(url.pathname)) return 'names no database';
  const unknown = [...options.keys()].find((name) => !OPTIONS.includes(name));
  if (unknown !== undefined) return `has the unknown option "${unknown}"; expected ${OPTIONS.join(', ')}`;
  const mode = options.get('sslmode') ?? 'disable';
  const tls = TLS_OF[mode];
  if (tls === undefined) return `has the sslmode "${mode}"; expected ${Object.keys(TLS_OF).join(', ')}`;
  const caFile = options.get('sslrootcert');
  if (caFile !== null && tls !== 'checked') return 'has sslrootcert without sslmode=verify-full';
  options.delete('sslmode');
  options.delete('sslrootcert');
  return { engine: 'postgres', url: url.href, tls, caFile };
}

/** Where the database is, in words for people: neither user nor password. */
export function placeOfPostgres({ url }: Pick<PostgresLocation, 'url'>): { host: string; database: string } {
  const { host, pathname, searchParams } = new URL(url);
  return { host: searchParams.get('host') ?? host, database: decodeURI(pathname.slice(1)) };
}

/** In libpq's form for a socket, `postgres://user:password@/database?host=/folder`, the host is left out. */
function withHost(value: string): string {
  return /[?&]host=/.test(value) ? value.replace(/^(\w+:\/\/[^@/?#]*@)(?=[:/])/, '$1localhost') : value;
}

/**
 * False: a "/", "#" or "?" of the password has ended the host, so that an "@" is left behind it and the host is a piece of the
 * password, or a "%" begins no character.
 */
function hasReadableUser({ username, password, pathname, search, hash }: URL): boolean {
  if (`${pathname}${search}${hash}`.includes('@')) return false;
  try {
    for (const text of [username, password, pathname]) decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
