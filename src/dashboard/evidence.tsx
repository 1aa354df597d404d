import type { Evidence as EvidenceJson } from '../contract/items.js';
import { Facts } from './facts.js';
import type { Fact } from './facts.js';
import { IdLink } from './links.js';
import { Time } from './time.js';

/** The rows that a verdict rests on: the registration, the first sighting, the item that it repeats, the newest of its chat. */
export function Evidence({ evidence }: { readonly evidence: EvidenceJson }) {
  const facts = [
    evidence.same_as !== null && (['Registered as', <code key="same">{evidence.same_as}</code>] as const),
    ...evidence.registrations.map(registrationOf),
    ...sightingOf(evidence),
    ...earlierOf(evidence),
    ...lateOf(evidence),
    ...replayOf(evidence),
  ];
  if (facts.every((fact) => fact === null || fact === false)) return null;
  return (
    <div class="evidence">
      <Facts facts={facts} />
    </div>
  );
}

function registrationOf(registration: EvidenceJson['registrations'][number]): Fact {
  const { resync, registered_at: at, asked_at: asked, window_closes_at: closes, deliver_unseen: unseen } = registration;
  return [
    'Registered by',
    <span key={resync}>
      <IdLink page="resyncs" id={resync} /> <Time at={at} />, asked <Time at={asked} none="not yet" />
      {closes !== null && (
        <>
          , window closes <Time at={closes} />
        </>
      )}
      {unseen && ', unseen messages are delivered'}
    </span>,
  ];
}

function sightingOf({ first_seen_at: seen, first_webhook: webhook, seeded_at: seeded }: EvidenceJson): Fact[] {
  return [
    seen !== null && [
      'First sighting',
      <span key="first">
        <Time at={seen} /> {webhook !== null && <IdLink page="webhooks" id={webhook} />}
      </span>,
    ],
    seeded !== null && ['Seeded', <Time key="seeded" at={seeded} />],
  ];
}

function earlierOf({ earlier }: EvidenceJson): Fact[] {
  if (earlier === null) return [];
  const { recorded_at: at, webhook } = earlier;
  return [
    [
      'Repeats',
      <span key="earlier">
        the item recorded <Time at={at} /> {webhook !== null && <IdLink page="webhooks" id={webhook} />}
      </span>,
    ],
  ];
}

function lateOf({ late }: EvidenceJson): Fact[] {
  if (late === null) return [];
  return [
    ['Sent', <Time key="sent" at={late.sent_at} />],
    [
      'Newest of its chat',
      <span key="newest">
        sent <Time at={late.newest_sent_at} />, received <Time at={late.newest_received_at} />
      </span>,
    ],
    ['Late after', `${late.late_after_seconds} s`],
  ];
}

function replayOf({ replay }: EvidenceJson): Fact[] {
  if (replay === null) return [];
  return [
    ['Sent', <Time key="sent" at={replay.sent_at} />],
    ['Part of a replay since', <Time key="began" at={replay.began_at} />],
    ['Old after', `${replay.replay_after_seconds} s`],
  ];
}
