import type { EventMethod, EventName } from '../../model.js';

/** The event behind a stored name such as `messages.post`: the inverse of `nameOf`. */
export function parseEventName(name: string): EventName {
  const dot = name.lastIndexOf('.');
  return { type: name.slice(0, dot), method: name.slice(dot + 1) as EventMethod };
}
