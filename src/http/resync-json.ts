import type { Resync, ResyncReport as ReportJson } from '../contract/resyncs.js';
import type { Pause } from '../model.js';
import { iso, isoOrNull } from './schemas.js';
import type { ResyncReport, ResyncView } from '../store/resyncs.js';

/** What a resync does now, besides what the store knows of it. */
export interface Progress {
  readonly pause: Pause | null;
  readonly ratePerMinute: number | null;
  readonly etaSeconds: number | null;
}

export function resyncJson(view: ResyncView, { pause, ratePerMinute, etaSeconds }: Progress): Resync {
  return {
    id: view.id,
    channel: view.channel,
    status: view.status,
    total: Object.values(view.counts).reduce((sum, count) => sum + count, 0),
    counts: { ...view.counts },
    pause: pause && {
      code: pause.code,
      reason: pause.reason,
      since: iso(pause.since),
      next_check_at: iso(pause.nextCheckAt),
    },
    rate_per_minute: ratePerMinute,
    eta_seconds: etaSeconds,
    deliver_unseen: view.deliverUnseen,
    window_seconds: view.windowSeconds,
    created_at: iso(view.createdAt),
    finished_at: isoOrNull(view.finishedAt),
  };
}

export function reportJson(report: ResyncReport, resync: Resync): ReportJson {
  const { counts } = resync;
  return {
    resync,
    restored: {
      total: counts.restored,
      already_known: report.alreadyKnown,
      never_seen_before: report.neverSeenBefore,
      proven_by: { ...report.proofs },
    },
    not_restored: counts.not_restored,
    failed: { total: counts.failed, reasons: [...report.failures] },
    cancelled: counts.cancelled,
    unsettled: counts.queued + counts.requesting + counts.waiting,
    held: { total: report.held, messages: `/v1/resyncs/${resync.id}/messages?held=true` },
    calls: { resync: report.calls, poll: report.polls },
  };
}
