import { Badge } from './badge.js';
import { Time } from './time.js';

/** When the newest webhook came; without one, what to do. */
export function LastWebhook({ at }: { readonly at: string | null }) {
  if (at === null) return <Badge tone="warn">none yet: connect it</Badge>;
  return <Time at={at} />;
}
