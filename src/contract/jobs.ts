import { Type } from 'typebox';
import type { Static, TSchema } from 'typebox';
import { JOB_KINDS, JOB_STATUSES } from '../model.js';
import { DeliverySchema } from './deliveries.js';
import { ChannelName, Time, timeOrNull } from './fields.js';
import { ItemSchema } from './items.js';
import { oneOf, orNull, pageOf, pageQuery, ref } from './schema.js';

const job = {
  id: Type.String(),
  kind: oneOf(JOB_KINDS),
  status: oneOf(JOB_STATUSES, {
    description: '`running` until everything found was handled, then `finished`; `cancelled` keeps what was done.',
  }),
  filter: Type.Record(Type.String(), Type.Unknown(), { description: 'The filter of the request.' }),
  total: Type.Integer({ description: 'What the filter found when the job was made.' }),
  done: Type.Integer({ description: 'Queued for delivery so far.' }),
  skipped: Type.Integer({ description: 'Skipped, because no target is left to send them to.' }),
  rate_per_minute: orNull(
    Type.Number({ description: 'How many it handles per minute; null before its first steps, and once it is over.' }),
  ),
  eta_seconds: orNull(Type.Integer({ description: 'Estimated time to its end; null when that is not known.' })),
  created_at: Time,
  finished_at: timeOrNull(),
};
export const JobSchema = Type.Object(job, {
  $id: 'Job',
  description: 'Bulk work, many retries or releases, done in the background.',
});
export type Job = Static<typeof JobSchema>;

export const JobPageSchema = pageOf(JobSchema);

export const JobQuery = pageQuery({
  status: Type.Optional(oneOf(JOB_STATUSES, { description: 'Only jobs with this status.' })),
  kind: Type.Optional(oneOf(JOB_KINDS, { description: 'Only jobs of this kind.' })),
  channel: Type.Optional(ChannelName),
});

export const StartedJobSchema = Type.Object(
  { ...job, count: Type.Integer({ description: 'The same as `total`.' }), dry_run: Type.Literal(false) },
  { $id: 'StartedJob', description: 'A job that was started.' },
);
export type StartedJob = Static<typeof StartedJobSchema>;

/** What bulk work would do: the answer to a dry run. */
const surveyOf = <T extends TSchema & { readonly $id?: string }>(entry: T) => ({
  dry_run: Type.Literal(true),
  count: Type.Integer({ description: 'How many would be sent, each counted once.' }),
  by_target: Type.Record(Type.String(), Type.Integer(), { description: 'How many each target would be sent.' }),
  by_verdict: Type.Record(Type.String(), Type.Integer(), { description: 'How many have an item of each verdict.' }),
  sample: Type.Array(ref(entry), { description: 'The first 20.' }),
});

export const RetrySurveySchema = Type.Object(surveyOf(DeliverySchema), {
  $id: 'RetrySurvey',
  description: 'The result of a dry run.',
});
export type RetrySurvey = Static<typeof RetrySurveySchema>;

export const ReleaseSurveySchema = Type.Object(
  {
    ...surveyOf(ItemSchema),
    already_sent: Type.Record(Type.String(), Type.Integer(), {
      description: 'How many of the items that match each target was sent already.',
    }),
  },
  { $id: 'ReleaseSurvey', description: 'The result of a dry run.' },
);
export type ReleaseSurvey = Static<typeof ReleaseSurveySchema>;

/** What a request for bulk work is answered. */
export const RetryResultSchema = Type.Union([ref(RetrySurveySchema), ref(StartedJobSchema)], {
  $id: 'RetryResult',
  description: 'A job, or with `dry_run` what it would do.',
});
export type RetryResult = Static<typeof RetryResultSchema>;

export const ReleaseResultSchema = Type.Union([ref(ReleaseSurveySchema), ref(StartedJobSchema)], {
  $id: 'ReleaseResult',
  description: 'A job, or with `dry_run` what it would do.',
});
export type ReleaseResult = Static<typeof ReleaseResultSchema>;
