/** `npm run simulate`: a simulated Whapi to try the gateway with, until Ctrl-C. */
import { parseArgs } from 'node:util';

import { type Simulator, type SimulatorEvent, startSimulator } from './simulator/simulator.js';
import { control } from './simulator/control.js';
import { ALL_EVENTS } from './simulator/webhooks.js';

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

function introduction({ url, token }: Simulator, { webhookUrl }: Flags): string {
  const gateway = new URL(webhookUrl).origin;
  const channel = new URL(webhookUrl).pathname.split('/').at(-1) ?? '';
  return `A simulated Whapi is listening on ${url}. It sends its webhooks to ${webhookUrl}

1. Start the gateway in a second terminal:

   npm start

2. In a third terminal, in the same folder, add this channel. Add your bot, if you have one. Then connect:

   WHAPI_TOKEN=${token} npx whapi-resync-gateway channels add ${channel} --whapi-base-url ${url}
   npx whapi-resync-gateway targets add bot http://127.0.0.1:3000/hook/messages --mode body --events messages.post
   npx whapi-resync-gateway channels connect ${channel} --public-url ${gateway}

3. Let a message come in; the answer has its id. See what the gateway did with it:

   curl -X POST ${url}/_simulator/receive -d '{"text":"Hello"}'
   npx whapi-resync-gateway explain <id>

4. Let Whapi lose a message of last month, and bring it back. Your bot does not get it:

   curl -X POST ${url}/_simulator/lose -d '{"text":"From last month"}'
   npx whapi-resync-gateway resync <id>

5. Log the phone out ("AUTH" logs it in again), or let every call fail for a minute. A resync pauses and then goes on:

   curl -X POST ${url}/_simulator/phone -d '{"status":"QR"}'
   curl -X POST ${url}/_simulator/fail -d '{"status":429,"seconds":60}'

Stop the simulator with Ctrl-C. Calls and webhooks:
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
