import type { Base } from './base.js';
import { DayPruning } from './day-pruning.js';
import { endedContentFingerprints, oldKeysOf } from './key-pruning.js';
import { endedClaims, oldAudits, oldJobs, oldProbes, oldResyncs } from './run-pruning.js';
import { settledTimes } from './settled-times.js';
import type { SweepPhases } from './sweep-step.js';

/** The phases of a sweep, in order. The name of the current one is stored with the progress. */
export function pruningPhases(base: Base): SweepPhases {
  const { db } = base;
  return new Map([
    ['settled_times', settledTimes(db)],
    ['days', new DayPruning(base).step],
    ['resyncs', oldResyncs(db)],
    ['jobs', oldJobs(db)],
    ['audits', oldAudits(db)],
    ['claims', endedClaims(db)],
    ['probes', oldProbes(db)],
    ['content_fingerprints', endedContentFingerprints(db)],
    ['fingerprints', oldKeysOf(db, { table: 'fingerprints', time: 'recorded_at', limit: 'ledger' })],
    ['objects', oldKeysOf(db, { table: 'objects', time: 'recorded_at', limit: 'object' })],
    ['ledger', oldKeysOf(db, { table: 'ledger', time: 'last_seen_at', limit: 'ledger' })],
    ['chats', oldKeysOf(db, { table: 'chats', time: 'received_at', limit: 'ledger' })],
  ]);
}
