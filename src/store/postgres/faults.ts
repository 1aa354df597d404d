import pg from 'pg';
import { errorText, GatewayError, StartError } from '../../errors.js';
import { dayOfId } from './numbers.js';

/** What to do about a fault of PostgreSQL. */
export type Remedy =
  /** Run the transaction again. */
  | 'again'
  /** Prepare the statements again: the schema has changed, or the server has forgotten them. Then run the transaction again. */
  | 'prepare_anew'
  /** A partition is missing: make it, then run the transaction again. */
  | 'make_days'
  /** The server cannot do it now: GW_STORE_UNAVAILABLE. */
  | 'unavailable'
  /** A bug, or the refusal of a constraint. */
  | 'none';

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const AGAIN: ReadonlySet<string> = new Set(['40001', '40P01']);
const UNAVAILABLE: ReadonlySet<string> = new Set([
  '25006', // read-only: a standby, or a primary that was demoted
  '57014', // statement_timeout
  '55P03', // lock_timeout
  '25P03', // idle_in_transaction_session_timeout
  '25P04', // transaction_timeout, which an administrator may have set
  '3D000', // no such database
  '28P01', // wrong password
  '28000',
  '42501', // no permission
]);
/** 08 connection, 53 insufficient resources (53100 disk full, 53300 too many clients), 57P shutdown, 58 system error, XX corruption. */
const UNAVAILABLE_CLASSES = ['08', '53', '57P', '58', 'XX'];
/** Errors of sockets, and those of `pg` that have no code. */
const NO_ANSWER = 'Query read timeout';
const CONNECTION_ERROR =
  /^E[A-Z]+$|timeout exceeded when trying to connect|connection terminated|Connection terminated|Query read timeout|not queryable|pool after calling end/;

/** Of the server, or of `pg` before it asks the server. */
const NO_PASSWORD = /empty password|password must be a (non-empty )?string/;

/** Of Node, for the certificate of a server: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const OTHER_HOST = 'ERR_TLS_CERT_ALTNAME_INVALID';
const EXPIRED = 'CERT_HAS_EXPIRED';
const UNTRUSTED = /CERT|SIGNATURE|ISSUER/;
/**
 * The function of the server that found no partition for a row, and the one that found a plan outdated. Their messages are in
 * the language of the server (`lc_messages`), and their codes have other meanings as well.
 */
const NO_PARTITION = 'ExecFindPartition';
const OUTDATED_PLAN = 'RevalidateCachedQuery';

/** What to do about an error that a statement threw. */
export function remedyOf(error: unknown): Remedy {
  if (error instanceof GatewayError) return 'none';
  const code = codeOf(error);
  if (isOutdatedPlan(error)) return 'prepare_anew';
  if (code === '23514' && routineOf(error) === NO_PARTITION) return 'make_days';
  if (AGAIN.has(code) || isPreparedTwice(error)) return 'again';
  if (UNAVAILABLE.has(code) || UNAVAILABLE_CLASSES.some((prefix) => code.startsWith(prefix))) return 'unavailable';
  if (CONNECTION_ERROR.test(code) || CONNECTION_ERROR.test(errorText(error))) return 'unavailable';
  return 'none';
}

/**
 * Whether a connection is of no use after this error. A demoted primary refuses writes for as long as the connection lives,
 * so a read-only error drops it: the next one may reach the new primary.
 */
export function mustDropConnection(error: unknown): boolean {
  if (error instanceof GatewayError) return false;
  return (
    !(error instanceof pg.DatabaseError) || isOutdatedPlan(error) || /^(08|57P|25006|25P0[34])/.test(codeOf(error))
  );
}

/**
 * Whether another server may have taken over: the connection was ended, its network went silent, or its server takes no more
 * writes. All connections that are open may then lead to the former primary.
 */
export function mayBeAnotherServer(error: unknown): boolean {
  return remedyOf(error) === 'unavailable' && mustDropConnection(error);
}

/** Whether the server or the network has closed the connection, so that another one may work. On a silent network none would. */
export function isLostConnection(error: unknown): boolean {
  return mayBeAnotherServer(error) && codeOf(error) !== '25006' && !errorText(error).includes(NO_ANSWER);
}

/** The day whose partition is missing, from the row that found none; null: the error names no row. */
export function missingDayOf(error: unknown): number | null {
  const { detail = '' } = error instanceof pg.DatabaseError ? error : {};
  const [, id] = /\((?:webhook_)?id\) = \((\d+)\)/.exec(detail) ?? [];
  return id === undefined ? null : dayOfId(Number(id));
}

function isOutdatedPlan(error: unknown): boolean {
  const code = codeOf(error);
  return code === '26000' || (code === '0A000' && routineOf(error) === OUTDATED_PLAN);
}

/**
 * PgBouncer remembers statements that the server refused to prepare, because an earlier one of their transaction had failed. It
 * then ends the connection that prepares them again, and its transaction with it: not even a COMMIT behind it was done.
 */
function isPreparedTwice(error: unknown): boolean {
  return codeOf(error) === '08P01' && errorText(error).includes('prepared statement name is already in use');
}

/** Whether a unique constraint refused a row. */
export function isUniqueViolation(error: unknown): boolean {
  return codeOf(error) === '23505';
}

/** Whether a statement was refused because an earlier one of its transaction has failed. */
export function isAborted(error: unknown): boolean {
  return codeOf(error) === '25P02';
}

/** Whether the user lacks a permission. */
export function isForbidden(error: unknown): boolean {
  return codeOf(error) === '42501';
}

/** Whether a wait for a lock timed out. */
export function isLockTimeout(error: unknown): boolean {
  return codeOf(error) === '55P03';
}

/** The error that an operation of the store rejects with: a fault of the server becomes GW_STORE_UNAVAILABLE. */
export function asGatewayError(error: unknown): unknown {
  return remedyOf(error) === 'none' ? error : asUnavailable(error);
}

/** Any error as GW_STORE_UNAVAILABLE, such as one of connecting. */
export function asUnavailable(error: unknown): GatewayError {
  return new GatewayError(
    'GW_STORE_UNAVAILABLE',
    `${faultOf(error)}. Try again: repeating is safe, whether or not this change was saved.`,
    [],
    { cause: error },
  );
}

/** The error that ends the start when the database cannot be used. */
export function asStartError(error: unknown): unknown {
  if (error instanceof StartError) return error;
  const fault = error instanceof GatewayError && error.cause !== undefined ? error.cause : error;
  return new StartError(
    'GW_STORE_UNUSABLE',
    `Cannot use the PostgreSQL database: ${faultOf(fault)}. ${hintOf(fault)}`,
    { cause: fault },
  );
}

function faultOf(error: unknown): string {
  const code = codeOf(error);
  if (code === '53100') return 'The disk of PostgreSQL is full';
  if (code === '53300') return 'PostgreSQL has no free connection (max_connections)';
  if (code === '25006') return 'PostgreSQL is read-only: it is a standby, or was demoted';
  if (code === '55P03') return 'Another transaction in PostgreSQL holds a lock for too long';
  if (code === '57014') return 'A statement took too long in PostgreSQL';
  if (NO_PASSWORD.test(errorText(error))) return 'PostgreSQL needs a password';
  if (code === OTHER_HOST) return `The certificate of PostgreSQL is for other hosts (${errorText(error)})`;
  if (code === EXPIRED) return 'The certificate of PostgreSQL has expired';
  if (UNTRUSTED.test(code)) return `The certificate of PostgreSQL is not trusted (${errorText(error)})`;
  if (error instanceof pg.DatabaseError) return `PostgreSQL refused: ${errorText(error)} (${code})`;
  return `PostgreSQL cannot be reached${placeIn(error)} (${code === '' ? errorText(error) : code})`;
}

/** Where an error of a socket was met, such as ` at 127.0.0.1:5432`; empty if it does not say. */
function placeIn(error: unknown): string {
  const [first] = error instanceof AggregateError ? (error.errors as unknown[]) : [error]; // of a name with several addresses
  const { hostname, address, port } = (first ?? {}) as { hostname?: string; address?: string; port?: number };
  if (hostname !== undefined) return ` at ${hostname}`;
  return address === undefined ? '' : ` at ${address}${port === undefined ? '' : `:${port}`}`;
}

function hintOf(error: unknown): string {
  const code = codeOf(error);
  const text = errorText(error);
  if (NO_PASSWORD.test(text)) return 'Add it to DATABASE_URL: postgres://user:password@…';
  if (code === '42P05' || code === '26000')
    return 'A pooler must keep prepared statements: PgBouncer 1.21 or newer, with max_prepared_statements = 500 (docs/scaling.md).';
  if (text.includes('unsupported startup parameter'))
    return 'Add it to ignore_startup_parameters of PgBouncer, with the others that docs/scaling.md names.';
  if (text.includes('no encryption')) return 'Add ?sslmode=verify-full to DATABASE_URL: the server wants TLS.';
  if (code === '28P01' || code === '28000') return 'Check user and password in DATABASE_URL.';
  if (code === '3D000')
    return `Create it first, for the user of DATABASE_URL: createdb --owner=<user> ${/"(.+)"/.exec(text)?.[1] ?? 'gateway'}`;
  if (code === '42501')
    return 'The user needs CREATE on the database, or must own its schema "gateway": GRANT CREATE ON DATABASE <database> TO <user>.';
  if (code === '25006') return 'Let DATABASE_URL lead to the primary.';
  if (code === '53300') return 'Raise max_connections, or stop other clients of the server.';
  if (text.includes('does not support SSL'))
    return 'Turn TLS on at the server, or use sslmode=disable in a network that you trust.';
  if (code === OTHER_HOST) return 'Use one of these in DATABASE_URL, or give the server a certificate for its host.';
  if (code === EXPIRED) return 'Renew it on the server.';
  if (UNTRUSTED.test(code))
    return 'Add the file with the certificate of its authority to DATABASE_URL: sslmode=verify-full&sslrootcert=….';
  return 'Check that the server runs and that DATABASE_URL is right, for example postgres://gateway:secret@localhost:5432/gateway.';
}

function routineOf(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.routine : undefined;
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}
