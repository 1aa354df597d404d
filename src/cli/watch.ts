import { CommandError, EXIT } from '../errors.js';
import { startDisplay } from './progress.js';
import type { Progress } from './progress.js';
import type { Session } from './session.js';

export interface Watched<T> {
  /** Asks the gateway how it stands. */
  readonly poll: () => Promise<T>;
  readonly isOver: (state: T) => boolean;
  readonly progressOf: (state: T) => Progress;
  /** What to write for a state with --json; only where it has changed. */
  readonly documentOf: (state: T) => unknown;
  /** What to say when somebody leaves before the end. */
  readonly farewell: string;
}

const LOOK_EVERY_MS = 500;
/** A gateway that is restarted goes on with its work, and so does whoever watches it. */
const AWAY_MS = 5 * 60_000;

/**
 * Shows how work in the gateway goes on until it is over. The work does not depend on it: after Ctrl-C it goes on.
 * @throws CommandError: interrupted, or the gateway stayed out of reach
 */
export async function watch<T>({ terminal, json }: Session, watched: Watched<T>): Promise<T> {
  const { effects, signal } = terminal;
  const display = startDisplay(terminal);
  let shown = '';
  let away: number | null = null;
  try {
    for (;;) {
      const state = await watched.poll().catch((error: unknown) => {
        const isAway = error instanceof CommandError && error.exitCode === EXIT.unreachable;
        if (!isAway || effects.now() - (away ?? effects.now()) > AWAY_MS) throw error;
        return null;
      });
      if (state !== null) {
        away = null;
        const line = JSON.stringify(watched.documentOf(state));
        if (!json) display.show(watched.progressOf(state));
        else if (line !== shown && !watched.isOver(state)) terminal.write(`${line}\n`);
        shown = line;
        if (watched.isOver(state)) return state;
      } else if (away === null) {
        away = effects.now();
        display.end();
        terminal.tell('The gateway is away; its work goes on where it stopped once it is back. Waiting.\n');
      }
      await effects.sleep(LOOK_EVERY_MS, signal);
      if (signal.aborted) throw new CommandError(EXIT.interrupted, watched.farewell);
    }
  } catch (error) {
    if (error instanceof CommandError && error.exitCode === EXIT.interrupted) {
      throw new CommandError(EXIT.interrupted, watched.farewell);
    }
    throw error;
  } finally {
    display.end();
  }
}
