import { readFileSync } from 'node:fs';

/** What all requests that the gateway makes have in common, whoever they go to. */

const CONNECT_TIMEOUT_MS = 10_000;
/**
 * Two addresses, one after the other, fit into the time for a connection, and a handshake whose first packet is lost
 * twice (sent again after 1 s and 3 s) fits into the time for one of them.
 */
const LONGEST_ADDRESS_MS = 4000;
/** Node's default. A peer whose handshake takes longer is never reached if its name has two addresses. */
const SHORTEST_ADDRESS_MS = 250;
/** Share of a whole call, so that the second address gets its turn as well. */
const ADDRESS_PART = 0.4;

/** For undici's `connect`. */
export interface ConnectOptions {
  readonly timeout: number;
  readonly autoSelectFamily: true;
  readonly autoSelectFamilyAttemptTimeout: number;
}

/**
 * How long connecting may take within a call of `callMs` milliseconds (the longest, if left out). Of a name with several
 * addresses, Node gives up one after `autoSelectFamilyAttemptTimeout` and tries the next.
 */
export function connectOptions(callMs = Infinity): ConnectOptions {
  const halvings = Math.max(0, Math.ceil(Math.log2(LONGEST_ADDRESS_MS / (callMs * ADDRESS_PART))));
  // In steps, so that calls of all lengths share a handful of agents.
  const attempt = Math.max(SHORTEST_ADDRESS_MS, LONGEST_ADDRESS_MS / 2 ** halvings);
  return { timeout: CONNECT_TIMEOUT_MS, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: attempt };
}

/** The version of the package. */
export const VERSION = versionOf(new URL('../package.json', import.meta.url));

/** `whapi-resync-gateway/<version>`: the `user-agent` of every request that the gateway makes by itself. */
export const USER_AGENT = `whapi-resync-gateway/${VERSION}`;

function versionOf(file: URL): string {
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/** What a failed request says, in words: of several addresses that were tried, what each of them said. */
export function networkErrorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  const inner =
    error instanceof AggregateError ? error.errors.map(networkErrorText).filter((words) => words !== '') : [];
  const message = inner.length > 0 ? [...new Set(inner)].join('; ') : messageOf(error);
  if (message === '') return code ?? error.name;
  return code === undefined || message.includes(code) ? message : `${message} (${code})`;
}

/** What other programs say of these in words of their own. */
const PLAIN_WORDS: ReadonlyMap<string, string> = new Map([
  [
    'ERR_SSL_WRONG_VERSION_NUMBER',
    'The other side does not speak TLS there: use http:// in the URL, or its port for https',
  ],
]);
/** undici's words for a 100 (Continue) that nobody asked for: it breaks the connection off. */
const UNASKED_CONTINUE = 'bad response';

function messageOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'UND_ERR_SOCKET' && message === UNASKED_CONTINUE)
    return 'The other side answered 100 (Continue), which was not asked for, and its answer was not waited for';
  return PLAIN_WORDS.get(code ?? '') ?? message;
}
