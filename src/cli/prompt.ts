import { CommandError, usageError } from '../errors.js';
import { interruption } from './input.js';
import type { Terminal } from './terminal.js';

/** Asks a person at the terminal. */
export interface Prompt {
  /** The typed line, without white space at its ends. @throws CommandError (interrupted, or the input ended) */
  readonly line: (question: string) => Promise<string>;
  /** The same, but the terminal does not show what is typed. */
  readonly secret: (question: string) => Promise<string>;
  /** Without it, the open terminal keeps the process alive. */
  readonly end: () => void;
}

/** Keys that reach the program only while the terminal shows nothing; otherwise the terminal itself acts on them. */
const CTRL_C = '\x03';
const CTRL_D = '\x04';
const CTRL_U = '\x15';
const BACKSPACES = ['\x7f', '\b'];

export function startPrompt({ stdin, tell, signal }: Terminal): Prompt {
  const chunks = stdin[Symbol.asyncIterator]();
  let unread: string[] = [];

  const nextCharacter = async (): Promise<string> => {
    while (unread.length === 0) {
      const next = await Promise.race([chunks.next(), interruption(signal)]);
      if (next.done === true) throw usageError('The input has ended before the answer.');
      unread = Array.from(next.value.toString());
    }
    return unread.shift() ?? '';
  };
  const readLine = async (): Promise<string> => {
    let line = '';
    for (;;) {
      const character = await nextCharacter();
      if (character === '\n' || character === '\r') return line.trim();
      if (character === CTRL_C) throw new CommandError('GW_INTERRUPTED', 'Interrupted.');
      if (character === CTRL_D) throw usageError('The input has ended before the answer.');
      if (character === CTRL_U) line = '';
      else line = BACKSPACES.includes(character) ? line.slice(0, -1) : line + character;
    }
  };

  return {
    line: async (question) => {
      tell(question);
      return await readLine();
    },
    secret: async (question) => {
      stdin.setRawMode?.(true); // before the question: what is typed after it must not show
      try {
        tell(question);
        return await readLine();
      } finally {
        stdin.setRawMode?.(false);
        tell('\n');
      }
    },
    end: () => void chunks.return?.(),
  };
}
