import { GatewayError } from '../errors.js';
import { decoded } from './webhook-path.js';

/** The URL of a request under `/whapi`: what of it goes on, and what it asks for. */
export interface WhapiUrl {
  /** Path and query as they came, byte for byte, without `/whapi`: to be appended to the base URL. */
  readonly target: string;
  /** Every `token` of the query. */
  readonly tokens: readonly string[];
  /** The last part of `…/messages/{id}`, without blanks and control characters around it; null for any other path. */
  readonly messageId: string | null;
  /** That, and what else a server may take it for: one that does not trim it, or that decodes a slash in it later. */
  readonly messageIds: readonly string[];
  /** A path with the part `messages`: where messages are sent. */
  readonly isUnderMessages: boolean;
  /** It has a `resync` that could be taken for true. */
  readonly wantsResync: boolean;
  /** The `quoted` of the query: media can be sent with their settings there. */
  readonly quoted: string | null;
}

export const PREFIX = '/whapi';
const LIST = 'list';

/** What no reading of a boolean takes for true. */
const FALSE = new Set(['false', '0', 'no', 'off']);

/**
 * Takes a URL apart as generously as any server behind it might read it: a resync that is not noticed leaks, one that is
 * noticed without need does no harm. So names and the word `messages` count in any case and percent-encoding, `resync[]`
 * is a `resync`, of several values one suffices, and so does one that is missing.
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
    tokens: params.flatMap(([name, value]) => (name === 'token' ? [value] : [])),
    messageId: [...ids][0] ?? null,
    messageIds: [...ids],
    isUnderMessages: parts.some(isMessages),
    wantsResync: params.some(([name, value]) => isResync(name) && !FALSE.has(value.trim().toLowerCase())),
    quoted: params.find(([name]) => name === 'quoted')?.[1] ?? null,
  };
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
