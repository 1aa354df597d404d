import { expect, it } from 'vitest';
import { jobJson } from '../../src/http/job-json.js';
import type { JobView } from '../../src/store/jobs.js';

const RUNNING: JobView = {
  ...({ id: 'job_1', kind: 'retry', status: 'running', filter: { status: 'dead' } } as const),
  ...{ total: 1000, done: 150, skipped: 50, busyMs: 3000, createdAt: 0, finishedAt: null },
};

it.each([
  ['a running job', {}, 4000, 12],
  ['a job that handled more than was counted', { total: 100 }, 4000, 0],
  ['a job that waits for another one', { done: 0, skipped: 0 }, null, null],
  ['a job that has made no measurable step', { busyMs: 0 }, null, null],
  ['a finished job', { status: 'finished', finishedAt: 1 } as const, null, null],
])('%s shows its rate and the time that is left', (_, change, rate, eta) => {
  expect(jobJson({ ...RUNNING, ...change })).toMatchObject({ rate_per_minute: rate, eta_seconds: eta });
});
