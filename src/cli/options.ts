import type { Command } from 'commander';
import { usageError } from '../errors.js';
import { quoted } from '../quoted.js';

/** Parsers of option values: the error names the option, the value and an example. */

/** @throws CommandError */
export function number(option: string, example: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? NaN : Number(text);
    if (Number.isFinite(value)) return value;
    throw usageError(`Invalid ${option} ${quoted(text)}: expected a number, for example ${example}.`);
  };
}

/** @throws CommandError */
export function wholeNumber(option: string, example: number): (text: string) => number {
  return (text) => {
    if (/^\d{1,15}$/.test(text)) return Number(text);
    throw usageError(`Invalid ${option} ${quoted(text)}: expected a whole number, for example ${example}.`);
  };
}

/** As a value: removes a limit. (commander turns a parser's null into an empty string.) */
export const NONE = 'none';
export type None = typeof NONE;

/** @throws CommandError */
export function numberOrNone(option: string, example: number): (text: string) => number | None {
  const parse = number(option, example);
  return (text) => (text === NONE ? NONE : parse(text));
}

/** Drops the defaults of something new from the help: a command that changes it keeps what no option names. */
export function withoutDefaults(command: Command): Command {
  for (const option of command.options) option.description = option.description.replace(/; default(: .*)?$/, '');
  return command;
}
