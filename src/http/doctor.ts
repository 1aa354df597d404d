import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Doctor } from '../doctor/doctor.js';
import { CHECK_STATUSES, worstOf } from '../doctor/policy.js';
import type { Effects } from '../effects.js';
import { iso, oneOf, orNull, problems, Time } from './schemas.js';

export interface DoctorRoutesOptions {
  readonly doctor: Doctor;
  readonly effects: Pick<Effects, 'now'>;
}

const StatusSchema = oneOf(CHECK_STATUSES);
const Report = Type.Object({
  status: StatusSchema,
  checked_at: Time,
  checks: Type.Array(
    Type.Object({
      name: Type.String({
        description: 'What kind of check: store, disk, clock, whapi, webhook, last_webhook, target …',
      }),
      subject: Type.String({ description: 'The channel or target, by name' }),
      status: StatusSchema,
      message: Type.String(),
      fix: orNull(Type.String({ description: 'What to do' })),
    }),
  ),
});
const Query = Type.Object(
  { send_test: Type.Boolean({ default: false, description: 'Send each target a test event' }) },
  { additionalProperties: false },
);

/** `/v1/doctor`. */
export const doctorRoutes: FastifyPluginAsyncTypebox<DoctorRoutesOptions> = async (app, { doctor, effects }) => {
  app.get(
    '/doctor',
    {
      schema: {
        tags: ['operation'],
        summary: 'Look at everything that a working gateway depends on, and say what to do',
        querystring: Query,
        response: { 200: Report, ...problems },
      },
    },
    async ({ query }) => {
      const checks = await doctor.examine({ sendTest: query.send_test });
      return { status: worstOf(checks), checked_at: iso(effects.now()), checks: checks.map((check) => ({ ...check })) };
    },
  );
  await Promise.resolve();
};
