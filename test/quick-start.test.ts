import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { useEngines } from './support/engines.js';
import type { GatewayEngine } from './support/engines.js';
import { until } from './support/intervals.js';
import { useDatabases } from './support/postgres/fixture.js';
import { startQuickStart } from './support/quick-start.js';
import type { QuickStart } from './support/quick-start.js';
import { answerIn, inlineCommands, sectionOf, stepsIn } from './support/readme.js';
import type { Step } from './support/readme.js';
import { textMessage } from './support/texts.js';

const [BY_COMMAND_LINE = '', BY_CURL = ''] = sectionOf('Quick start').split('<details>');
const [programs = [], ...blocks] = stepsIn(BY_COMMAND_LINE);
const STEPS = blocks.flat();
const [IN_MODE_METHOD, BY_FULL_URL, BY_ONE_URL] = inlineCommands(BY_COMMAND_LINE, 'targets add');
/** The message that the quick start brings back. */
const LOST = /resync (\S+-\S+)/.exec(BY_COMMAND_LINE)?.[1] ?? '';

interface Case {
  readonly bot: string;
  /** The only path that accepts messages. */
  readonly route: string;
  /** The README's command that adds this bot. Undefined means the command of the quick start. */
  readonly add?: string | undefined;
  /** Extra options of `channels connect`. */
  readonly connect?: string;
  /** Requests without a handler in this bot. The first is the test event, sent before any webhook arrived. */
  readonly refuses?: readonly string[];
}

const CASES: readonly Case[] = [
  { bot: 'the bot of the quick start', route: '/hook/messages' },
  { bot: "Whapi's Node bot in mode method", route: '/hook/messages', add: IN_MODE_METHOD, connect: '--mode path' },
  { bot: "Whapi's Node bot by its full URL", route: '/hook/messages', add: BY_FULL_URL, connect: '--mode body' },
  { bot: "Whapi's Java bot by its one URL", route: '/that-url', add: BY_ONE_URL, connect: '--mode method' },
  {
    bot: 'a bot in mode path',
    route: '/hook/messages/post',
    add: 'targets add bot http://…/hook --mode path --events messages.post',
  },
  {
    bot: 'a bot that gets all events as Whapi sends them',
    route: '/hook/messages',
    add: 'targets add bot http://…/hook',
    connect: '--mode method',
    refuses: ['POST /hook', 'POST /hook/statuses', 'POST /hook/presences', 'POST /hook/channel'],
  },
];

it('the quick start begins with commands that other tests run', () => {
  expect(programs.map(({ command }) => command.replace(/\s+#.*/, ''))).toEqual([
    'npm ci && npm start',
    'npm ci && npm test',
    'npm run demo',
  ]);
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  expect(scripts).toMatchObject({ start: 'exec node dist/main.js', demo: 'node dist/demo.js' });
});

// The doctor of the quick start finds fault with a server that does not wait for its disk.
const [sqlite, postgres] = useEngines(useDatabases({}));
/** What differs between the bots does not depend on the engine. */
const RUNS = [
  ...CASES.map((each) => ({ ...each, ...sqlite })),
  ...CASES.slice(0, 1).map((each) => ({ ...each, ...postgres })),
];

describe('the quick start, command by command, has live messages answered once and the restored one not:', () => {
  it.each(RUNS)('$bot, with $engine', async ({ environment, ...each }) => {
    const stage = await startStage(each.route, environment);
    for (const step of stepsFor(each)) {
      const followed = stage.follow(step);
      if (isResync(step)) await liveMessages(stage, 'during');
      checkWords(step, (await followed).stdout);
      if (isConnect(step)) await liveMessages(stage, 'connected');
    }
    await liveMessages(stage, 'after');
    for (const step of STEPS.filter(isDoctor)) checkWords(step, (await stage.follow(step)).stdout);
    await onlyLiveAreAnswered(stage, ['connected', 'during', 'after']);
    expect(new Set(stage.bot.refused)).toEqual(new Set(each.refuses));
  });

  it.each([sqlite, postgres])('with curl and $engine', async ({ environment }) => {
    const stage = await startStage('/hook/messages', environment);
    const ids = new Map<string, string>();
    let exported = '';
    for (const step of stepsIn(BY_CURL).flat()) {
      const command = step.command.replaceAll(/\b[a-z]{3}_…/g, (placeholder) => ids.get(placeholder) ?? placeholder);
      if (command.startsWith('export ')) exported += `${command}\n`;
      const { stdout } = await stage.follow({ command: `${exported}${command}`, prints: [] });
      const { status, keys } = answerIn(step);
      if (status !== null) expect(stdout).toMatch(new RegExp(`^${status}$`, 'm'));
      for (const key of keys) expect(stdout).toContain(`"${key}":`);
      for (const [, id = ''] of stdout.matchAll(/"id":"([a-z]{3}_[^"]+)"/g)) ids.set(`${id.slice(0, 4)}…`, id);
    }
    await until(async () => {
      const { body } = await stage.gateway.client.call('GET', `/v1/resyncs/${ids.get('rsy_…') ?? ''}`);
      expect(body).toMatchObject({ status: 'finished', counts: { restored: 1 } });
    });
    await liveMessages(stage, 'after');
    await onlyLiveAreAnswered(stage, ['after']);
  });
});

async function startStage(route: string, environment: GatewayEngine['environment']): Promise<QuickStart> {
  const stage = await startQuickStart(route, await environment());
  stage.whapi.store(textMessage({ id: LOST, chat: '12025550142@s.whatsapp.net' }), { cached: false });
  return stage;
}

/** The steps of the README, with the bot and the connection of this case. */
function stepsFor({ add, connect, route, refuses }: Case): Step[] {
  // If a bot leaves the mode to Whapi, only the first message reveals it: an earlier test may use another path.
  const tested = refuses ? [] : [`bot answered 200 to a test event (messages.post at POST ${route}) in 4 ms.`];
  return STEPS.map((step) => {
    const { command, prints } = step;
    if (add !== undefined && command.includes('targets add')) {
      const added = add.replace('http://…', 'http://127.0.0.1:3000');
      return { command: `npx whapi-resync-gateway ${added}`, prints: [...prints.slice(0, -1), ...tested] };
    }
    const isConnected = connect !== undefined && command.includes('channels connect');
    return isConnected ? { command: `${command} ${connect}`, prints } : step;
  });
}

function isConnect({ command }: Step): boolean {
  return command.includes('channels connect') && !command.includes('--dry-run');
}

function isResync({ command }: Step): boolean {
  return command.includes('gateway resync ');
}

function isDoctor({ command }: Step): boolean {
  return command.includes('doctor');
}

/** The text that the comments of the README do not quote. */
function checkWords(step: Step, stdout: string): void {
  if (isDoctor(step)) expect(stdout).not.toMatch(/^(warn|fail)/m);
  if (step.command.includes('explain')) expect(stdout).toContain('restored by rule 3, held');
}

/** Two live messages of one chat, with all the other events that Whapi may send between them. */
async function liveMessages({ whapi, bot }: QuickStart, when: string): Promise<void> {
  const chat = `${when}@s.whatsapp.net`;
  const at = Math.floor(Date.now() / 1000);
  whapi.receive(textMessage({ id: `${when}-1`, chat, at }));
  const status = { id: `${when}-1`, status: 'read', recipient_id: chat, timestamp: `${at}` };
  whapi.emit({ type: 'statuses', method: 'post' }, { statuses: [status] });
  whapi.emit({ type: 'presences', method: 'post' }, { presences: [{ contact_id: chat, status: 'typing' }] });
  whapi.setHealth('AUTH');
  whapi.receive(textMessage({ id: `${when}-2`, chat, at }));
  await until(() => expect(bot.answered).toContain(`${when}-2`));
}

/** Each once. Waits for everything that Whapi and the gateway still have to send. */
async function onlyLiveAreAnswered({ whapi, bot, gateway }: QuickStart, when: readonly string[]): Promise<void> {
  await whapi.idle();
  await until(async () => {
    const { body } = await gateway.client.call<{ data: { event: string }[] }>('GET', '/v1/deliveries?status=pending');
    expect(body.data.filter(({ event }) => event.startsWith('messages'))).toEqual([]);
  });
  expect([...bot.answered].sort()).toEqual(when.flatMap((each) => [`${each}-1`, `${each}-2`]).sort());
}
