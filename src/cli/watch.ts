import { CommandError, EXIT } from '../errors.js';
import { startDisplay } from './progress.js';
import type { Progress } from './progress.js';
import type { Session } from './session.js';

export interface Watched<T> {
  /** Asks the gateway for the current state. */
  readonly poll: () => Promise<T>;
  readonly isOver: (state: T) => boolean;
  readonly progressOf: (state: T) => Progress;
  /** What to print for a state with --json, when it changed. */
  readonly documentOf: (state: T) => unknown;
  /** What to print after Ctrl-C. */
  readonly farewell: string;
}

const POLL_EVERY_MS = 500;
/** A restarted gateway resumes its work, so watching survives a restart. */
export const MOST_UNREACHABLE_MS = 5 * 60_000;

/**
 * Shows the progress of work in the gateway until it ends. Ctrl-C ends the watching, not the work.
 * @throws CommandError (interrupted, or the gateway stayed unreachable)
 */
export async function watch<T>({ terminal, json }: Session, watched: Watched<T>): Promise<T> {
  const { effects, signal } = terminal;
  const display = startDisplay(terminal);
  let shown = '';
  let unreachableSince: number | null = null;
  try {
    for (;;) {
      const state = await watched.poll().catch((error: unknown) => {
        const isUnreachable = error instanceof CommandError && error.exitCode === EXIT.unreachable;
        if (!isUnreachable || effects.now() - (unreachableSince ?? effects.now()) > MOST_UNREACHABLE_MS) throw error;
        return null;
      });
      if (state !== null) {
        unreachableSince = null;
        const line = JSON.stringify(watched.documentOf(state));
        if (!json) display.show(watched.progressOf(state));
        else if (line !== shown && !watched.isOver(state)) terminal.write(`${line}\n`);
        shown = line;
        if (watched.isOver(state)) return state;
      } else if (unreachableSince === null) {
        unreachableSince = effects.now();
        display.end();
        if (!json) terminal.tell('Cannot reach the gateway. It resumes this work when it is back. Waiting.\n');
      }
      await effects.sleep(POLL_EVERY_MS, signal);
      if (signal.aborted) throw new CommandError('GW_INTERRUPTED', watched.farewell);
    }
  } catch (error) {
    if (error instanceof CommandError && error.code === 'GW_INTERRUPTED') {
      throw new CommandError('GW_INTERRUPTED', watched.farewell);
    }
    throw error;
  } finally {
    display.end();
  }
}
