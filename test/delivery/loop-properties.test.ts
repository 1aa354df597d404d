import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { manualClock } from '../support/store.js';
import type { OpenStore } from '../support/store.js';
import { locationOf, useDatabases } from '../support/postgres/fixture.js';
import { openPostgresStore } from '../../src/store/postgres/engine.js';
import { startLoopStage } from '../support/delivery-loop.js';
import type { LoopStage } from '../support/delivery-loop.js';
import { until } from '../support/intervals.js';
import { systemEffects } from '../../src/effects.js';
import type { Outgoing, Sender, SendResult } from '../../src/delivery/send.js';
import type { Target } from '../../src/model.js';

/** One step of a history: what the users, the bot, the clock or the store do. */
type Step =
  | { readonly kind: 'record'; readonly chat: string }
  | { readonly kind: 'answer'; readonly status: number }
  | { readonly kind: 'change'; readonly change: Partial<Target> }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'settlements'; readonly isHeld: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('record' as const), chat: fc.constantFrom('a', 'b', 'c', 'd') }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('answer' as const), status: fc.constantFrom(200, 200, 200, 422, 503) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      change: fc.oneof(
        fc.record({ concurrency: fc.constantFrom(1, 2, 5) }),
        fc.record({ enabled: fc.boolean() }),
        fc.record({ ratePerSecond: fc.constantFrom(null, 2) }),
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 20, 6000, 60_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('settlements' as const), isHeld: fc.boolean() }) },
);

/** A bot inside the process, which answers when the history says so, and notes what breaks a rule. */
class Bot {
  readonly waiting: { readonly id: string; readonly answer: (status: number) => void }[] = [];
  readonly delivered: string[] = [];
  readonly broken: string[] = [];
  most = Infinity;
  isEnabled = true;
  answersAtOnce = false;

  readonly sender: Sender = {
    send: async (outgoing) => await this.#send(outgoing),
    whyRefused: () => null,
    destroy: async () => {
      for (const { answer } of this.waiting.splice(0)) answer(503);
      await Promise.resolve();
    },
  };

  async #send({ body, target }: Outgoing): Promise<SendResult> {
    const id = (JSON.parse(body.toString()) as { messages: { id: string }[] }).messages[0]?.id ?? '';
    if (this.waiting.length >= target.concurrency) this.broken.push(`${id} exceeds the concurrency`);
    if (!this.isEnabled) this.broken.push(`${id} is sent to a disabled target`);
    if (this.waiting.some((other) => other.id.startsWith(id.charAt(0)))) this.broken.push(`${id} overlaps in its chat`);
    if (this.delivered.includes(id)) this.broken.push(`${id} is sent twice`);
    const status = this.answersAtOnce ? 200 : await new Promise<number>((answer) => this.waiting.push({ id, answer }));
    if (status === 200) this.delivered.push(id);
    const attempt = { startedAt: 0, durationMs: 5, status, error: status === 200 ? null : 'refused' };
    return { outcome: { kind: 'answered', status, retryAfter: null }, attempt };
  }
}

async function run(
  open: OpenStore | undefined,
  steps: readonly Step[],
): Promise<{ bot: Bot; recorded: string[]; stage: LoopStage }> {
  const clock = manualClock();
  const bot = new Bot();
  const sleep = async (ms: number, signal?: AbortSignal): Promise<void> =>
    await systemEffects.sleep(Math.min(ms, 2), signal);
  const settings = { concurrency: 2, maxAttempts: 1000 };
  const stage = await startLoopStage(settings, { now: clock.now, sleep }, bot.sender, open);
  const recorded: string[] = [];
  let release = (): void => undefined;
  for (const each of steps) {
    if (each.kind === 'record') recorded.push(`${each.chat}-${recorded.length}`);
    if (each.kind === 'record') await stage.record(recorded.at(-1) ?? '');
    if (each.kind === 'answer') bot.waiting.shift()?.answer(each.status);
    if (each.kind === 'wait') clock.advance(each.ms);
    if (each.kind === 'settlements') {
      release();
      if (each.isHeld) release = stage.holdSettlements();
    }
    if (each.kind === 'change') {
      bot.isEnabled ||= each.change.enabled ?? false;
      await stage.store.registry.changeTarget('bot', each.change);
    }
    stage.loop.wake();
    await stage.quiet();
    if (each.kind === 'change') bot.isEnabled = each.change.enabled ?? bot.isEnabled;
  }
  release();
  bot.isEnabled = bot.answersAtOnce = true;
  for (const { answer } of bot.waiting.splice(0)) answer(200);
  await stage.store.registry.changeTarget('bot', { enabled: true, ratePerSecond: null });
  await until(async () => {
    clock.advance(60_000);
    stage.loop.wake();
    expect((await stage.store.outbox.loadOf('bot')).pending).toBe(0);
  });
  return { bot, recorded, stage };
}

const databases = useDatabases();
/** Each history begins with an empty store. */
const ENGINES = [
  { engine: 'SQLite', numRuns: 25, opener: async () => await Promise.resolve(undefined) },
  {
    engine: 'PostgreSQL',
    numRuns: 8, // each has a database of its own
    opener: async (): Promise<OpenStore> => {
      const location = locationOf(await databases.create());
      return async (effects) => await openPostgresStore(location, effects, effects.now);
    },
  },
];

describe.each(ENGINES)('the delivery loop in any history, with $engine', ({ opener, numRuns }) => {
  it('keeps the concurrency, sends nothing to a disabled target, keeps each chat in order, and loses and repeats nothing (I4, I6)', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
        const { bot, recorded, stage } = await run(await opener(), steps);
        expect([bot.broken, stage.errors]).toEqual([[], []]);
        for (const chat of 'abcd')
          expect(bot.delivered.filter((id) => id.startsWith(chat))).toEqual(
            recorded.filter((id) => id.startsWith(chat)),
          );
        await stage.loop.stop(0);
      }),
      { numRuns },
    );
  }, 120_000);
});
