import { Type } from 'typebox';
import type { Static } from 'typebox';
import { time } from './fields.js';

export const LoginSchema = Type.Object(
  { token: Type.String({ minLength: 1, maxLength: 1000, writeOnly: true, description: 'The admin token.' }) },
  { $id: 'Login', additionalProperties: false, description: 'Logs in to the dashboard.' },
);

export const SessionSchema = Type.Object(
  { expires_at: time('When the session ends: 12 hours after the login.') },
  { $id: 'Session', description: 'The session of the cookie that came with the request.' },
);
export type Session = Static<typeof SessionSchema>;
