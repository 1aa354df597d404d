import type { Item } from '../contract/items.js';
import { Facts } from './facts.js';
import { IdLink } from './links.js';
import { Time } from './time.js';

/** What a verdict rests on, as far as the store still knows it. Older gateways give items of lists an evidence only. */
export function Evidence({ item }: { readonly item: object & { readonly evidence?: Item['evidence'] } }) {
  const { evidence } = item;
  if (evidence === undefined) return null;
  const { resyncs, first_seen_at: firstSeen, first_webhook: firstWebhook } = evidence;
  return (
    <Facts
      facts={[
        resyncs.length > 0 && ['Registered by', resyncs.map((id) => <IdLink key={id} page="resyncs" id={id} />)],
        firstSeen !== null && ['First seen', <Time key="first" at={firstSeen} />],
        firstWebhook !== null && ['First webhook', <IdLink key="webhook" page="webhooks" id={firstWebhook} />],
      ]}
    />
  );
}
