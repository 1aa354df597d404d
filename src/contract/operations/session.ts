import { Type } from 'typebox';
import { operation } from '../operation.js';
import { ref } from '../schema.js';
import { LoginSchema, SessionSchema } from '../session.js';

const NoContent = Type.Null({ description: 'Done.' });

export const openSession = operation({
  operationId: 'openSession',
  tags: ['session'],
  summary: 'Log in to the dashboard',
  description:
    'Sets a cookie that opens `/v1` for 12 hours. Scripts in the page cannot read it. It is for the page that logs in ' +
    'only: a request with the cookie that is not a GET must carry the `Origin` of the login. Every session ends when ' +
    'the admin token changes. Programs send the token as a bearer token instead.',
  security: [],
  body: ref(LoginSchema),
  response: { 204: NoContent },
});

export const getSession = operation({
  operationId: 'getSession',
  tags: ['session'],
  summary: 'Get the session',
  description: 'Says until when the cookie of the request is valid.',
  security: [{ session: [] }],
  response: { 200: ref(SessionSchema) },
});

export const closeSession = operation({
  operationId: 'closeSession',
  tags: ['session'],
  summary: 'Log out of the dashboard',
  description: 'Removes the cookie.',
  security: [{ session: [] }],
  response: { 204: NoContent },
});
