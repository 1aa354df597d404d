import { MINUTE_MS, SECOND_MS } from '../durations.js';
import type { Effects } from '../effects.js';
import { nextTurn } from '../event-loop.js';
import type { Log } from '../log.js';
import { startLoop } from '../loop.js';
import type { Loop } from '../loop.js';
import { budgetPause } from '../whapi/policy.js';
import type { Resyncs } from '../store/resyncs.js';

export interface ResyncNoticesOptions {
  readonly store: { readonly resyncs: Pick<Resyncs, 'pendingCalls' | 'get' | 'states' | 'stillRunning'> };
  readonly log: Log;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
  readonly onError: (error: unknown) => void;
}

const POLL_EVERY_MS = SECOND_MS;
const IDLE_MS = MINUTE_MS;
/** How many of the newest resyncs a start searches for those that still run. */
const MOST_FOUND_AT_START = 500;
/** Resyncs polled per query and per turn. Webhooks are served between two queries. */
const PER_POLL = 100;
const MOST_PER_TURN = 500;

/**
 * Logs when a channel's resyncs pause and resume, and when a resync ends. It polls the store once a second while a
 * resync runs: a resync can end through a webhook, a call, a closed window or a person, and none of them should wait
 * for the log. Polling counts no messages, so its cost does not grow with a resync. Wake it after a registration.
 */
export function startResyncNotices({ store, log, effects, onError }: ResyncNoticesOptions): Loop {
  const running = new Set<string>();
  const paused = new Map<string, string>();
  /** The number of the newest resync found so far; null before the first search. */
  let newest: number | null = null;

  const turn = async (): Promise<number | null> => {
    await findNew();
    const some = [...running].slice(0, MOST_PER_TURN);
    for (let from = 0; from < some.length; from += PER_POLL) {
      await poll(some.slice(from, from + PER_POLL));
      await nextTurn();
    }
    if (running.size === 0 && paused.size === 0) return null;
    await logPauses();
    return effects.now() + POLL_EVERY_MS;
  };

  const findNew = async (): Promise<void> => {
    const isStart = newest === null;
    const after = newest ?? 0;
    let before = Number.MAX_SAFE_INTEGER;
    const ended: string[] = [];
    for (let met = 0; !isStart || met < MOST_FOUND_AT_START; met += PER_POLL) {
      const states = await store.resyncs.states({ after, before }, PER_POLL);
      newest = Math.max(newest ?? 0, states[0]?.number ?? 0);
      for (const { id, isRunning } of states) {
        if (isRunning) running.add(id);
        else if (!isStart) ended.push(id);
      }
      before = states.at(-1)?.number ?? 0;
      if (states.length < PER_POLL) break;
      await nextTurn();
    }
    for (const id of ended) await logEnd(id);
  };

  const poll = async (ids: readonly string[]): Promise<void> => {
    const still = await store.resyncs.stillRunning(ids);
    for (const id of ids) {
      running.delete(id); // moves it to the end of the queue
      if (still.has(id)) running.add(id);
      else await logEnd(id);
    }
  };

  /** A resync that was removed, with its channel or because of its age, is not logged. */
  const logEnd = async (id: string): Promise<void> => {
    const view = await store.resyncs.get(id);
    if (!view) return;
    const { channel, status, counts } = view;
    log.info({ resync: id, channel, ...counts }, status === 'cancelled' ? 'resync cancelled' : 'resync finished');
  };

  const logPauses = async (): Promise<void> => {
    const now = effects.now();
    const channels = new Set<string>();
    for (const calls of await store.resyncs.pendingCalls()) {
      const { name: channel } = calls.channel;
      const pause = calls.pause ?? budgetPause(calls, now);
      if (!pause) continue;
      channels.add(channel);
      if (paused.get(channel) === pause.code) continue;
      paused.set(channel, pause.code);
      const { code, reason, nextCheckAt } = pause;
      log.warn({ channel, code, reason, next_check_at: new Date(nextCheckAt).toISOString() }, 'resync paused');
    }
    for (const channel of paused.keys()) {
      if (channels.has(channel)) continue;
      paused.delete(channel);
      log.info({ channel }, 'resync resumed');
    }
  };

  return startLoop({ turn, onError, idleMs: IDLE_MS, effects });
}
