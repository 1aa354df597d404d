import type { FastifyRequest } from 'fastify';

/** First parts of the gateway's own paths. Any other may be a secret in the wrong place. */
const ROOTS = new Set([
  'v1',
  'whapi',
  'claims',
  'webhooks',
  'healthz',
  'readyz',
  'metrics',
  'openapi.json',
  'docs',
  'session',
  'assets',
]);

/**
 * What logs and answers show of a URL. A URL that no route takes may be a mistyped webhook URL, with its secret in any
 * place, so only its first part is shown.
 */
export function shownPath({ url, routeOptions }: Pick<FastifyRequest, 'url' | 'routeOptions'>): string {
  // A request that Fastify refuses before routing has no options.
  const route = (routeOptions as FastifyRequest['routeOptions'] | undefined)?.url;
  return route === undefined ? shownRoot(url) : withoutQuery(url);
}

/** `/v1/…`: the first part of a URL if it is one of the gateway's. */
export function shownRoot(rawUrl: string): string {
  const [root = '', ...rest] = withoutQuery(rawUrl)
    .replace(/^[a-z]+:\/\/[^/]*/i, '')
    .split('/')
    .filter((part) => part !== '');
  if (!ROOTS.has(root)) return '/…';
  return rest.length > 0 ? `/${root}/…` : `/${root}`;
}

/** What is shown of a webhook's URL. `channel` is null unless there is one of that name: it might be the secret. */
export function shownWebhookPath(rawUrl: string, channel: string | null): string {
  if (channel === null) return '/webhooks/…';
  return withoutQuery(rawUrl).replace(/\/+$/, '') === `/webhooks/${channel}`
    ? `/webhooks/${channel}`
    : `/webhooks/${channel}/…`;
}

function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/, '');
}
