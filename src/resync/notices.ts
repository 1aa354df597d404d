import type { Effects } from '../effects.js';
import type { Resyncs } from '../ledger/ledger.js';
import type { ResyncView, Views } from '../ledger/views.js';
import type { Log } from '../log.js';
import { startLoop } from '../loop.js';
import type { Loop } from '../loop.js';
import { budgetPause } from '../whapi/pacing.js';

export interface ResyncNoticesOptions {
  readonly ledger: Pick<Resyncs, 'pendingCalls'> & Pick<Views, 'resyncs' | 'resync'>;
  readonly log: Log;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
  readonly onError: (error: unknown) => void;
}

const LOOK_EVERY_MS = 1000;
const IDLE_MS = 60_000;
const PAGE = 10;
/** How far back running resyncs from before the start are looked for. */
const MOST_PAGES = 50;
/** Resyncs looked at in one turn: a look counts the messages of one. */
const MOST_PER_TURN = 20;

/**
 * Logs that a channel's resyncs pause and go on, and that a resync has ended. It looks at what the store says, once a
 * second while a resync runs: a resync ends by a webhook, a call, a window or a person, and none of them waits for the log.
 * Wake it when something was registered.
 */
export function startResyncNotices({ ledger, log, effects, onError }: ResyncNoticesOptions): Loop {
  const running = new Set<string>();
  const paused = new Map<string, string>();
  /** The newest resync that was met; undefined: none was looked for yet. */
  let newest: string | null | undefined;

  const turn = async (): Promise<number | null> => {
    await meetNew();
    for (const id of [...running].slice(0, MOST_PER_TURN)) {
      running.delete(id); // to the end of the queue
      const view = await ledger.resync(id);
      if (view) watch(view);
      await letOthersRun();
    }
    if (running.size === 0 && paused.size === 0) return null;
    await tellPauses();
    return effects.now() + LOOK_EVERY_MS;
  };

  const meetNew = async (): Promise<void> => {
    const isStart = newest === undefined;
    const met = newest ?? null;
    let cursor: string | null = null;
    for (let pages = 0; pages < MOST_PAGES; pages += 1) {
      const page: Awaited<ReturnType<typeof ledger.resyncs>> = await ledger.resyncs({ limit: PAGE, cursor });
      if (pages === 0) newest = page.data[0]?.id ?? null;
      const end = page.data.findIndex(({ id }) => id === met);
      const fresh = end === -1 ? page.data : page.data.slice(0, end);
      for (const view of fresh) if (!isStart || view.status === 'running') watch(view);
      cursor = page.nextCursor;
      if (end !== -1 || cursor === null) return;
      await letOthersRun();
    }
  };

  const watch = ({ id, channel, status, counts }: ResyncView): void => {
    if (status === 'running') {
      running.add(id);
      return;
    }
    log.info({ resync: id, channel, ...counts }, status === 'finished' ? 'resync finished' : 'resync cancelled');
  };

  const tellPauses = async (): Promise<void> => {
    const now = effects.now();
    const channels = new Set<string>();
    for (const calls of await ledger.pendingCalls()) {
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

/** A look counts the messages of a resync: webhooks go between two of them. */
async function letOthersRun(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
