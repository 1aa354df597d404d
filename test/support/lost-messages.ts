import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.js';
import type { Simulator } from '../../src/simulator/simulator.js';
import type { Client } from './client.js';
import { lose } from './resync.js';
import { inTime } from './storm.js';

/** A simulated Whapi for each channel, and messages that it has lost. */
export interface LostMessages {
  readonly simulators: ReadonlyMap<string, Simulator>;
  /** Ids of messages that Whapi brought back. */
  readonly restored: readonly string[];
  /** The most calls to Whapi that were under way at one time for one channel. */
  mostCallsAtOnce(): number;
  /** Registers lost messages until `enough` returns true. `client` is asked for each request. */
  run(client: () => Client, enough: () => boolean): Promise<void>;
  /** How many registered messages were never brought back so far. */
  missing(): number;
  /** Resolves once Whapi has brought back every registered message. Fails if none comes back for MOST_STALL_MS. */
  allBack(): Promise<void>;
}

/** Between two registrations. */
const PAUSE_MS = 250;
/** A resync call takes 150 ms, and its message is back after 600 ms. */
const TIME_SCALE = 100;
/** Longer than the turn at Whapi of a replica that was killed. */
const MOST_STALL_MS = 60_000;

/** @param busy a channel that loses none here, because a storm keeps its Whapi busy for hours */
export async function startLostMessages(channels: readonly string[], busy: string): Promise<LostMessages> {
  const restored = new Set<string>();
  const registered = new Set<string>();
  const simulators = new Map<string, Simulator>();
  const news = new EventEmitter<{ restored: [] }>();
  for (const channel of [busy, ...channels]) {
    const whapi = await startSimulator({
      ...{ token: `token-of-${channel}`, channelId: `SIMUL-${channel}`, timeScale: TIME_SCALE },
      onEvent: (event) => {
        if (event.kind !== 'restored') return;
        restored.add(event.messageId);
        news.emit('restored');
      },
    });
    onTestFinished(async () => await whapi.close());
    simulators.set(channel, whapi);
  }
  let next = 0;

  const registerOne = async (client: Client): Promise<void> => {
    const channel = channels[next % channels.length] ?? '';
    const whapi = simulators.get(channel);
    if (!whapi) return;
    const id = `lost.${channel}-${next}`;
    lose(whapi, [id]);
    const answer = await inTime(client.call('POST', '/v1/resyncs', { channel, message_ids: [id] }));
    if (answer?.status !== 202) return;
    registered.add(id);
    next += 1;
  };

  const missing = (): number => [...registered].filter((id) => !restored.has(id)).length;

  return {
    simulators,
    get restored() {
      return [...restored];
    },
    mostCallsAtOnce: () =>
      Math.max(...[...simulators.values()].flatMap((each) => [each.mostCallsAtOnce, each.mostListsAtOnce])),
    run: async (client, enough) => {
      while (!enough()) {
        await registerOne(client()).catch(() => undefined); // repeated at another replica
        await sleep(PAUSE_MS);
      }
    },
    missing,
    allBack: async () => {
      while (missing() > 0) {
        const signal = AbortSignal.timeout(MOST_STALL_MS);
        await once(news, 'restored', { signal }).catch((error: unknown) => {
          throw new Error(`Whapi brings back none of the last ${missing()} messages.`, { cause: error });
        });
      }
    },
  };
}
