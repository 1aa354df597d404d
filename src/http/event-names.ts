import { GatewayError } from '../errors.js';
import { knownEventNames, readEventNames } from '../intake/subscription.js';

/** In Whapi's current spelling. @throws GatewayError GW_BAD_REQUEST (an event that Whapi does not have) */
export function checkedEventNames(names: readonly string[]): string[] {
  const { events, unknownAt } = readEventNames(names);
  if (unknownAt === null) return [...events];
  const path = `/events/${unknownAt}`;
  const message = `"${names[unknownAt] ?? ''}" is not an event of Whapi. Use * or: ${knownEventNames()}; for example messages.post`;
  throw new GatewayError('GW_BAD_REQUEST', `Invalid request body: ${path} ${message}`, [{ path, message }]);
}
