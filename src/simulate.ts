/** `simulate`: runs a simulated Whapi to try the gateway with, until Ctrl-C. */
import { parseArgs } from 'node:util';

import { PROGRAM_NAME } from './program-name.js';
import { type Simulator, type SimulatorEvent, startSimulator } from './simulator/simulator.js';
import { control } from './simulator/control.js';
import { ALL_EVENTS } from './simulator/webhooks.js';

const USAGE = `Usage: ${PROGRAM_NAME} simulate [options]
In a clone also: npm run simulate -- [options]

  --port N             port on 127.0.0.1 (default 8090; 0: any free port)
  --token T            the channel's Whapi token (default simulated-token)
  --webhook-url U      URL that gets the webhooks (default http://127.0.0.1:8080/webhooks/demo)
  --webhook-secret S   bearer token of each webhook (default simulated-webhook-secret-of-the-demo)
  --time-scale N       speed compared with the real Whapi (default 1: a resync takes about a minute)
  --help               show this help
`;

interface Options {
  readonly port: number;
  readonly token: string;
  readonly webhookUrl: string;
  readonly webhookSecret: string;
  readonly timeScale: number;
}

function readOptions(args: string[]): Options | null {
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
    port: numberBetween('--port', values.port, 0, 65_535),
    token: values.token,
    webhookUrl: httpUrl('--webhook-url', values['webhook-url']),
    webhookSecret: values['webhook-secret'],
    timeScale: numberBetween('--time-scale', values['time-scale'], 0.01, 1_000_000),
  };
}

/** @throws Error that names the option, the value and the allowed range */
function numberBetween(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text === '' || !(value >= min && value <= max))
    throw new Error(`Invalid ${name} "${text}": use a number from ${min} to ${max}.`);
  return value;
}

/** @throws Error that names the option and the value, with an example */
function httpUrl(name: string, text: string): string {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text;
  throw new Error(`Invalid ${name} "${text}": use a URL such as http://127.0.0.1:8080/webhooks/demo.`);
}

function introduction({ url, token }: Simulator, { webhookUrl }: Options): string {
  const gateway = new URL(webhookUrl).origin;
  const channel = new URL(webhookUrl).pathname.split('/').at(-1) ?? '';
  return `A simulated Whapi is listening on ${url} and sends its webhooks to ${webhookUrl}.

1. Start the gateway in a second terminal:

   ${PROGRAM_NAME} serve

2. In a third terminal, in the same folder as the gateway, add this channel. Add your bot if you have one, and connect:

   WHAPI_TOKEN=${token} ${PROGRAM_NAME} channels add ${channel} --whapi-base-url ${url}
   ${PROGRAM_NAME} targets add bot http://127.0.0.1:3000/hook/messages --mode body --events messages.post
   ${PROGRAM_NAME} channels connect ${channel} --public-url ${gateway}

3. Send a live message. The answer has its id. See what the gateway did with it:

   curl -X POST ${url}/_simulator/receive -d '{"text":"Hello"}'
   ${PROGRAM_NAME} explain <id>

4. Create a message of last month that Whapi has lost, and bring it back. Your bot does not get it:

   curl -X POST ${url}/_simulator/lose -d '{"text":"From last month"}'
   ${PROGRAM_NAME} resync <id>

5. Log the phone out ("AUTH" logs it in again), or make every call fail for a minute. A resync pauses and then resumes:

   curl -X POST ${url}/_simulator/phone -d '{"status":"QR"}'
   curl -X POST ${url}/_simulator/fail -d '{"status":429,"seconds":60}'

6. Probe the channel with a message that was received, then let Whapi behave in another way and probe again:

   ${PROGRAM_NAME} channels probe ${channel} <id> --yes --minutes 3
   curl -X POST ${url}/_simulator/deviate -d '{"webhooks":2,"event":"messages.put"}'

Press Ctrl-C to stop the simulator. Calls and webhooks:
`;
}

function describe(line: SimulatorEvent): string {
  if (line.kind === 'call') return `call      ${line.method} ${line.path} -> ${line.status}`;
  if (line.kind === 'restored') return `restored  ${line.messageId}`;
  const name = `${line.event.type}.${line.event.method}`;
  return `webhook   ${name}, attempt ${line.attempt} -> ${line.status ?? 'no answer'}`;
}

async function run(options: Options): Promise<void> {
  const simulator = await startSimulator({
    port: options.port,
    token: options.token,
    timeScale: options.timeScale,
    onEvent: (line) => process.stdout.write(`  ${describe(line)}\n`),
    control,
  });
  const headers = { Authorization: `Bearer ${options.webhookSecret}` };
  simulator.setWebhooks([{ url: options.webhookUrl, mode: 'body', headers, events: ALL_EVENTS }]);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void simulator.close());
  process.stdout.write(introduction(simulator, options));
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options) await run(options);
  else process.stdout.write(USAGE);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}
