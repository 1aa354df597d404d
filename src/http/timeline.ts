import type { Step } from '../contract/messages.js';
import { LEFT_OUT_STATUSES } from '../model.js';
import type { DeliveryStatus } from '../model.js';
import { iso } from './schemas.js';
import type { Explanation } from '../store/items.js';

/** How `last_error` begins where a delivery ended without an attempt. The label of the step says it. */
const NOT_SENT = /^Not sent: /;
const UNSENT: ReadonlySet<DeliveryStatus> = new Set(['expired', ...LEFT_OUT_STATUSES]);

type TimedStep = Step & { ms: number };

/** What a person reads first: one line for each thing that happened, oldest first. */
export function timelineOf(found: Explanation): Step[] {
  const steps: TimedStep[] = [];
  const add = (ms: number | null, kind: TimedStep['kind'], text: string): void => {
    if (ms !== null) steps.push({ ms, at: iso(ms), kind, text });
  };
  for (const { seenAt, event, verdict, rule, held, auditId } of found.sightings) {
    const how = auditId === null ? `received in a ${event} webhook` : `released by audit ${auditId}, not by a webhook`;
    add(seenAt, 'sighting', `${how}: ${verdict} by rule ${rule}${held ? ', held' : ''}`);
  }
  add(found.ledger?.seededAt ?? null, 'seeded', "found in Whapi's list by a seeding: counts as known an hour later");
  for (const { auditId, foundAt } of found.audits) {
    add(foundAt, 'found', `audit ${auditId} found it at Whapi: no webhook had carried it`);
  }
  for (const { resyncId, registeredAt, askedAt, restoredAt, calls, error } of found.resyncs) {
    add(registeredAt, 'registered', `registered by resync ${resyncId}`);
    add(askedAt, 'asked', `asked Whapi to bring it back (call ${calls})${error === null ? '' : `: ${error}`}`);
    add(restoredAt, 'restored', `restored by resync ${resyncId}`);
  }
  if (found.claim) {
    const { owner, claimedAt, expiresAt } = found.claim;
    add(claimedAt, 'claimed', `claimed by "${owner}" until ${iso(expiresAt)}`);
  }
  for (const { id, target, createdAt, released, log, status, settledAt, lastError } of found.deliveries) {
    if (released) add(createdAt, 'release', `released to target ${target} manually: delivery ${id}`);
    else add(createdAt, 'delivery', `delivery ${id} to target ${target} recorded`);
    for (const { startedAt, status: answer, error } of log) {
      add(startedAt, 'attempt', `delivery ${id} sent: ${error ?? `the target answered ${answer ?? '?'}`}`);
    }
    if (UNSENT.has(status))
      add(settledAt, 'not_sent', `delivery ${id} ${status}: ${lastError?.replace(NOT_SENT, '') ?? ''}`);
  }
  return steps.sort((a, b) => a.ms - b.ms).map(({ at, kind, text }) => ({ at, kind, text }));
}
