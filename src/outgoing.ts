import { readFileSync } from 'node:fs';

/** What all outgoing requests have in common. */

const CONNECT_TIMEOUT_MS = 10_000;
/**
 * Two addresses, one after the other, fit into the time for connecting. A handshake whose first packet is lost twice
 * (and sent again after 1 s and 3 s) fits into the time for one address.
 */
const MOST_ADDRESS_MS = 4000;
/** Node's default. A server whose handshake takes longer is never reached if its name has two addresses. */
const LEAST_ADDRESS_MS = 250;
/** The share of a whole call that one address gets, so that the second address gets its turn. */
const ADDRESS_SHARE = 0.4;

/** Options for undici's `connect`. */
export interface ConnectOptions {
  readonly timeout: number;
  readonly autoSelectFamily: true;
  readonly autoSelectFamilyAttemptTimeout: number;
}

/**
 * How long connecting may take within a call of `callMs` milliseconds (by default the maximum). If a name has several
 * addresses, Node gives up on one after `autoSelectFamilyAttemptTimeout` and tries the next.
 */
export function connectOptions(callMs = Infinity): ConnectOptions {
  const halvings = Math.max(0, Math.ceil(Math.log2(MOST_ADDRESS_MS / (callMs * ADDRESS_SHARE))));
  // Rounded in steps, so that calls of all lengths share a handful of agents.
  const attempt = Math.max(LEAST_ADDRESS_MS, MOST_ADDRESS_MS / 2 ** halvings);
  return { timeout: CONNECT_TIMEOUT_MS, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: attempt };
}

/** The version of the package. */
export const VERSION = versionOf(new URL('../package.json', import.meta.url));

/** `whapi-resync-gateway/<version>`: the `user-agent` of the gateway's own requests. */
export const USER_AGENT = `whapi-resync-gateway/${VERSION}`;

function versionOf(file: URL): string {
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/**
 * What went wrong, and what to check. Other fields of Node's errors are set as far as the code in question has them.
 */
interface NetworkError extends NodeJS.ErrnoException {
  readonly hostname?: string;
  readonly address?: string;
  readonly port?: number;
}

interface Explanation {
  readonly problem: (error: NetworkError) => string;
  readonly remedy: string;
}

const CHECK_PATH = 'check the address, and the firewalls and routes to it';
const CHECK_TRUST = 'use one of a public authority, or name your own authority in NODE_EXTRA_CA_CERTS';

/** By the `code` of Node's and undici's errors. Codes that are not listed keep their own message. */
const EXPLANATIONS: Readonly<Record<string, Explanation>> = {
  ENOTFOUND: {
    problem: ({ hostname }) => `Cannot resolve ${hostname === undefined ? 'the host' : `"${hostname}"`}`,
    remedy: 'check the host name in the URL',
  },
  EAI_AGAIN: {
    problem: ({ hostname }) => `Cannot resolve ${hostname === undefined ? 'the host' : `"${hostname}"`} at the moment`,
    remedy: 'check the DNS server of this machine',
  },
  ECONNREFUSED: {
    problem: (error) => `${endpointOf(error)} refused the connection`,
    remedy: 'check that the server is running and listens on this port',
  },
  ECONNRESET: { problem: closed, remedy: 'check the logs of the server and of the proxies before it' },
  EPIPE: { problem: closed, remedy: 'check the logs of the server and of the proxies before it' },
  UND_ERR_SOCKET: {
    problem: ({ message }) =>
      message === UNEXPECTED_CONTINUE ? 'The server sent 100 (Continue), which the request did not ask for' : closed(),
    remedy: 'check the logs of the server and of the proxies before it',
  },
  ETIMEDOUT: { problem: (error) => `${endpointOf(error)} did not accept the connection in time`, remedy: CHECK_PATH },
  UND_ERR_CONNECT_TIMEOUT: { problem: () => 'The server did not accept the connection in time', remedy: CHECK_PATH },
  EHOSTUNREACH: { problem: (error) => `There is no route to ${endpointOf(error)}`, remedy: CHECK_PATH },
  ENETUNREACH: { problem: (error) => `There is no route to ${endpointOf(error)}`, remedy: CHECK_PATH },
  ERR_SSL_WRONG_VERSION_NUMBER: {
    problem: () => 'The server does not speak TLS on this port',
    remedy: 'use http:// in the URL, or the port for https',
  },
  EPROTO: { problem: () => 'The TLS handshake failed', remedy: 'check the TLS settings of the server' },
  DEPTH_ZERO_SELF_SIGNED_CERT: { problem: () => 'The TLS certificate is self-signed', remedy: CHECK_TRUST },
  SELF_SIGNED_CERT_IN_CHAIN: {
    problem: () => 'The TLS certificate comes from a self-signed authority',
    remedy: CHECK_TRUST,
  },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: {
    problem: () => 'The TLS certificate comes from an unknown authority',
    remedy: CHECK_TRUST,
  },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: {
    problem: () => 'The server does not send its whole certificate chain',
    remedy: 'add the intermediate certificates to the server',
  },
  CERT_HAS_EXPIRED: { problem: () => 'The TLS certificate has expired', remedy: 'renew it on the server' },
  CERT_NOT_YET_VALID: {
    problem: () => 'The TLS certificate is not valid yet',
    remedy: 'check the clocks of this machine and of the server',
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    problem: () => 'The TLS certificate is for another host name',
    remedy: 'use the host name of the certificate in the URL',
  },
};

/** undici's message for a 100 (Continue) that the request did not ask for. It breaks the connection off. */
const UNEXPECTED_CONTINUE = 'bad response';

/**
 * What went wrong with a request and what to check, as a sentence without its full stop: `Cannot resolve
 * "bot.example.com" (ENOTFOUND): check the host name in the URL`. Where several addresses of a name were tried, it
 * names the problem of each.
 */
export function networkErrorText(error: unknown): string {
  const causes = causesOf(error);
  const problems = new Set(causes.map(problemOf));
  const remedies = new Set(causes.flatMap(({ code }) => EXPLANATIONS[code ?? '']?.remedy ?? []));
  const text = [...problems].join('; ');
  return remedies.size > 0 ? `${text}: ${[...remedies].join('; ')}` : text;
}

/** The errors of all addresses that were tried; of a single error, itself. */
function causesOf(error: unknown): NetworkError[] {
  if (!(error instanceof Error)) return [new Error(String(error))];
  const causes = error instanceof AggregateError ? error.errors.flatMap(causesOf) : [];
  return causes.length > 0 ? causes : [error];
}

function problemOf(error: NetworkError): string {
  const { code, name, message } = error;
  const text = (code === undefined ? undefined : EXPLANATIONS[code]?.problem(error)) ?? message.replace(/\.$/, '');
  if (text === '') return code ?? name;
  return code === undefined || text.includes(code) ? text : `${text} (${code})`;
}

function closed(): string {
  return 'The server closed the connection before it answered';
}

function endpointOf({ address, port }: NetworkError): string {
  if (address === undefined) return 'The server';
  const host = address.includes(':') ? `[${address}]` : address;
  return port === undefined ? host : `${host}:${port}`;
}
