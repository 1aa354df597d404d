import type { Job } from '../contract/jobs.js';
import { MINUTE_MS } from '../durations.js';
import { iso, isoOrNull } from './schemas.js';
import type { RetryFilter } from '../store/deliveries.js';
import type { ReleaseFilter } from '../store/items.js';
import type { JobView } from '../store/jobs.js';

export function jobJson(view: JobView): Job {
  return {
    id: view.id,
    kind: view.kind,
    status: view.status,
    filter: filterJson(view.filter),
    total: view.total,
    done: view.done,
    skipped: view.skipped,
    ...paceOf(view),
    created_at: iso(view.createdAt),
    finished_at: isoOrNull(view.finishedAt),
  };
}

/** Of a running job: what it handles per minute, and how long the rest takes at that rate. */
function paceOf({ status, total, done, skipped, busyMs }: JobView): Pick<Job, 'rate_per_minute' | 'eta_seconds'> {
  const handled = done + skipped;
  if (status !== 'running' || handled === 0 || busyMs === 0) return { rate_per_minute: null, eta_seconds: null };
  const left = Math.max(total - handled, 0);
  return {
    rate_per_minute: Math.round((10 * MINUTE_MS * handled) / busyMs) / 10,
    eta_seconds: Math.ceil((left * busyMs) / handled / 1000),
  };
}

function filterJson({ since, until, ...others }: RetryFilter | ReleaseFilter): Record<string, unknown> {
  const { messageId, messagesOnly, ...rest }: ReleaseFilter = others;
  return {
    ...rest,
    ...(messageId !== undefined && { message_id: messageId }),
    ...(messagesOnly !== undefined && { messages_only: messagesOnly }),
    ...(since !== undefined && { since: iso(since) }),
    ...(until !== undefined && { until: iso(until) }),
  };
}
