import { documentedEvents, knownEventNames, readEventNames } from '../intake/subscription.js';
import { nameOf } from '../intake/event.js';
import { hint, shown } from './schema-words.js';
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

/**
 * The event of a filter, in Whapi's current spelling. An event that Whapi does not have would match nothing, and look as if
 * nothing had come. @throws GatewayError GW_BAD_REQUEST
 */
export function eventOf({ event }: { event?: string }): { event?: string | undefined } {
  if (event === undefined) return {};
  const { events, unknownAt } = readEventNames([event]);
  if (unknownAt === null) return { event: events[0] };
  const known = documentedEvents(['*']);
  const names = event.includes('.') ? known.map(nameOf) : [...new Set(known.map(({ type }) => type))];
  const message = `"event" is ${shown(event)}, which is not an event of Whapi${hint(event, names)}`;
  throw invalidField('/event', message, { name: 'filter' });
}
