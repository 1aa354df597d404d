import type { Log } from './log.js';
import type { Observer } from './observer.js';

/** Calls `onRecorded`, then logs a replay that this webhook begins. Each replay is logged once. */
export function withReplayAlert(log: Log, onRecorded: Observer['onRecorded']): Observer['onRecorded'] {
  return (webhook) => {
    onRecorded(webhook);
    const { channel, recorded } = webhook;
    if (recorded.replay?.isNew !== true) return;
    const { messages, held, oldestSentAt } = recorded.replay.replay;
    const oldest_sent_at = new Date(oldestSentAt * 1000).toISOString();
    log.warn({ channel, messages, held, oldest_sent_at }, 'unrequested old messages arrived');
  };
}
