import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { runDoctor } from '../contract/operations/operation.js';
import type { Doctor } from '../doctor/doctor.js';
import { worstOf } from '../doctor/policy.js';
import type { Effects } from '../effects.js';
import { iso } from './schemas.js';

export interface DoctorRoutesOptions {
  readonly doctor: Doctor;
  readonly effects: Pick<Effects, 'now'>;
}

/** `/v1/doctor`. */
export const doctorRoutes: FastifyPluginAsyncTypebox<DoctorRoutesOptions> = async (app, { doctor, effects }) => {
  app.get('/doctor', { schema: runDoctor }, async ({ query }) => {
    const checks = await doctor.examine({ sendTest: query.send_test ?? false });
    return { status: worstOf(checks), checked_at: iso(effects.now()), checks: checks.map((check) => ({ ...check })) };
  });
  await Promise.resolve();
};
