import closeWithGrace from 'close-with-grace';
import { readConfig } from './config.js';
import { systemEffects } from './effects.js';
import { StartError } from './errors.js';
import { startGateway } from './gateway.js';
import type { Gateway } from './gateway.js';
import { createLogger } from './logger.js';

const CLOSE_WITHIN_MS = 10_000;

/** Files that the process creates are for its user only, whatever the umask that it was started with. */
const UMASK = 0o077;

async function main(): Promise<void> {
  process.umask(UMASK);
  const config = readConfig(process.env);
  // Plain stdout with its errors ignored: pino's own writer hangs at exit if the reader of the log has gone away.
  process.stdout.on('error', () => undefined);
  const log = createLogger(config.logLevel, process.stdout);
  const starting = startGateway(config, systemEffects, log);
  // Installed before the start is complete, so that a signal during the start closes what has started.
  const signals = closeWithGrace({ delay: CLOSE_WITHIN_MS, logger: log }, async ({ err, signal }) => {
    if (err) log.fatal({ err }, 'stopping after an unhandled error');
    else log.info({ signal }, 'stopping');
    await (await starting).close();
    log.info('stopped');
  });
  const gateway = await starting.catch((error: unknown) => {
    signals.uninstall();
    throw error;
  });
  for (const file of gateway.keys.made) log.info({ file }, 'key file created, back it up');
  const { url, keys } = gateway;
  const token = keys.adminTokenFile === null ? {} : { admin_token_file: keys.adminTokenFile };
  log.info({ url, port: Number(new URL(url).port), ...token }, 'listening');
  if (process.stdout.isTTY) greet(gateway);
}

/** Greets a person at a terminal, after the log lines for machines. */
function greet({ url, keys }: Gateway): void {
  const token = keys.adminTokenFile ?? 'the value of ADMIN_TOKEN';
  process.stdout.write(
    `\n  Gateway:     ${url}\n  API:         ${url}/v1, reference at ${url}/docs\n` +
      `  Admin token: ${token}\n  Next steps:  "Quick start" in README.md. Press Ctrl-C to stop.\n\n`,
  );
}

main().catch((error: unknown) => {
  const known = error instanceof StartError ? error : null;
  process.stderr.write(
    known ? `${known.code}: ${known.message}\n` : `The gateway could not start: ${String((error as Error).stack)}\n`,
  );
  process.exit(known?.exitCode ?? 1);
});
