import closeWithGrace from 'close-with-grace';
import { pino } from 'pino';
import { readConfig } from './config.js';
import { systemEffects } from './effects.js';
import { StartError } from './errors.js';
import { startGateway } from './gateway.js';
import type { Gateway } from './gateway.js';

/** What must never be in a log, wherever somebody logs a whole request or target. */
const REDACTED = ['req.headers.authorization', 'headers.authorization', '*.whapiToken', '*.webhookSecret', '*.secret'];
const CLOSE_WITHIN_MS = 10_000;

async function main(): Promise<void> {
  const config = readConfig(process.env);
  // Plain stdout, and deaf to its end: pino's own writer hangs the exit when whoever reads the log has gone.
  process.stdout.on('error', () => undefined);
  const log = pino({ level: config.logLevel, redact: REDACTED }, process.stdout);
  const starting = startGateway(config, systemEffects, log);
  // Before the start is over: a signal that comes in the middle of it must not kill without closing.
  const signals = closeWithGrace({ delay: CLOSE_WITHIN_MS, logger: log }, async ({ err, signal }) => {
    if (err) log.fatal({ err }, 'stopping after an error that nobody handled');
    else log.info({ signal }, 'stopping: finishing what is under way');
    await (await starting).close();
    log.info('stopped');
  });
  const gateway = await starting.catch((error: unknown) => {
    signals.uninstall();
    throw error;
  });
  for (const file of gateway.keys.made)
    log.info({ file }, 'first start: made a key file, readable by you alone; back it up');
  const { url, keys } = gateway;
  const token = keys.adminTokenFile === null ? {} : { admin_token_file: keys.adminTokenFile };
  log.info({ url, port: Number(new URL(url).port), ...token }, 'listening');
  if (process.stdout.isTTY) greet(gateway);
}

/** For a person at a terminal, after the log lines that machines read. */
function greet({ url, keys }: Gateway): void {
  const token = keys.adminTokenFile ?? 'ADMIN_TOKEN, as you have set it';
  process.stdout.write(
    `\n  The gateway listens on ${url}\n  API:         ${url}/v1, described in ${url}/openapi.json\n` +
      `  Admin token: ${token}\n  What next:   "Quick start" in README.md. Ctrl-C stops it.\n\n`,
  );
}

main().catch((error: unknown) => {
  const known = error instanceof StartError ? error : null;
  process.stderr.write(
    known ? `${known.code}: ${known.message}\n` : `The gateway could not start: ${String((error as Error).stack)}\n`,
  );
  process.exit(known?.exitCode ?? 1);
});
