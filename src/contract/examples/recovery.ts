import type { Audit, AuditMessage, AuditRelease, AuditReleaseRequest, NewAudit } from '../audits.js';
import type { Claim, ClaimRequest } from '../claims.js';
import type { DoctorReport } from '../doctor.js';
import type { NewProbe, Probe } from '../probes.js';
import type { NewResync, Resync, ResyncMessage, ResyncReport } from '../resyncs.js';

/** Examples of resyncs, audits, claims and the doctor. */

export const MESSAGE = 'PsqXn5SAD5v7HRA-wHqB9tMeGQ';

export const newResync: NewResync = { channel: 'support', message_ids: [MESSAGE, 'PsrYo6TBE6w8ISB-xIrC0uNfHR'] };
export const resync: Resync = {
  id: 'rsy_Qm3v9YkZr1LxPw7TdBsN',
  channel: 'support',
  status: 'running',
  total: 2,
  counts: { queued: 1, requesting: 0, waiting: 0, restored: 1, not_restored: 0, failed: 0, cancelled: 0 },
  pause: null,
  rate_per_minute: 12,
  eta_seconds: 5,
  deliver_unseen: false,
  window_seconds: 259_200,
  created_at: '2026-01-31T11:59:50.000Z',
  finished_at: null,
};
export const resyncMessage: ResyncMessage = {
  resync: resync.id,
  message_id: MESSAGE,
  status: 'restored',
  calls: 1,
  polls: 0,
  registered_at: '2026-01-31T11:59:50.000Z',
  asked_at: '2026-01-31T11:59:51.000Z',
  restored_at: '2026-01-31T12:00:00.000Z',
  proof: 'webhook',
  known_before: false,
  held: true,
  window_closes_at: '2026-02-03T11:59:51.000Z',
  error: null,
};
export const resyncReport: ResyncReport = {
  resync,
  restored: { total: 1, already_known: 0, never_seen_before: 1, proven_by: { webhook: 1, poll: 0 } },
  not_restored: 0,
  failed: { total: 0, reasons: [] },
  cancelled: 0,
  unsettled: 1,
  held: { total: 1, messages: `/v1/resyncs/${resync.id}/messages?held=true` },
  calls: { resync: 1, poll: 0 },
};

export const newAudit: NewAudit = { channel: 'support', since: '2026-01-24T00:00:00Z' };
export const audit: Audit = {
  id: 'aud_Zr1LxPw7TdBsNQm3v9Yk',
  kind: 'audit',
  channel: 'support',
  status: 'finished',
  since: '2026-01-24T00:00:00.000Z',
  until: '2026-01-31T11:00:00.000Z',
  counts: { whapi_has: 812, seen: 809, never_came: 3, before_memory: 0, seeded: 0, released: 0 },
  read_until: '2026-01-31T11:00:00.000Z',
  round: 1,
  memory_since: '2026-01-01T09:00:00.000Z',
  warnings: [],
  created_at: '2026-01-31T12:00:00.000Z',
  ended_at: '2026-01-31T12:00:09.000Z',
  error: null,
};
export const auditMessage: AuditMessage = {
  message_id: MESSAGE,
  type: 'text',
  chat_id: '491700000000@s.whatsapp.net',
  sent_at: '2026-01-29T18:30:00.000Z',
  found_at: '2026-01-31T12:00:04.000Z',
  released_at: null,
  first_seen_at: null,
};
export const auditReleaseRequest: AuditReleaseRequest = { dry_run: true };
export const auditRelease: AuditRelease = { dry_run: true, messages: 3, came_meanwhile: 0, deliveries: 3 };

export const claimRequest: ClaimRequest = { owner: 'order-flow', ttl_seconds: 3600 };
export const claim: Claim = {
  ...{ channel: 'support', message_id: MESSAGE, owner: 'order-flow' },
  ...{ claimed_at: '2026-01-31T12:00:01.000Z', expires_at: '2026-01-31T13:00:01.000Z' },
};

export const newProbe: NewProbe = { message_id: MESSAGE, consent: true };
const probeCall = { at: '2026-01-31T12:00:00.000Z', duration_ms: 15_200, status: 404, outcome: 'missing' } as const;
export const probe: Probe = {
  channel: 'support',
  message_id: MESSAGE,
  status: 'running',
  summary: 'Watching for webhooks.',
  started_at: '2026-01-31T11:59:59.000Z',
  watch_until: '2026-01-31T13:59:59.000Z',
  finished_at: null,
  plain_get_before: null,
  call: { ...probeCall, reason: '404 Specified message not found' },
  plain_get: { count: 1, found_at: null },
  compared_with: 'webhook',
  webhooks: [
    {
      ...{ webhook: '0000000001k', position: 0, received_at: '2026-01-31T12:01:01.000Z', after_ms: 61_000 },
      ...{ event: 'messages.post', carrier: 'messages', verdict: 'restored', rule: 3, deliveries: 0 },
      ...{ same_id: true, same_chat: true, same_time: true, same_content: true, other_fields: ['status'] },
    },
  ],
  findings: [
    {
      ...{ assumption: 'same_id', text: 'The message keeps its id.', holds: true },
      ...{ observed: 'the same id', meaning: null },
    },
  ],
  report: '## Probe of a Whapi channel\n',
};

export const doctorReport: DoctorReport = {
  status: 'warn',
  checked_at: '2026-01-31T12:00:00.000Z',
  checks: [
    { name: 'store', subject: 'store', status: 'ok', message: 'The store takes writes.', fix: null },
    {
      name: 'whapi',
      subject: 'support',
      status: 'warn',
      message: 'The channel is starting.',
      fix: 'Wait a minute, then check again.',
    },
  ],
};
