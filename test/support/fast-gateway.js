/**
 * The gateway with a clock that has run TIME_SCALE times faster than real time since EPOCH_MS, so that all of its
 * pauses, windows and leases end that much sooner. After a restart the clock continues at its current time.
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
