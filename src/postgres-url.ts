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

/** Returns the location, or what is wrong as a text without the value, which may contain a password. */
export function parsePostgresUrl(value: string): PostgresLocation | string {
  if (!URL.canParse(value)) return 'is not a valid URL';
  const url = new URL(value);
  const options = url.searchParams;
  if (url.hostname === '' && !options.has('host')) return 'names no host';
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
