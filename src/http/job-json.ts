import type { Job } from '../contract/jobs.js';
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
    created_at: iso(view.createdAt),
    finished_at: isoOrNull(view.finishedAt),
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
