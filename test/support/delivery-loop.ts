import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { onTestFinished, vi } from 'vitest';
import { Breakers } from '../../src/delivery/breakers.js';
import { startDeliveryLoop } from '../../src/delivery/loop.js';
import type { DeliveryLoop } from '../../src/delivery/loop.js';
import type { Sender } from '../../src/delivery/send.js';
import { systemEffects } from '../../src/effects.js';
import type { Effects } from '../../src/effects.js';
import type { Target } from '../../src/model.js';
import { openSqliteStore } from '../../src/store/sqlite/engine.js';
import type { Store } from '../../src/store/store.js';
import { startBot } from './bot.js';
import type { Bot } from './bot.js';
import { temporaryFolder } from './files.js';
import { QUICK_BREAKER, QUICK_RETRIES_MS } from './intervals.js';
import { SILENT, startSender } from './sender.js';
import { channel, message, messages, record, target } from './store.js';
import type { OpenStore } from './store.js';

export interface LoopStage {
  readonly bot: Bot;
  readonly store: Store;
  readonly loop: DeliveryLoop;
  readonly errors: unknown[];
  /** Records messages as the ingress does, each in a chat named after what precedes the dash of its id. */
  record(...ids: string[]): Promise<void>;
  /** From now on no settlement reaches the store, until the returned function is called. */
  holdSettlements(): () => void;
  /** Resolves once the store has done what the loop has asked of it, and the loop what it can do without an answer or the clock. */
  quiet(): Promise<void>;
  /** The ids of the deliveries that the store hands out at this moment, in the order in which they are due. */
  claimable(): Promise<readonly string[]>;
}

/** The delivery loop with one target `bot`, on a real store and a real bot unless `sender` takes its place. */
export async function startLoopStage(
  settings: Partial<Target> = {},
  own: Partial<Effects> = {},
  ownSender?: Sender,
  open: OpenStore = openInFile,
): Promise<LoopStage> {
  const bot = await startBot();
  const effects = { ...systemEffects, ...own };
  const sender = ownSender ?? startSender('private', undefined, effects); // how long attempts take decides the look-ahead
  const { store, quiet } = watched(await open(effects));
  await store.registry.addChannel(channel('main'));
  await store.registry.addTarget(target('bot', { url: bot.url, ...settings }));
  const gate = { opened: Promise.resolve() };
  const settle = store.outbox.settle.bind(store.outbox);
  vi.spyOn(store.outbox, 'settle').mockImplementation(async (settlement) => {
    await gate.opened;
    return await settle(settlement);
  });
  const errors: unknown[] = [];
  const loop = startDeliveryLoop({
    ...{ store, sender, effects, delaysMs: QUICK_RETRIES_MS, notices: SILENT },
    breakers: await Breakers.load({ store, intervals: QUICK_BREAKER, effects, onChange: () => undefined }),
    onError: (error) => errors.push(error),
  });
  onTestFinished(async () => {
    await loop.stop(0);
    await store.close();
  });
  return {
    ...{ bot, store, loop, errors, quiet },
    record: async (...ids) => {
      for (const id of ids) loop.handOver(await record(store, messages(message(id, id.split('-')[0]))));
    },
    holdSettlements: () => {
      let open = (): void => undefined;
      gate.opened = new Promise((resolve) => (open = resolve));
      onTestFinished(() => open());
      return () => open();
    },
    claimable: async () => {
      const { deliveries } = await store.outbox.claim([{ targetId: 'bot', limit: 1000 }], 1);
      return deliveries.map(({ body }) => idIn(body));
    },
  };
}

const openInFile: OpenStore = (effects) => openSqliteStore(join(temporaryFolder(), 'gateway.db'), effects);
/** More than the loop takes from one operation of the store to the next. */
const TURNS = 25;

/** A store that knows which of its operations are under way. */
function watched(opened: Store): { store: Store; quiet: () => Promise<void> } {
  const underWay = new Set<Promise<unknown>>();
  const note = <T>(result: T): T => {
    if (result instanceof Promise) {
      underWay.add(result);
      const end = (): void => void underWay.delete(result);
      result.then(end, end);
    }
    return result;
  };
  for (const area of Object.values(opened as object) as unknown[])
    if (typeof area === 'object' && area !== null) showResults(area, note);
  const quiet = async (): Promise<void> => {
    do {
      await Promise.allSettled(underWay);
      for (let count = 0; count < TURNS; count += 1) await turn();
    } while (underWay.size > 0);
  };
  return { store: opened, quiet };
}

/** Shows `note` what the methods of an object return from now on. */
function showResults(area: object, note: <T>(result: T) => T): void {
  const methods = { ...descriptorsOf(Object.getPrototypeOf(area) as object), ...descriptorsOf(area) };
  for (const [name, { value }] of Object.entries(methods)) {
    const method: unknown = value;
    if (typeof method !== 'function' || name in Object.prototype) continue;
    const shown = (...args: unknown[]): unknown => note(Reflect.apply(method, area, args) as unknown);
    Object.defineProperty(area, name, { value: shown, configurable: true, writable: true });
  }
}

function descriptorsOf(object: object): Record<string, PropertyDescriptor> {
  return object === Object.prototype ? {} : Object.getOwnPropertyDescriptors(object);
}

function idIn(body: Buffer): string {
  const { messages: sent } = JSON.parse(body.toString()) as { messages: { id: string }[] };
  return sent[0]?.id ?? '';
}
