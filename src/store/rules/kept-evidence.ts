import { RULE } from '../../intake/judge.js';
import type { Judgement } from '../../model.js';
import type { ItemMemory } from './item-memory.js';
import type { EvidenceColumns, Known } from './recording.js';
import type { ReplayEvidence } from '../items.js';

/** The rows of the decision table for bytes of a message that were recorded before. */
export const REPEATED_BYTES: ReadonlySet<number> = new Set([1, 4, 6, 15]);

/** What the verdict of one item was based on, besides its memory. */
export interface JudgedBy extends Judgement {
  readonly lateAfterSeconds: number;
  /** The release of an audit recorded it. */
  readonly recovered: boolean;
  /** Of a repetition (rule 13): when the item that it repeats was recorded. */
  readonly repeatedAt: number | undefined;
  /** Of a message that is held as part of a replay (rule 19). */
  readonly replay: Omit<ReplayEvidence, 'sentAt'> | null;
}

/**
 * The evidence that later webhooks overwrite. For the time between the verdict and the next write. Null: most items, and every
 * new message, have nothing to keep.
 */
export function keptEvidence(
  memory: ItemMemory,
  by: JudgedBy,
  known: Pick<Known, 'fingerprintAt'>,
): Omit<EvidenceColumns, 'webhookId' | 'position'> | null {
  const { timestamp: sentAt } = memory.item;
  if (by.rule === RULE.late && !by.recovered) {
    const newest = memory.newestInChat;
    if (!newest) return null;
    const { lateAfterSeconds } = by;
    return { newestSentAt: newest.timestamp, newestReceivedAt: newest.receivedAt, sentAt, lateAfterSeconds };
  }
  if (by.rule === RULE.anotherId) return { sameAs: memory.original?.item.messageId ?? null };
  if (by.replay) {
    const { beganAt, replayAfterSeconds } = by.replay;
    return { sentAt, replayBeganAt: beganAt, replayAfterSeconds };
  }
  const recordedAt = by.rule === RULE.repeatedEvent ? by.repeatedAt : recordedBefore(memory, by.rule, known);
  return recordedAt === undefined ? null : { recordedAt };
}

/** Undefined: the ledger row has the fingerprint, and the first sighting is the evidence. */
function recordedBefore(memory: ItemMemory, rule: number, known: Pick<Known, 'fingerprintAt'>): number | undefined {
  if (!REPEATED_BYTES.has(rule) || memory.isFingerprintInLedger) return undefined;
  return known.fingerprintAt(memory.fingerprint);
}
