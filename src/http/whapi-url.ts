import { GatewayError } from '../errors.js';
import { decoded } from './webhook-path.js';

/** The parsed URL of a request under `/whapi`. */
export interface WhapiUrl {
  /** Path and query without `/whapi`, byte for byte, to append to the base URL. */
  readonly target: string;
  /** Every `token` of the query. An empty one counts as none. */
  readonly tokens: readonly string[];
  /** The id in `…/messages/{id}`, trimmed of white space and control characters; null for any other path. */
  readonly messageId: string | null;
  /** All ids that a server may read from the path: it may not trim, or decode a slash later. */
  readonly messageIds: readonly string[];
  /** The path has a part `messages`, as the paths that send messages do. */
  readonly isUnderMessages: boolean;
  /** The query has a `resync` that a server could read as true. */
  readonly wantsResync: boolean;
  /** `quoted` of the query, where media requests carry their settings. */
  readonly quoted: string | null;
}

export const PREFIX = '/whapi';
const LIST = 'list';

/** Values that no parser reads as true. */
const FALSE = new Set(['false', '0', 'no', 'off']);

/**
 * Parses a URL as generously as any server behind it might: a missed resync leaks messages to bots, an extra registration does
 * no harm. So `messages` and parameter names match in any case and percent-encoding, `resync[]` counts as `resync`, one of
 * several values suffices, and so does an empty one.
 * @throws GatewayError GW_NOT_FOUND (not under `/whapi`), GW_BAD_REQUEST (dot segments, which lead elsewhere)
 */
export function parseWhapiUrl(rawUrl: string): WhapiUrl {
  const target = rawUrl.slice(PREFIX.length);
  if (!rawUrl.startsWith(PREFIX) || !/^(?:$|[/?])/.test(target)) {
    throw new GatewayError(
      'GW_NOT_FOUND',
      'Invalid URL: expected /whapi/ and a path of Whapi, for example /whapi/messages/text.',
    );
  }
  const [path, query] = split(target);
  const parts = decoded(path).split(/[/\\]/);
  if (target.includes('#') || parts.some((part) => part === '.' || part === '..')) {
    throw new GatewayError('GW_BAD_REQUEST', 'Invalid path: remove ".", ".." and "#" from it.');
  }
  // A server may look for slashes before it decodes a path or after: an id may have an encoded one.
  const byPart = path.split('/').map(decoded);
  const rawIds = [parts, byPart].flatMap((each) => rawIdOf(each.filter((part) => trimmed(part) !== '')) ?? []);
  const ids = new Set(rawIds.flatMap((id) => [trimmed(id), id]));
  const params = [...new URLSearchParams(query.replaceAll(';', '&'))];
  return {
    target: target.startsWith('/') ? target : `/${target}`,
    tokens: params.flatMap(([name, value]) => (name === 'token' && value !== '' ? [value] : [])),
    messageId: [...ids][0] ?? null,
    messageIds: [...ids],
    isUnderMessages: parts.some(isMessages),
    wantsResync: params.some(([name, value]) => isResync(name) && !FALSE.has(value.trim().toLowerCase())),
    quoted: params.find(([name]) => name === 'quoted')?.[1] ?? null,
  };
}

/** Whether a request is for Whapi, judged by its URL alone. */
export function isUnderWhapi(rawUrl: string): boolean {
  return rawUrl.startsWith(PREFIX) && /^(?:$|[/?#])/.test(rawUrl.slice(PREFIX.length));
}

function split(target: string): [path: string, query: string] {
  const at = target.indexOf('?');
  return at === -1 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)];
}

function rawIdOf(parts: readonly string[]): string | null {
  const [messages, id] = parts.slice(-2);
  return messages !== undefined && isMessages(messages) && id !== undefined && id !== LIST ? id : null;
}

function isMessages(part: string): boolean {
  return part.toLowerCase() === 'messages';
}

/** `resync`, `[resync]`, `resync[]`, `.resync`: readers of queries take brackets and the like for structure, or drop them. */
function isResync(name: string): boolean {
  return /^[^\p{L}\p{N}]*resync(?![\p{L}\p{N}_-])/iu.test(name);
}

/** Without separators, control and format characters around it. */
function trimmed(text: string): string {
  return text.replace(/^[\s\p{Z}\p{C}]+|[\s\p{Z}\p{C}]+$/gu, '');
}
