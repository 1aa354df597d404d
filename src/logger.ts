import { pino } from 'pino';
import type { Logger, DestinationStream } from 'pino';
import { printableObject } from './printable.js';

/** Never logged, even if a whole request or target is. */
const REDACTED = ['req.headers.authorization', 'headers.authorization', '*.whapiToken', '*.webhookSecret', '*.secret'];

/** The logger of a gateway. Words of others in its fields are printable. */
export function createLogger(level: string, destination: DestinationStream): Logger {
  const options = {
    level,
    redact: REDACTED,
    formatters: { log: printableObject },
    serializers: { err: (error: Error) => printableObject({ ...pino.stdSerializers.err(error) }) },
  };
  return pino(options, destination);
}
