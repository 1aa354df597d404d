import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startSimulator } from '../src/simulator/simulator.js';
import type { Simulator } from '../src/simulator/simulator.js';
import { startBot } from './support/bot.js';
import type { Bot, BotRequest } from './support/bot.js';
import type { Client } from './support/client.js';
import { useEngines } from './support/engines.js';
import type { GatewayEngine } from './support/engines.js';
import { startLocal } from './support/gateway.js';
import { startProcess } from './support/process.js';
import type { GatewayProcess } from './support/process.js';

interface Scenario {
  readonly name: string;
  readonly why: string;
  readonly targets: readonly (Record<string, unknown> & { name: string })[];
  readonly steps: readonly Step[];
  readonly expect: Readonly<Record<string, readonly Expected[]>>;
}

interface Step {
  readonly webhook?: { method: string; suffix: string; raw: string };
  readonly status?: number;
  readonly verdicts?: Record<string, number>;
  readonly resync?: { message_ids: string[]; deliver_unseen?: boolean };
  readonly whapi_answers?: 200 | 404;
  readonly restart?: 'kill' | 'term';
}

interface Expected {
  readonly method: string;
  readonly suffix: string;
  readonly raw?: string;
  readonly ids?: readonly string[];
  readonly contains?: readonly string[];
  readonly absent?: readonly string[];
}

const folder = fileURLToPath(new URL('./scenarios/', import.meta.url));
const scenarios = readdirSync(folder).map((file) => JSON.parse(readFileSync(folder + file, 'utf8')) as Scenario);

describe.each(useEngines())('a scenario over HTTP, with $engine', ({ environment }) => {
  it.each(scenarios.map((scenario) => ({ title: `${scenario.name}: ${scenario.why}`, scenario })))(
    '$title',
    async ({ scenario }) => {
      const { running, whapi, bots } = await stage(scenario, environment);
      for (const step of scenario.steps) await play(step, running, whapi);
      for (const [name, expected] of Object.entries(scenario.expect)) {
        expect(bots[name]?.requests.map(({ method, url }) => `${method} ${url}`)).toEqual(
          expected.map(({ method, suffix }) => `${method} /hook${suffix}`),
        );
        expected.forEach((wanted, index) => expectBody(bots[name]?.requests[index], wanted));
      }
    },
  );
});

/** A gateway in the process of the test, which starts a second sooner, or in a process that a step can end. */
interface Running {
  readonly client: Client;
  readonly process: GatewayProcess | null;
}

async function startFor({ steps }: Scenario, env: Record<string, string>): Promise<Running> {
  if (!steps.some(({ restart }) => restart)) return { client: await startLocal({ env }), process: null };
  const process = await startProcess(env);
  return {
    get client() {
      return process.client;
    },
    process,
  };
}

async function stage(
  scenario: Scenario,
  environment: GatewayEngine['environment'],
): Promise<{ running: Running; whapi: Simulator; bots: Record<string, Bot> }> {
  const whapi = await startSimulator({ timeScale: 1000 });
  onTestFinished(async () => await whapi.close());
  whapi.faults.resyncSendsWebhook = false;
  const running = await startFor(scenario, await environment());
  await running.client.addChannel({ whapi_token: whapi.token, whapi_base_url: whapi.url });
  const bots: Record<string, Bot> = {};
  for (const target of scenario.targets) {
    const bot = await startBot();
    bots[target.name] = bot;
    await running.client.addTarget({ ...target, url: `${bot.url}/hook` });
  }
  return { running, whapi, bots };
}

async function play(step: Step, { client, process }: Running, whapi: Simulator): Promise<void> {
  if (step.webhook) {
    const { raw, method, suffix } = step.webhook;
    const { status, body } = await client.webhook(raw, { method, suffix });
    expect({ status, verdicts: body.verdicts }).toEqual({ status: step.status, verdicts: step.verdicts });
    await client.settled();
  }
  if (step.resync) await resync(step.resync, step.whapi_answers ?? 404, client, whapi);
  if (step.restart) {
    await process?.end(step.restart === 'kill' ? 'SIGKILL' : 'SIGTERM');
    await process?.start();
  }
}

async function resync(
  body: NonNullable<Step['resync']>,
  answer: 200 | 404,
  client: Client,
  whapi: Simulator,
): Promise<void> {
  whapi.faults.resyncAnswers = answer;
  for (const id of body.message_ids) {
    whapi.store(
      { id, type: 'text', chat_id: '12025550142@s.whatsapp.net', from_me: false, timestamp: 1712912345 },
      { cached: false },
    );
  }
  const { status } = await client.call('POST', '/v1/resyncs', { channel: 'main', ...body });
  expect(status).toBe(202);
  await vi.waitFor(() => {
    const answered = whapi.calls
      .filter((call) => call.resync && call.status === answer)
      .map(({ messageId }) => messageId);
    expect(answered).toEqual(expect.arrayContaining(body.message_ids));
  }, 10_000);
}

function expectBody(request: BotRequest | undefined, { raw, ids, contains = [], absent = [] }: Expected): void {
  const text = request?.body.toString('utf8') ?? '';
  if (raw !== undefined) expect(text).toBe(raw);
  if (ids !== undefined) expect(request?.ids).toEqual(ids);
  for (const part of contains) expect(text).toContain(part);
  for (const part of absent) expect(text).not.toContain(part);
}
