export interface WebhookPath {
  readonly channel: string;
  /** The secret in `/s/{secret}`, for webhooks without headers; null without one. */
  readonly secret: string | null;
  /** The rest, '' or '/…', which Whapi's path and method modes append. */
  readonly suffix: string;
}

/**
 * Parses the path of a webhook, without its query. Trailing and double slashes are dropped: they come from URLs typed into
 * Whapi's panel. Returns null for any other path, and for a suffix with dot segments, which could leave a target's URL.
 */
export function parseWebhookPath(rawUrl: string): WebhookPath | null {
  const [root, channel, ...rest] = withoutQuery(rawUrl)
    .split('/')
    .filter((segment) => segment !== '');
  if (root !== 'webhooks' || channel === undefined) return null;
  const secret = rest[0] === 's' ? rest[1] : undefined;
  const suffix = secret === undefined ? rest : rest.slice(2);
  if (suffix.some(isDotSegment)) return null;
  return {
    channel,
    secret: secret === undefined ? null : decoded(secret),
    suffix: suffix.map((segment) => `/${segment}`).join(''),
  };
}

function withoutQuery(url: string): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

function isDotSegment(segment: string): boolean {
  return /^(\.|%2e){1,2}$/i.test(segment) || segment.includes('\\') || /%5c|%2f/i.test(segment);
}

/** Decodes percent-encoding; returns the text unchanged if the encoding is invalid. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
