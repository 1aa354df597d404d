import type { EventName, Target } from '../model.js';
import { DOCUMENTED_EVENTS } from '../whapi/wire.js';
import { nameOf, TYPES } from './event.js';
import { subscribes } from './route.js';

/** Event names of a target, checked: `*`, `messages`, `messages.*`, `messages.post`. */
export interface EventNames {
  /** In Whapi's current spelling (`message` becomes `messages`), without repeats. */
  readonly events: readonly string[];
  /** Index of the first name that Whapi does not have; null if all are known. */
  readonly unknownAt: number | null;
}

/** Reads event names as people write them, including Whapi's old names (docs/whapi.md, Settings). */
export function readEventNames(names: readonly string[]): EventNames {
  const current = names.map(currentName);
  const unknownAt = current.indexOf(null);
  return {
    events: [...new Set(current.filter((name) => name !== null))],
    unknownAt: unknownAt === -1 ? null : unknownAt,
  };
}

/** Null if Whapi has no such event. */
function currentName(name: string): string | null {
  if (name === '*') return name;
  const [word = '', ...methods] = name.split('.');
  const type = TYPES.get(word.toLowerCase()) ?? word;
  const current = [type, ...methods].join('.');
  return documentedEvents([current]).length > 0 ? current : null;
}

/** The documented events that these names cover. */
export function documentedEvents(names: readonly string[]): EventName[] {
  return DOCUMENTED_EVENTS.filter((event) => subscribes({ channels: ['*'], events: names }, '', event));
}

/** For error messages: `messages (post, put, patch, delete), statuses (post, put), …`. */
export function knownEventNames(): string {
  const types = [...new Set(DOCUMENTED_EVENTS.map(({ type }) => type))];
  return types.map((type) => `${type} (${methodsOf(type).join(', ')})`).join(', ');
}

function methodsOf(type: string): string[] {
  return DOCUMENTED_EVENTS.filter((event) => event.type === type).map(({ method }) => method);
}

type Routed = Pick<Target, 'url' | 'channels' | 'events'>;

/** Whether two targets have the same URL and at least one event in common. */
export function isSameBot(one: Routed, other: Routed): boolean {
  return isSameUrl(one.url, other.url) && shareChannel(one, other) && shareEvent(one, other);
}

function isSameUrl(one: string, other: string): boolean {
  return one === other || (URL.canParse(one) && URL.canParse(other) && new URL(one).href === new URL(other).href);
}

function shareChannel({ channels }: Routed, other: Routed): boolean {
  return [channels, other.channels].some((names) => names.includes('*')) || haveCommon(channels, other.channels);
}

function shareEvent({ events }: Routed, other: Routed): boolean {
  const names = (all: readonly string[]): string[] => documentedEvents(all).map(nameOf);
  return haveCommon(names(events), names(other.events)) || haveCommon(events, other.events);
}

function haveCommon(some: readonly string[], others: readonly string[]): boolean {
  return some.some((each) => others.includes(each));
}

/** A warning if other targets reach the same bot; null if none does. */
export function sameBotWarning(target: Target, all: readonly Target[]): string | null {
  const others = all.filter((other) => other.id !== target.id && isSameBot(target, other));
  if (others.length === 0) return null;
  const names = others.map(({ id, name }) => `"${name}" (${id})`).join(', ');
  return (
    `${others.length === 1 ? 'Target' : 'Targets'} ${names} ${others.length === 1 ? 'has' : 'have'} the same URL, so this ` +
    'bot receives the same events more than once. Remove one of them, or give them different channels or events.'
  );
}
