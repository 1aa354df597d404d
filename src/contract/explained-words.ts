import type { Evidence } from './items.js';
import type { Explanation, Sighting, Step } from './messages.js';

/** The words of an explanation, for the dashboard and the command line. Types of the schemas only: a browser loads it. Pure. */

/** A part of a sentence. Each reader has its own way to show a time, or to lead to a thing. */
export type Piece =
  | string
  /** ISO 8601; `none` stands for null. */
  | { readonly at: string | null; readonly none?: string }
  | { readonly id: string; readonly page: 'resyncs' | 'audits' | 'webhooks' }
  | { readonly status: string };

export type WordedFact = readonly [label: string, value: readonly Piece[]];

const LABELS: Readonly<Record<Step['kind'], string>> = {
  registered: 'Registered',
  asked: 'Asked',
  restored: 'Came back',
  sighting: 'Judged',
  seeded: 'Seeded',
  found: 'Found missing',
  delivery: 'Queued',
  release: 'Released',
  attempt: 'Sent',
  not_sent: 'Not sent',
  claimed: 'Claimed',
};

/** A step as its label, and its text without the word that the label says already. */
export function labelledStep({ kind, text }: Step): readonly [label: string, text: string] {
  const label = LABELS[kind];
  const said = `${label.toLowerCase()} `;
  return [label, text.startsWith(said) ? text.slice(said.length) : text];
}

const NOT_SENT = 'Not sent: ';

/** The last error of a delivery as a label and the text: the reason, where it was left out or expired, is no error. */
export function labelledReason(lastError: string): readonly [label: string, text: string] {
  return lastError.startsWith(NOT_SENT)
    ? [LABELS.not_sent, lastError.slice(NOT_SENT.length)]
    : ['Last error', lastError];
}

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
] as const;

/** The exact length of a setting: `5 d`, `1 h 30 min`. */
export function lengthText(seconds: number): string {
  let rest = seconds;
  const parts = UNITS.flatMap(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count > 0 ? [`${count} ${unit}`] : [];
  });
  return parts.join(' ') || '0 s';
}

/** The rows that a verdict rests on: the registration, the first sighting, the item that it repeats, the newest of its chat. */
export function evidenceFacts(evidence: Evidence): WordedFact[] {
  return [
    ...sameAs(evidence),
    ...evidence.registrations.map(registrationOf),
    ...sightingOf(evidence),
    ...earlierOf(evidence),
    ...lateOf(evidence),
    ...replayOf(evidence),
  ];
}

function sameAs({ same_as: id }: Evidence): WordedFact[] {
  return id === null ? [] : [['Registered as', [id]]];
}

function registrationOf(registration: Evidence['registrations'][number]): WordedFact {
  const { resync, registered_at: at, asked_at: asked, window_closes_at: closes, deliver_unseen: unseen } = registration;
  return [
    'Registered by',
    [
      ...[{ page: 'resyncs', id: resync } as const, ' ', { at }, ', asked ', { at: asked, none: 'not yet' }],
      ...(closes === null ? [] : [', window closes ', { at: closes }]),
      ...(unseen ? [', unseen messages are delivered'] : []),
    ],
  ];
}

function sightingOf({ first_seen_at: seen, first_webhook: webhook, seeded_at: seeded }: Evidence): WordedFact[] {
  const facts: WordedFact[] = [];
  if (seen !== null) facts.push(['First sighting', [{ at: seen }, ...webhookAfter(webhook)]]);
  if (seeded !== null) facts.push(['Seeded', [{ at: seeded }]]);
  return facts;
}

function earlierOf({ earlier }: Evidence): WordedFact[] {
  if (earlier === null) return [];
  return [['Repeats', ['the item recorded ', { at: earlier.recorded_at }, ...webhookAfter(earlier.webhook)]]];
}

const webhookAfter = (id: string | null): Piece[] => (id === null ? [] : [' ', { page: 'webhooks', id }]);

function lateOf({ late }: Evidence): WordedFact[] {
  if (late === null) return [];
  return [
    ['Sent', [{ at: late.sent_at }]],
    ['Newest of its chat', ['sent ', { at: late.newest_sent_at }, ', received ', { at: late.newest_received_at }]],
    ['Late after', [lengthText(late.late_after_seconds)]],
  ];
}

function replayOf({ replay }: Evidence): WordedFact[] {
  if (replay === null) return [];
  return [
    ['Sent', [{ at: replay.sent_at }]],
    ['Part of a replay since', [{ at: replay.began_at }]],
    ['Old after', [lengthText(replay.replay_after_seconds)]],
  ];
}

/** What became of a message, in a few sentences. The newest verdict stands before them. */
export function summaryOf({ sightings, deliveries, resyncs, ledger }: Explanation): Piece[] {
  const newest = sightings.at(-1);
  if (newest === undefined) {
    return [`No webhook has carried this message yet.${resyncs.length > 0 ? ' A resync is asking for it.' : ''}`];
  }
  const delivered = deliveries.filter(({ status }) => status === 'delivered').length;
  const isSent = deliveries.length > 0;
  const seen = ledger?.first_seen_at ?? null;
  return [
    `${capitalized(newest.reason)}. `,
    newest.held && isSent ? 'At least one target that subscribes to it did not get it. ' : '',
    isSent
      ? `${delivered} of ${deliveries.length} deliveries succeeded${othersOf(deliveries)}.`
      : 'Not sent to any target.',
    ...(seen === null ? [] : [' First seen ', { at: seen }, '.']),
  ];
}

/** ` (1 pending, 2 superseded)`. */
function othersOf(deliveries: Explanation['deliveries']): string {
  const counts = new Map<string, number>();
  for (const { status } of deliveries) if (status !== 'delivered') counts.set(status, (counts.get(status) ?? 0) + 1);
  const words = [...counts].map(([status, count]) => `${count} ${status}`);
  return words.length === 0 ? '' : ` (${words.join(', ')})`;
}

const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const times = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** Where a sighting stands. */
export function placeOf({ carrier, position, event, webhook }: Sighting): Piece[] {
  const place = carrier === '' ? 'the body' : `${carrier}[${position}]`;
  return [`${place} of ${event} in webhook `, { page: 'webhooks', id: webhook }];
}

/** Resyncs and audits that know a message. */
export function runsOf({ resyncs, audits }: Explanation): Piece[][] {
  return [
    ...resyncs.map(({ resync, status, calls, polls, window_closes_at: closes }): Piece[] => [
      ...[
        { page: 'resyncs', id: resync } as const,
        ' ',
        { status },
        `: ${times(calls, 'call')}, ${times(polls, 'poll')}`,
      ],
      ...(closes === null ? [] : [', window closes ', { at: closes }]),
    ]),
    ...audits.map(({ audit, found_at: foundAt, released_at: releasedAt }): Piece[] => [
      ...[{ page: 'audits', id: audit } as const, ' found it missing ', { at: foundAt }],
      ...(releasedAt === null ? [] : [' and released it ', { at: releasedAt }]),
    ]),
  ];
}
