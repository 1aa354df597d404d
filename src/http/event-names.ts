import { knownEventNames, readEventNames } from '../intake/subscription.js';
import { shown } from './schema-words.js';
import { invalidField } from './validation-errors.js';

/** In Whapi's current spelling. @throws GatewayError GW_BAD_REQUEST (an event that Whapi does not have) */
export function checkedEventNames(names: readonly string[]): string[] {
  const { events, unknownAt } = readEventNames(names);
  if (unknownAt === null) return [...events];
  const path = `/events/${unknownAt}`;
  const value = shown(names[unknownAt]);
  throw invalidField(
    path,
    `"events[${unknownAt}]" is ${value}, which is not an event of Whapi; expected *, or for example messages.post; events: ${knownEventNames()}`,
  );
}
