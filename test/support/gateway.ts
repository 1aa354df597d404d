import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { readConfig } from '../../src/config.js';
import { systemEffects } from '../../src/effects.js';
import type { Effects } from '../../src/effects.js';
import { startGateway, DEFAULT_INTERVALS } from '../../src/gateway.js';
import type { Gateway, Intervals } from '../../src/gateway.js';
import { createLogger } from '../../src/logger.js';
import { createClient } from './client.js';
import type { Client } from './client.js';
import { temporaryFolder } from './files.js';
import { QUICK_BREAKER } from './intervals.js';

export interface LocalOptions {
  readonly env?: Record<string, string>;
  readonly effects?: Partial<Effects>;
  readonly intervals?: Partial<Intervals>;
  readonly folder?: string;
}

/** A line of the log, as JSON: 30 is info, 40 warn, 50 error. */
export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface LocalGateway extends Client {
  readonly folder: string;
  /** Every line that it has logged. */
  readonly logs: readonly LogLine[];
  close(): Promise<void>;
}

/** A gateway in the test's own process, with its own clock or intervals but real HTTP and a real SQLite file. */
export async function startLocal({
  env = {},
  effects = {},
  intervals = {},
  folder = temporaryFolder(),
}: LocalOptions = {}): Promise<LocalGateway> {
  const config = readConfig({
    PORT: '0',
    DATABASE_URL: `sqlite:${join(folder, 'gateway.db')}`,
    API_RATE_PER_MINUTE: '0',
    ...env,
  });
  const logs: LogLine[] = [];
  const log = createLogger('debug', { write: (line) => void logs.push(JSON.parse(line) as LogLine) });
  const gateway = await startGateway(config, { ...systemEffects, ...effects }, log, {
    ...DEFAULT_INTERVALS,
    breaker: QUICK_BREAKER,
    ...intervals,
  });
  const close = once(gateway);
  onTestFinished(close);
  return { ...createClient(gateway.url, gateway.keys.adminToken), folder, logs, close };
}

function once(gateway: Gateway): () => Promise<void> {
  let closing: Promise<void> | undefined;
  return async () => await (closing ??= gateway.close());
}
