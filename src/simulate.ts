/** `npm run simulate`: a simulated Whapi to try the gateway with, until Ctrl-C. */
import { parseArgs } from 'node:util';

import { type Simulator, type SimulatorEvent, startSimulator } from './whapi/simulator.js';
import { control } from './whapi/simulator-control.js';
import { ALL_EVENTS } from './whapi/simulator-webhooks.js';

const USAGE = `Usage: whapi-resync-gateway simulate [flags], or npm run simulate -- [flags]

  --port N             where to listen on 127.0.0.1 (default 8090; 0: any free port)
  --token T            the channel's Whapi token (default simulated-token)
  --webhook-url U      where webhooks go (default http://127.0.0.1:8080/webhooks/demo)
  --webhook-secret S   sent as bearer with each webhook (default simulated-webhook-secret-of-the-demo)
  --time-scale N       how many times faster than Whapi (default 1: a resync takes about a minute)
  --help               this text
`;

interface Flags {
  readonly port: number;
  readonly token: string;
  readonly webhookUrl: string;
  readonly webhookSecret: string;
  readonly timeScale: number;
}

function readFlags(args: string[]): Flags | null {
  const { values } = parseArgs({
    args,
    options: {
      port: { type: 'string', default: '8090' },
      token: { type: 'string', default: 'simulated-token' },
      'webhook-url': { type: 'string', default: 'http://127.0.0.1:8080/webhooks/demo' },
      'webhook-secret': { type: 'string', default: 'simulated-webhook-secret-of-the-demo' },
      'time-scale': { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  return {
    port: within('--port', values.port, 0, 65_535),
    token: values.token,
    webhookUrl: values['webhook-url'],
    webhookSecret: values['webhook-secret'],
    timeScale: within('--time-scale', values['time-scale'], 0.01, 1_000_000),
  };
}

function within(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text === '' || !(value >= least && value <= most)) throw new Error(`${name} must be ${least} to ${most}.`);
  return value;
}

function introduction({ url, token }: Simulator, { webhookUrl, webhookSecret }: Flags): string {
  const channel = JSON.stringify({
    name: 'demo',
    whapi_token: token,
    whapi_base_url: url,
    webhook_secret: webhookSecret,
  });
  return `A simulated Whapi listens on ${url} and sends its webhooks to ${webhookUrl}

1. Start the gateway in another terminal (npm start) and tell it of this channel:

   curl -X POST http://127.0.0.1:8080/v1/channels -H "Authorization: Bearer $(cat data/admin-token)" \\
     -H 'Content-Type: application/json' -d '${channel}'

2. Let a message come in:

   curl -X POST ${url}/_simulator/receive -d '{"text":"Hello"}'

3. Let Whapi lose an old one; the answer has its id:

   curl -X POST ${url}/_simulator/lose -d '{"text":"From last month"}'

4. Bring it back through the gateway, and see that no bot is told of it:

   curl -X POST http://127.0.0.1:8080/v1/resyncs -H "Authorization: Bearer $(cat data/admin-token)" \\
     -H 'Content-Type: application/json' -d '{"channel":"demo","message_ids":["the id"]}'

5. Log its phone out, and see the resync pause and go on when it is back ("AUTH"); or let every call fail for a minute:

   curl -X POST ${url}/_simulator/phone -d '{"status":"QR"}'
   curl -X POST ${url}/_simulator/fail -d '{"status":429,"seconds":60}'

Ctrl-C ends it. What happens:
`;
}

function describe(line: SimulatorEvent): string {
  if (line.kind === 'call') return `call      ${line.method} ${line.path} -> ${line.status}`;
  if (line.kind === 'restored') return `restored  ${line.messageId}`;
  const name = `${line.event.type}.${line.event.method}`;
  return `webhook   ${name}, attempt ${line.attempt} -> ${line.status ?? 'no answer'}`;
}

async function run(flags: Flags): Promise<void> {
  const simulator = await startSimulator({
    port: flags.port,
    token: flags.token,
    timeScale: flags.timeScale,
    onEvent: (line) => process.stdout.write(`  ${describe(line)}\n`),
    control,
  });
  const headers = { Authorization: `Bearer ${flags.webhookSecret}` };
  simulator.setWebhooks([{ url: flags.webhookUrl, mode: 'body', headers, events: ALL_EVENTS }]);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void simulator.close());
  process.stdout.write(introduction(simulator, flags));
}

try {
  const flags = readFlags(process.argv.slice(2));
  if (flags) await run(flags);
  else process.stdout.write(USAGE);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}
