export interface WebhookPath {
  readonly channel: string;
  /** The secret in `/s/{secret}`, for webhooks that cannot be given a header; null where there is none. */
  readonly secret: string | null;
  /** What follows, as it came: '' or '/…'. Whapi's path and method modes append it. */
  readonly suffix: string;
}

const PATH = /^\/webhooks\/([^/]+)(?:\/s\/([^/]+))?(\/.*)?$/;

/**
 * Takes the path of a webhook apart, without its query. Null where it is none, or where its suffix has dot segments:
 * appended to a target's URL they would lead somewhere else.
 */
export function parseWebhookPath(rawUrl: string): WebhookPath | null {
  const match = PATH.exec(withoutQuery(rawUrl));
  const suffix = match?.[3] ?? '';
  if (!match || (suffix !== '' && suffix.split('/').some(isDotSegment))) return null;
  const secret = match[2];
  return { channel: match[1] ?? '', secret: secret === undefined ? null : decoded(secret), suffix };
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
