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
