import { RULE } from '../../intake/judge.js';
import type { Memory } from '../../intake/judge.js';
import type { LateEvidence } from '../items.js';

/** The rows of the decision table by what they need to be true of an item; every other fact of these rows is false. */
const REGISTERED: ReadonlySet<number> = new Set([RULE.registered, 11, 12]);
const KNOWN: ReadonlySet<number> = new Set([4, 5, 6, 7, 8, 17]);
const RECORDED: ReadonlySet<number> = new Set([1, 4, 6, 13, 15]);

/** What must have been known of an item for it to be judged by this row: the same row applies again. */
export function recalled(rule: number, late: LateEvidence | null): Memory {
  return {
    registered: REGISTERED.has(rule),
    known: KNOWN.has(rule),
    unposted: rule === RULE.unposted,
    recorded: RECORDED.has(rule),
    resembles: rule === RULE.anotherId,
    replayed: rule === RULE.replayed,
    newestInChat: late && { timestamp: late.newestSentAt, receivedAt: late.newestReceivedAt },
  };
}
