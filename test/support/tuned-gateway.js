/** The gateway with the intervals in INTERVALS (JSON), each of which replaces the default of its name. */
import { pino } from 'pino';
import { readConfig } from '../../dist/config.js';
import { systemEffects } from '../../dist/effects.js';
import { DEFAULT_INTERVALS, startGateway } from '../../dist/gateway.js';

const { INTERVALS, ...env } = process.env;
const intervals = { ...DEFAULT_INTERVALS };
for (const [name, value] of Object.entries(JSON.parse(INTERVALS)))
  intervals[name] = typeof value === 'object' ? { ...intervals[name], ...value } : value;

const log = pino({ level: 'info' }, process.stdout);
const gateway = await startGateway(readConfig(env), systemEffects, log, intervals);
log.info({ url: gateway.url }, 'listening');
