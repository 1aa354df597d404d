import { expect } from 'vitest';
import type { NewProbe, Probe } from '../../src/contract/probes.js';
import { systemEffects } from '../../src/effects.js';
import { PROBE_INTERVALS } from '../../src/probe/policy.js';
import type { Faults, Simulator } from '../../src/simulator/simulator.js';
import type { WhapiMessage } from '../../src/whapi/wire.js';
import { startBot } from './bot.js';
import type { Bot } from './bot.js';
import { startClock } from './clock.js';
import type { TestClock } from './clock.js';
import { startLocal } from './gateway.js';
import type { LocalGateway } from './gateway.js';
import { until } from './intervals.js';
import { addWhapi, intervalsWith } from './resync.js';
import { MINUTE } from './store.js';

/** Looks and calls follow within milliseconds; how long a probe watches is unchanged. */
const QUICK_PROBE = { ...PROBE_INTERVALS, lookMs: 5, getsMs: [5, 10], againMs: 5 };

/** It has everything that must not be in a report. */
export const PRIVATE: WhapiMessage = {
  ...{ id: 'PsqXn5SAD5v7HRA-wHqB9tMeGQ', type: 'text', chat_id: '4917012345678@s.whatsapp.net', from_me: false },
  ...{ timestamp: 1_712_995_245, from: '4917012345678', from_name: 'Alice Example', source: 'mobile' },
  text: { body: 'Where is my order number 4711 please?' },
};

export interface ProbeStage {
  readonly gateway: LocalGateway;
  readonly whapi: Simulator;
  readonly bot: Bot;
  readonly clock: TestClock;
  begin(body?: Partial<Record<keyof NewProbe, unknown>>): Promise<{ status: number; body: Record<string, unknown> }>;
  probe(): Promise<Probe>;
  /** Resolves when the probe is like this. */
  probeIs(wanted: object): Promise<Probe>;
  /** Lets the time pass in which another webhook might come. */
  finished(): Promise<Probe>;
}

/**
 * A gateway with the clock of the test, a simulated Whapi, and a bot that wants everything. The bot has received PRIVATE; the
 * phone has it, Whapi has lost it.
 */
export async function startProbe(faults: Partial<Faults> = {}, folder?: string): Promise<ProbeStage> {
  const clock = startClock();
  const intervals = { ...intervalsWith(), probe: QUICK_PROBE };
  const gateway = await startLocal({ effects: clock.effects, intervals, ...(folder !== undefined && { folder }) });
  const bot = await startBot();
  await gateway.addTarget({ url: bot.url });
  const whapi = await addWhapi(gateway, 'main', { effects: { ...systemEffects, ...clock.effects } });
  whapi.receive(PRIVATE);
  await bot.received(1);
  whapi.store(PRIVATE, { cached: false });
  Object.assign(whapi.faults, faults);
  const path = '/v1/channels/main/probe';
  const probe = async (): Promise<Probe> => (await gateway.call<Probe>('GET', path)).body;
  const probeIs = async (wanted: object): Promise<Probe> =>
    await until(async () => {
      const found = await probe();
      expect(found).toMatchObject(wanted);
      return found;
    });
  return {
    ...{ gateway, whapi, bot, clock, probe, probeIs },
    begin: async (body = {}) => await gateway.call('POST', path, { message_id: PRIVATE.id, consent: true, ...body }),
    finished: async () => {
      clock.advance(10 * MINUTE);
      return await probeIs({ finished_at: expect.any(String) as string });
    },
  };
}

/** The assumptions that do not hold, with what was seen instead. */
export function deviations({ findings }: Probe): Record<string, string> {
  const bad = findings.filter(({ holds }) => holds === false);
  return Object.fromEntries(bad.map(({ assumption, observed }) => [assumption, observed]));
}
