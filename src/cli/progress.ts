import type { Terminal } from './terminal.js';
import { duration, shortened, widthOf } from './terminal.js';

/** The progress of work in the gateway. */
export interface Progress {
  readonly done: number;
  readonly total: number;
  /** Unit of `done` and `total`; `%` when `total` is 100. */
  readonly unit: string;
  /** `412 restored, 30 waiting`. */
  readonly words: string;
  readonly etaSeconds: number | null;
}

/** Shows progress: a bar that is redrawn in place on a terminal, else a line from time to time. */
export interface Display {
  show(progress: Progress): void;
  /** Ends the line of the bar. */
  end(): void;
}

const LONGEST_BAR = 24;
const SHORTEST_BAR = 5;
/** Fewer columns than this say nothing. */
const LEAST_WORDS = 6;
const GAP = '  ';
/** Interval of lines without a terminal. */
const LINE_EVERY_MS = 5000;
const ERASE_TO_END = '\x1b[K';

/** `cli-progress` would do the same, but its last release is from 2023, and it adds colours and a timer. */
export function startDisplay({ write, columns, effects }: Terminal): Display {
  let drawn = false;
  let last = { line: '', at: -Infinity };
  return {
    show: (progress) => {
      const width = columns();
      if (width !== null) {
        // One less: a terminal may wrap a line that fills its last column.
        write(`\r${barOf(progress, width - 1)}${ERASE_TO_END}`);
        drawn = true;
        return;
      }
      const line = lineOf(progress);
      const isDue = effects.now() - last.at >= LINE_EVERY_MS || progress.done === progress.total;
      if (!isDue || line === last.line) return;
      last = { line, at: effects.now() };
      write(`${line}\n`);
    },
    end: () => {
      if (drawn) write('\n');
      drawn = false;
    },
  };
}

/** One line of at most `width` columns. What does not fit is left out: the words first, then the ETA, then the bar. */
export function barOf({ done, total, words, etaSeconds }: Progress, width: number): string {
  const part = total === 0 ? 1 : done / total;
  const numbers = `${String(Math.floor(part * 100)).padStart(3)}%${GAP}${done}/${total}`;
  const length = Math.min(LONGEST_BAR, Math.floor(width / 4), width - numbers.length - '[] '.length);
  const filled = Math.floor(part * length);
  const bar = length < SHORTEST_BAR ? '' : `[${'#'.repeat(filled)}${'.'.repeat(length - filled)}] `;
  const line = shortened(`${bar}${numbers}`, width);
  const withEta = line + (etaSeconds === null ? '' : `${GAP}${eta(etaSeconds)}`);
  if (widthOf(withEta) > width) return line;
  const room = width - widthOf(withEta) - GAP.length;
  return room < Math.min(LEAST_WORDS, widthOf(words)) ? withEta : `${withEta}${GAP}${shortened(words, room)}`;
}

function lineOf({ done, total, unit, words, etaSeconds }: Progress): string {
  const amount = unit === '%' ? `${done} %` : `${done} of ${total} ${unit}`;
  return `${amount}: ${etaSeconds === null ? '' : `${eta(etaSeconds)}${GAP}`}${words}`;
}

function eta(seconds: number): string {
  return `ETA ${duration(seconds)}`;
}
