import type { Audit } from '../contract/audits.js';
import { Bar } from './progress.js';

/** How much of its range an audit has read. */
export function AuditProgress({ audit }: { readonly audit: Audit }) {
  const since = Date.parse(audit.since);
  const whole = Math.max(Date.parse(audit.until) - since, 1);
  const part = audit.status === 'finished' ? whole : Math.min(Math.max(Date.parse(audit.read_until) - since, 0), whole);
  return (
    <Bar
      label={`Progress of ${audit.kind} ${audit.id}, in hours of its range`}
      done={hours(part)}
      total={hours(whole)}
    />
  );
}

const hours = (ms: number): number => Math.ceil(ms / 3_600_000);
