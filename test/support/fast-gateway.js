/**
 * The gateway as ever, with a clock that has run TIME_SCALE times faster than the world's since EPOCH_MS: all its pauses,
 * windows and leases are as long as always, and over so much sooner. A restart finds the clock where it is by then.
 */
import { pino } from 'pino';
import { readConfig } from '../../dist/config.js';
import { systemEffects } from '../../dist/effects.js';
import { startGateway } from '../../dist/gateway.js';

const { TIME_SCALE, EPOCH_MS, ...env } = process.env;
const scale = Number(TIME_SCALE);
const epoch = Number(EPOCH_MS);

const log = pino({ level: 'info' }, process.stdout);
const gateway = await startGateway(
  readConfig(env),
  {
    ...systemEffects,
    now: () => Math.floor(epoch + (systemEffects.now() - epoch) * scale),
    sleep: async (ms, signal) => await systemEffects.sleep(ms / scale, signal),
  },
  log,
);
log.info({ url: gateway.url }, 'listening');
