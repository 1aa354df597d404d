import {
  evidenceFacts,
  labelledReason,
  labelledStep,
  placeOf,
  runsOf,
  summaryOf,
} from '../contract/explained-words.js';
import type { Piece } from '../contract/explained-words.js';
import type { ExplainedDelivery } from '../contract/deliveries.js';
import type { Explanation, Sighting } from '../contract/messages.js';
import { NAME } from './session.js';

/** An explanation as text: what the dashboard's page shows, in the same words and order. */
export function explanationText(found: Explanation): string {
  const { channel, message_id: id, timeline, sightings, deliveries } = found;
  const runs = runsOf(found);
  return [
    `${id} in channel ${channel}`,
    `${verdictOf(sightings.at(-1))}${worded(summaryOf(found))}`,
    'Timeline',
    ...timeline.map((step) => `  ${step.at}  ${labelledStep(step).join(': ')}`),
    `Sightings (${sightings.length})`,
    ...sightings.toReversed().flatMap(sightingLines),
    ...(runs.length === 0 ? [] : ['Resyncs and audits', ...runs.map((run) => `  ${worded(run)}`)]),
    `Deliveries (${deliveries.length})`,
    ...deliveries.flatMap(deliveryLines),
    ...ledgerLines(found),
    ...releaseLines(sightings),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

function worded(pieces: readonly Piece[]): string {
  return pieces.map(pieceText).join('');
}

function pieceText(piece: Piece): string {
  if (typeof piece === 'string') return piece;
  if ('at' in piece) return piece.at ?? piece.none ?? '–';
  return 'status' in piece ? piece.status.replaceAll('_', ' ') : piece.id;
}

function verdictOf(sighting: Pick<Sighting, 'verdict' | 'rule' | 'held'> | undefined): string {
  if (sighting === undefined) return '';
  return `${sighting.verdict} by rule ${sighting.rule}${sighting.held ? ', held' : ''}: `;
}

function sightingLines(sighting: Sighting): string[] {
  return [
    `  ${sighting.seen_at}  ${verdictOf(sighting)}${sighting.reason}`,
    ...evidenceFacts(sighting.evidence).map(([label, value]) => `    ${label}: ${worded(value)}`),
    `    ${worded(placeOf(sighting))}`,
  ];
}

function deliveryLines(delivery: ExplainedDelivery): string[] {
  const { id, status, target, released, waiting, created_at: recorded, settled_at: settled, log } = delivery;
  const { expires_at: expires, last_error: error } = delivery;
  const facts = [
    `to ${target}, recorded ${recorded}${settled === null ? '' : `, settled ${settled}`}${released ? ', released' : ''}`,
    ...(expires === null ? [] : [`Expires: ${expires}`]),
    ...(error === null ? [] : [labelledReason(error).join(': ')]),
    ...log.map(
      (each) =>
        `${each.started_at}  took ${each.duration_ms} ms, answer ${each.status ?? 'none'}: ${each.error ?? 'delivered'}`,
    ),
  ];
  return [`Delivery ${id} is ${status}${waiting === null ? '' : `: ${waiting}`}.`, ...facts.map((fact) => `  ${fact}`)];
}

function ledgerLines({ ledger }: Explanation): string[] {
  if (ledger === null) return ['Not in the ledger.'];
  const seen = ledger.first_seen_at;
  return [`In the ledger: ${seen === null ? 'requested, but never received' : `first seen ${seen}`}.`];
}

function releaseLines(sightings: readonly Sighting[]): string[] {
  const held = sightings.findLast((sighting) => sighting.held)?.id;
  return held === undefined ? [] : [`Held. To release it to your bots: ${NAME} release ${held}`];
}
