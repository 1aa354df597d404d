export interface WebhookPath {
  readonly channel: string;
  /** The secret in `/s/{secret}`, for webhooks that cannot be given a header; null where there is none. */
  readonly secret: string | null;
  /** What follows, '' or '/…': Whapi's path and method modes append it. */
  readonly suffix: string;
}

/**
 * Takes the path of a webhook apart, without its query. A slash at the end and doubled ones are dropped: whoever typed the
 * URL into Whapi's panel left them there, and a bot's URL has none. Null where it is no such path, or where its suffix has
 * dot segments: appended to a target's URL they would lead somewhere else.
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

/** Without its percent-encoding; as it came where that is none. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A URL for the log: without what may be a secret in its path, however it is mistyped, and without its query. */
export function maskedUrl(rawUrl: string): string {
  return withoutQuery(rawUrl).replace(/(\/s\/)[^/]+/gi, '$1***');
}
