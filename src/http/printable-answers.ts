import type { FastifyInstance, onSendHookHandler } from 'fastify';
import { printableJson, printableValue } from '../printable.js';

/** Makes the words of others in the answers of these routes printable. What clients send back, such as `id`, is our own. */
export function printableAnswers(app: FastifyInstance): void {
  app.addHook('preSerialization', (_request, _reply, payload, done) => done(null, printableValue(payload)));
}

/** Escapes unprintable characters in an answer that shows a body exactly. */
export const escapeUnprintable: onSendHookHandler = (_request, _reply, payload, done) => {
  done(null, typeof payload === 'string' ? printableJson(payload) : payload);
};
