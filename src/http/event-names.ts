import { Type } from 'typebox';
import { GatewayError } from '../errors.js';
import { knownEventNames, readEventNames } from '../intake/subscription.js';

/** Names of events in a request's body; what they may be is checked by `checkedEventNames`, which says it in words. */
export const EventNames = Type.Array(Type.String({ maxLength: 100 }), {
  minItems: 1,
  maxItems: 100,
  description:
    '`*`, `messages`, `messages.post`, `statuses.*` …; old names of Whapi (`message`, `ack`) become the new ones',
});

/** In Whapi's current spelling. @throws GatewayError GW_BAD_REQUEST (an event that Whapi does not have) */
export function checkedEventNames(names: readonly string[]): string[] {
  const { events, unknownAt } = readEventNames(names);
  if (unknownAt === null) return [...events];
  const path = `/events/${unknownAt}`;
  const message = `"${names[unknownAt] ?? ''}" is not an event of Whapi. Use * or: ${knownEventNames()}; for example messages.post`;
  throw new GatewayError('GW_BAD_REQUEST', `Invalid request body: ${path} ${message}`, [{ path, message }]);
}
