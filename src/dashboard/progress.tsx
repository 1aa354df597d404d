import { useEffect } from 'preact/hooks';
import type { Job } from '../contract/jobs.js';
import { get, path, post } from './api.js';
import { Status } from './badge.js';
import { useLoad } from './loading.js';
import { announce, ProblemNotice } from './notice.js';
import { duration } from './time.js';

interface BarProps {
  readonly label: string;
  readonly done: number;
  readonly total: number;
  /** Estimated seconds until the end; null: no estimate. */
  readonly etaSeconds?: number | null | undefined;
}

export function Bar({ label, done, total, etaSeconds }: BarProps) {
  const percent = total === 0 ? 100 : Math.floor((100 * done) / total);
  return (
    <div class="progress">
      <progress aria-label={label} max={Math.max(total, 1)} value={total === 0 ? 1 : done} />
      <span class="num">
        {done.toLocaleString()} of {total.toLocaleString()} ({percent} %)
        {etaSeconds != null && `, about ${duration(etaSeconds * 1000)} left`}
      </span>
    </div>
  );
}

const POLL_MS = 2000;

interface JobBarProps {
  readonly id: string;
  readonly onEnd?: () => void;
}

/** A job with its progress, until it ends. */
export function JobBar({ id, onEnd }: JobBarProps) {
  const { value: job, error, reload } = useLoad(`job ${id}`, async () => await get<Job>(path('v1/jobs', id)), POLL_MS);
  const isOver = job !== null && job.status !== 'running';
  useEffect(() => {
    if (isOver) onEnd?.();
  }, [isOver]);
  const cancel = (): void => {
    post(path('v1/jobs', id, 'cancel')).then(
      () => {
        announce('Cancelled. What was queued before is still sent.');
        reload();
      },
      (reason: unknown) => announce(String(reason), 'bad'),
    );
  };
  if (job === null) return <ProblemNotice error={error} />;
  return (
    <div class="job" data-job={job.status}>
      <p>
        <Status status={job.status} /> {job.kind === 'retry' ? 'Retrying deliveries' : 'Releasing held items'}
        {job.skipped > 0 && `, ${job.skipped} skipped: no target left`}
      </p>
      <Bar label="Progress of the job" done={job.done + job.skipped} total={job.total} etaSeconds={job.eta_seconds} />
      {!isOver && (
        <button type="button" class="small" onClick={cancel}>
          Cancel the job
        </button>
      )}
    </div>
  );
}
