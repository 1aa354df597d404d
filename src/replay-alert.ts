import type { Log } from './log.js';
import type { Observer } from './observer.js';

/** Logs each replay once, when it begins, after `onRecorded`. */
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
