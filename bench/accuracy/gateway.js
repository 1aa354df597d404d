import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BREAKER_INTERVALS } from '../../dist/delivery/breaker.js';
import { Breakers } from '../../dist/delivery/breakers.js';
import { startDeliveryLoop } from '../../dist/delivery/loop.js';
import { RETRY_DELAYS_MS } from '../../dist/delivery/policy.js';
import { inSlices } from '../../dist/event-loop.js';
import { DEFAULTS, fieldsOf } from '../../dist/http/target-json.js';
import { decodeInSlices } from '../../dist/intake/decode.js';
import { afterCall, RESYNC_INTERVALS } from '../../dist/resync/policy.js';
import { openStore } from '../../dist/store/open.js';
import { cleanUp } from '../cleanup.js';
import { topic, DAY, HOUR, MINUTE } from './periods.js';
import { VirtualClock } from './virtual-clock.js';

const CHANNEL = 'main';
const TARGET = 'bot';
/** The settings of a gateway that nobody has changed (README, Settings). */
const WINDOW_SECONDS = 72 * 3600;
const RETENTION = { payloadMs: 7 * DAY, ledgerMs: 400 * DAY };
/** While deliveries wait, the loop looks for due ones this often instead of every second. */
const POLL_MS = 15_000;
const CALL_MS = 15_000;
/** A file system in memory, where there is one: how long a commit takes changes no verdict. */
const MEMORY = '/dev/shm';
const NO_NOTICES = { onSettled: () => undefined, onDisabled: () => undefined };

/**
 * The gateway in front of the bot: its decoder, its store in a real SQLite file (judge, routing, ledger, registrations), its
 * delivery loop with retries and circuit breaker, in virtual time. Left out are HTTP and the calls to Whapi, which answer 404
 * as Whapi does. It restarts at times, with its file.
 */
export class Gateway {
  #bot;
  #timeline;
  #periods;
  #clock;
  #file;
  #removeFolder;
  #store = null;
  #loop = null;
  #underWay = 0;
  #pending = 0;
  #wakeAt = Infinity;
  #onAnswer;

  /** @param onAnswer (message) → the bot has answered a message */
  constructor({ bot, timeline, periods, seed, onAnswer }) {
    this.#bot = bot;
    this.#timeline = timeline;
    this.#periods = periods;
    this.#onAnswer = onAnswer;
    this.#clock = new VirtualClock(timeline, topic(seed, 40), () => (this.#pending > 0 ? POLL_MS : HOUR));
    const folder = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'gateway-accuracy-'));
    this.#removeFolder = cleanUp(() => rmSync(folder, { recursive: true, force: true }));
    this.#file = join(folder, 'gateway.db');
  }

  /** @param settings of the target, as in the API; what is left out has its default */
  async start(month, settings) {
    await this.#open();
    await this.#store.registry.addChannel(channelAt(month.start));
    await this.#store.registry.addTarget(targetAt(month.start, settings));
    for (const { from, until } of this.#periods.gatewayDown) {
      this.#timeline.plan(from, async () => await this.#close());
      this.#timeline.plan(until, async () => await this.#open());
    }
    for (const { id, askedAt } of month.resyncs) this.#timeline.plan(askedAt, async () => await this.#resync(id));
    for (let at = month.start; at < month.end; at += HOUR) this.#timeline.plan(at, async () => await this.#sweep());
  }

  /** Resolves with whether it answers 200. */
  async take({ method, body }) {
    if (!this.#store) return false;
    const hint = { method: 'POST', suffix: '' };
    const document = await inSlices(decodeInSlices(body, hint));
    const webhook = { channel: CHANNEL, ...hint, contentType: 'application/json', body };
    const recorded = await this.#store.intake.record(webhook, document);
    if (method !== document.event.method) throw new Error('The event was not read as it was sent.');
    this.#pending += recorded.deliveries;
    this.#loop.handOver(recorded);
    await this.#settle();
    return true;
  }

  async stop() {
    if (this.#store) await this.#close();
    this.#removeFolder();
  }

  async #open() {
    const { effects } = this.#clock;
    const store = await openStore({ engine: 'sqlite', file: this.#file }, effects);
    const settle = this.#counted(store.outbox, 'settle');
    store.outbox.settle = async (settlement) => {
      const isSettled = await settle(settlement);
      if (isSettled && settlement.status !== 'pending') this.#pending -= 1;
      return isSettled;
    };
    store.outbox.chatFacts = this.#counted(store.outbox, 'chatFacts');
    this.#store = store;
    this.#loop = startDeliveryLoop({
      store,
      sender: { send: async (delivery) => await this.#send(delivery), destroy: async () => undefined },
      breakers: await Breakers.load({ store, intervals: BREAKER_INTERVALS, effects, onChange: () => undefined }),
      delaysMs: RETRY_DELAYS_MS,
      effects,
      onError: (error) => {
        throw error;
      },
      notices: NO_NOTICES,
    });
    await this.#settle();
  }

  /** An operation of the store, which is counted while it is under way. */
  #counted(area, name) {
    const operation = area[name].bind(area);
    return async (...parameters) => {
      this.#underWay += 1;
      return await operation(...parameters).finally(() => (this.#underWay -= 1));
    };
  }

  async #close() {
    await this.#loop.stop(0);
    await this.#store.close();
    this.#store = null;
    this.#loop = null;
  }

  /** Registers the id, then makes its call, which Whapi answers with the usual 404. */
  async #resync(messageId) {
    if (!this.#store) {
      this.#timeline.plan(this.#timeline.now + MINUTE, async () => await this.#resync(messageId));
      return;
    }
    const { resyncs } = this.#store;
    const request = { channel: CHANNEL, deliverUnseen: false, windowSeconds: WINDOW_SECONDS, idempotency: null };
    await resyncs.register({ ...request, messageIds: [messageId] });
    const call = await resyncs.takeCall(CHANNEL, 'resync', RESYNC_INTERVALS.callTimeoutMs);
    if (call?.messageId !== messageId || call.kind !== 'resync') throw new Error('No call is due for the id.');
    const at = { now: this.#timeline.now, random: 0.5, tookMs: CALL_MS, intervals: RESYNC_INTERVALS };
    await resyncs.settleCall(call, afterCall(call, { kind: 'missing', reason: 'HTTP status 404' }, at));
  }

  /** Closes windows and prunes, as the gateway does in the background. */
  async #sweep() {
    if (!this.#store) return;
    while ((await this.#store.resyncs.closeWindows()) > 0);
    while (await this.#store.upkeep.prune(RETENTION, this.#timeline.now));
  }

  async #send(delivery) {
    const { now } = this.#timeline;
    const { timeoutMs } = delivery.target;
    if (this.#bot.isDown(now)) return failed(now, 1, 'ECONNREFUSED');
    const { messages } = JSON.parse(delivery.body.toString());
    const { answered, tookMs } = this.#bot.receive(delivery.event.method, messages, now, { request: delivery.id });
    for (const message of answered) this.#onAnswer(message);
    if (tookMs > timeoutMs) return failed(now, timeoutMs, 'The target did not answer in time.');
    const attempt = { startedAt: now, durationMs: tookMs, status: 200, error: null };
    return { outcome: { kind: 'answered', status: 200, retryAfter: null }, attempt };
  }

  /** Waits until nothing is under way any more: the loop sleeps, and every read and settlement is done. */
  async #settle() {
    for (let calm = 0; calm < 3;) {
      await nextTurn();
      calm = this.#underWay === 0 && this.#clock.sleeping > 0 ? calm + 1 : 0;
    }
    this.#planWake();
  }

  /** Lets the loop go on when the first of its pauses ends. */
  #planWake() {
    const at = this.#clock.nextDueAt;
    if (at >= this.#wakeAt) return;
    this.#wakeAt = at;
    this.#timeline.plan(at, async () => {
      if (this.#wakeAt === at) this.#wakeAt = Infinity;
      if (!this.#store) return;
      this.#clock.wakeDue();
      await this.#settle();
    });
  }
}

function failed(startedAt, durationMs, error) {
  return { outcome: { kind: 'failed' }, attempt: { startedAt, durationMs, status: null, error } };
}

function channelAt(createdAt) {
  return {
    ...{ name: CHANNEL, channelId: null, whapiToken: '', webhookSecret: '', whapiBaseUrl: 'https://whapi.example' },
    ...{ lateAfterSeconds: 900, resyncSpacingMs: null, dailyCallBudget: null, autoResync: false, createdAt },
    ...{ onReplay: 'deliver', replayAfterSeconds: 432_000, replayMessages: 20 },
  };
}

function targetAt(createdAt, settings) {
  return {
    ...{ id: TARGET, name: TARGET, url: 'https://bot.example', headers: '{}', secret: '', previousSecrets: [] },
    ...{ disabledReason: null, createdAt },
    ...fieldsOf({ ...DEFAULTS, events: ['messages.post'], ...settings }),
  };
}
