import { Type } from 'typebox';
import type { Static } from 'typebox';
import { CHECK_STATUSES } from '../model.js';
import { Time } from './fields.js';
import { oneOf, orNull, ref } from './schema.js';

const status = oneOf(CHECK_STATUSES);

export const CheckSchema = Type.Object(
  {
    name: Type.String({ description: 'What was checked: `store`, `disk`, `clock`, `whapi`, `webhook`, `target` …' }),
    subject: Type.String({ description: 'The channel or target, by name.' }),
    status,
    message: Type.String({ description: 'What was found.' }),
    fix: orNull(Type.String({ description: 'What to do; null: nothing.' })),
  },
  { $id: 'Check', description: 'One check of the doctor.' },
);
export type Check = Static<typeof CheckSchema>;

export const DoctorReportSchema = Type.Object(
  { status, checked_at: Time, checks: Type.Array(ref(CheckSchema)) },
  { $id: 'DoctorReport', description: 'The checks of the doctor, and the worst status among them.' },
);
export type DoctorReport = Static<typeof DoctorReportSchema>;

export const DoctorQuery = Type.Object(
  { send_test: Type.Optional(Type.Boolean({ default: false, description: 'Send each target a test event.' })) },
  { additionalProperties: false },
);
