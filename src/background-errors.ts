import { MINUTE_MS } from './durations.js';
import type { Effects } from './effects.js';
import { GatewayError } from './errors.js';
import { Throttle } from './throttle.js';

const EVENT = 'background work failed, retrying';

/**
 * Logs failures of background work. An expected one, such as a full disk, is logged without a stack, and once a minute: while a
 * database is away, several workers meet it each second. `times`: how often it was met since the last line.
 */
export function createErrorReporter(
  log: { error(fields: object, name: string): void },
  effects: Pick<Effects, 'now'>,
): (error: unknown) => void {
  const throttle = new Throttle(MINUTE_MS, effects);
  return (error) => {
    if (!(error instanceof GatewayError)) {
      log.error({ err: error }, EVENT);
      return;
    }
    const { code, message: detail } = error;
    const times = throttle.count(`${code} ${detail}`);
    if (times !== null) log.error({ code, detail, times }, EVENT);
  };
}
