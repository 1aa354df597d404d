import type { Command } from 'commander';
import type { Api } from './api.js';
import { factsText } from './facts.js';
import { targetIdOf } from './named-target.js';
import { wholeNumber } from './options.js';
import { addCommand } from './session.js';
import type { Run, Session } from './session.js';
import { table } from './terminal.js';
import { TIME_WORDS, timeOf } from './time.js';

/**
 * Commands that list, show and change what the API has: each is an entry of a table. Paths are written as in the API's
 * document, `/v1/jobs/{id}`, and take the arguments of the command in order.
 */

/** Fields of a request, by their names in the API. */
export type Fields = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Narrows a list or bulk work. The option has the name of the API's field: `--message-id` is `message_id`. */
export interface Filter {
  readonly flags: string;
  readonly words: string;
  readonly parse?: (text: string) => unknown;
}

export const FILTER = {
  channel: { flags: '-c, --channel <name>', words: 'only of this channel' },
  target: { flags: '--target <target>', words: 'only for this target: its id, or its name if that is unique' },
  verdict: { flags: '--verdict <verdict>', words: 'only with this verdict: new, late, restored, duplicate or event' },
  event: { flags: '--event <event>', words: 'only this event: messages.post, or messages for every method' },
  since: { flags: '--since <time>', words: `only from then on: ${TIME_WORDS}` },
  until: { flags: '--until <time>', words: `only up to then: ${TIME_WORDS}` },
  resync: { flags: '--resync <resync>', words: 'only message ids of this resync' },
  messageId: { flags: '--message-id <id>', words: 'only this message id' },
  rule: {
    flags: '--rule <n>',
    words: 'only judged by this row of the decision table',
    parse: wholeNumber('--rule', 9),
  },
  held: { flags: '--held', words: 'only held ones' },
  notHeld: { flags: '--no-held', words: 'only those that are not held' },
} satisfies Record<string, Filter>;

/** @param statuses such as `dead or expired` */
export function statusFilter(statuses: string): Filter {
  return { flags: '--status <status>', words: `only with this status: ${statuses}` };
}

export function withFilters(command: Command, filters: readonly Filter[]): Command {
  for (const { flags, words, parse } of filters) {
    if (parse === undefined) command.option(flags, words);
    else command.option(flags, words, parse);
  }
  return command;
}

/** Options as fields of the API: times in ISO 8601, targets by id, a list of targets as `targets`. @throws CommandError (an invalid time, no such target) */
export async function fieldsOf({ api, terminal }: Session, options: object): Promise<Fields> {
  const now = terminal.effects.now();
  const entries = Object.entries(options).map(async ([option, value]: [string, Fields[string]]) => {
    const name = option.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (name === 'since' || name === 'until') return [name, timeOf(`--${name}`, String(value), now)];
    if (name !== 'target') return [name, value];
    if (typeof value === 'string') return [name, await targetIdOf(api(), value)];
    return ['targets', await targetIds(api(), value as readonly string[])];
  });
  return Object.fromEntries((await Promise.all(entries)) as [string, Fields[string]][]);
}

async function targetIds(api: Api, names: readonly string[]): Promise<string[]> {
  return await Promise.all(names.map(async (name) => await targetIdOf(api, name)));
}

/** The path with these in its places: `at('/v1/jobs/{id}', ['job_1'])`. */
export function at(path: string, ids: readonly string[]): string {
  return ids.reduce((text, id) => text.replace(/\{\w+\}/, () => encodeURIComponent(id)), path);
}

export function withQuery(path: string, fields: Fields): string {
  const texts = Object.entries(fields).map(([name, value]): [string, string] => [name, String(value)]);
  const query = new URLSearchParams(texts).toString();
  return query === '' ? path : `${path}?${query}`;
}

interface Described {
  readonly summary: string;
  readonly examples: readonly string[];
  readonly path: string;
}

export interface Listing<T> extends Described {
  readonly filters: readonly Filter[];
  /** Sent with every request. */
  readonly fixed?: Fields;
  readonly head: readonly string[];
  readonly row: (entry: T) => readonly string[];
  /** What to print for an empty list. */
  readonly none: string;
  /** What to print below the others. */
  readonly next?: string;
}

interface Page<T> {
  readonly data: readonly T[];
  readonly next_cursor: string | null;
}

/** Prints the first entries of a list, or with `--all` every one. */
export function listCommand<T>(parent: Command, run: Run, usage: string, listing: Listing<T>): void {
  const { summary, examples, filters } = listing;
  withFilters(addCommand(parent, usage, summary, examples), filters)
    .option('--limit <n>', 'number of entries, 1 to 500', wholeNumber('--limit', 50), 50)
    .option('--all', 'every entry, however many there are')
    .action(
      run(async (session, ...args: unknown[]) => {
        const { limit, all = false, ...filter } = args.pop() as { limit: number; all?: boolean };
        const fields = { ...listing.fixed, ...(await fieldsOf(session, filter)) };
        const path = at(listing.path, args as string[]);
        const { data, next_cursor: next } = all
          ? { data: await session.api().list<T>(withQuery(path, fields)), next_cursor: null }
          : await session.api().call<Page<T>>('GET', withQuery(path, { ...fields, limit }));
        session.show(data, listText(listing, data, next !== null, session.terminal.columns()));
        return undefined;
      }),
    );
}

function listText<T>(
  { head, row, none, next = '' }: Listing<T>,
  data: readonly T[],
  isMore: boolean,
  columns: number | null,
): string {
  if (data.length === 0) return `${none}\n`;
  const more = isMore ? 'There are more. Add --all or raise --limit, or narrow the list with a filter.\n' : '';
  return `${table(head, data.map(row), columns)}${more}${next === '' ? '' : `${next}\n`}`;
}

export interface Shown<T extends object> extends Described {
  /** Default: every field. */
  readonly text?: (answer: T, columns: number | null) => string;
}

/** Prints one object of the API. */
export function showCommand<T extends object>(parent: Command, run: Run, usage: string, shown: Shown<T>): void {
  const { summary, examples, text = factsText } = shown;
  addCommand(parent, usage, summary, examples).action(
    run(async (session, ...args: unknown[]) => {
      args.pop();
      const answer = await session.api().call<T>('GET', at(shown.path, args as string[]));
      session.show(answer, text(answer, session.terminal.columns()));
      return undefined;
    }),
  );
}

export interface Step<T> extends Described {
  readonly text: (answer: T) => string;
}

/** Does something with one object of the API, and prints what became of it. */
export function stepCommand<T>(parent: Command, run: Run, usage: string, step: Step<T>): void {
  addCommand(parent, usage, step.summary, step.examples).action(
    run(async (session, ...args: unknown[]) => {
      args.pop();
      const answer = await session.api().call<T>('POST', at(step.path, args as string[]));
      session.show(answer, step.text(answer));
      return undefined;
    }),
  );
}
