import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../durations.js';
import { counted } from '../quantities.js';
import type { ProbeCopy, ProbeFacts, ProbeView } from '../store/probes.js';
import { hasFailed } from './policy.js';

/** The assumptions of docs/whapi.md that a probe checks. */
export const ASSUMPTIONS = [
  'call',
  'webhook',
  'event',
  'count',
  'soon',
  'same_id',
  'same_chat',
  'same_time',
  'same_content',
  'plain_get',
  'held',
] as const;
export type Assumption = (typeof ASSUMPTIONS)[number];

export interface Finding {
  readonly assumption: Assumption;
  /** What the gateway assumes. */
  readonly text: string;
  /** Null: the probe could not tell, or not yet. */
  readonly holds: boolean | null;
  /** What was seen. No personal data. */
  readonly observed: string;
  /** What a deviation means, and what to do; null where there is none. */
  readonly meaning: string | null;
}

/** Longer than this is not "a few minutes" any more. */
const SOON_MS = 10 * MINUTE_MS;

/** What a check saw; `meaning` is for one that does not hold. */
interface Observation {
  readonly holds: boolean | null;
  readonly observed: string;
  readonly meaning?: string;
}

interface Check {
  readonly text: string;
  readonly look: (probe: ProbeView) => Observation;
}

const NO_WEBHOOK: Observation = { holds: null, observed: 'no webhook to look at' };

/** What has not come says nothing while the probe runs, or if it was cancelled: it may still come. */
const notYet = ({ finishedAt, facts }: ProbeView): false | null =>
  finishedAt === null || facts.isCancelled ? null : false;

const CHECKS: Readonly<Record<Assumption, Check>> = {
  call: { text: 'Whapi answers the call with resync=true within a minute, with 200 or 404.', look: lookAtCall },
  webhook: { text: 'A webhook with the message follows.', look: lookForWebhook },
  event: { text: 'The webhook is a messages.post.', look: lookAtEvents },
  count: { text: 'One resync causes one webhook.', look: lookAtCount },
  soon: { text: 'The webhook comes within ten minutes.', look: lookAtDelay },
  same_id: {
    text: 'The message keeps its id.',
    look: comparing('id', 'the same id', 'another id', {
      meaning:
        'The gateway recognizes a restored message by its id. Under another id it is held only if its content was known ' +
        'before (rule 18). Report this; until it is solved, resync only while your bots are off.',
    }),
  },
  same_chat: {
    text: 'The message keeps its chat id.',
    look: comparing('chatId', 'the same chat id', 'another chat id', {
      meaning:
        'Nothing to do: the gateway matches by message id, never by chat. A bot that gets released messages may see the same ' +
        'chat under two ids.',
    }),
  },
  same_time: {
    text: 'The message keeps its timestamp.',
    look: comparing('timestamp', 'the same timestamp', 'another timestamp', {
      meaning:
        'The message looks newer or older than it is. It is recognized all the same; do not rely on age, such as ' +
        'max_age_seconds, for restored messages.',
    }),
  },
  same_content: {
    text: 'The message keeps its content.',
    look: comparing('content', 'the same content', 'other content', {
      meaning: 'Nothing to do: the gateway matches by message id. A released message is the copy, not the original.',
    }),
  },
  plain_get: { text: 'The plain GET answers 200 within ten minutes.', look: lookAtPlainGet },
  held: { text: 'Every copy is recognized as restored.', look: lookAtVerdicts },
};

/** Each assumption, with what the probe has seen of it so far. */
export function findingsOf(probe: ProbeView): Finding[] {
  return ASSUMPTIONS.map((assumption) => {
    const { text, look } = CHECKS[assumption];
    const { holds, observed, meaning } = look(probe);
    return { assumption, text, holds, observed, meaning: holds === false ? (meaning ?? null) : null };
  });
}

/** The assumptions that do not hold. */
export function deviationsOf(probe: ProbeView): Assumption[] {
  return findingsOf(probe).flatMap(({ assumption, holds }) => (holds === false ? [assumption] : []));
}

/** The result in one sentence. */
export function summaryOf(probe: ProbeView): string {
  const { facts, finishedAt } = probe;
  if (finishedAt === null) return facts.call === null ? 'Waiting for the calls to Whapi.' : 'Watching for webhooks.';
  if (facts.isCancelled) return cancelledText(probe, finishedAt);
  if (hasFailed(facts)) return `The probe could not be made: ${failureOf(facts)}`;
  return resultText(probe);
}

function cancelledText(probe: ProbeView, finishedAt: number): string {
  const cancelled = `The probe was cancelled after ${durationText(finishedAt - probe.startedAt)}`;
  return probe.facts.call === null
    ? `${cancelled}, before the resync. No assumption could be checked.`
    : `${cancelled}. ${resultText(probe)}`;
}

function resultText(probe: ProbeView): string {
  const findings = findingsOf(probe);
  const [bad, unknown] = [false, null].map((holds) => findings.filter((each) => each.holds === holds).length);
  const open = unknown ? ` ${counted(unknown, 'assumption')} could not be checked.` : '';
  if (bad)
    return `${counted(bad, 'assumption')} of ${findings.length} ${bad === 1 ? 'does' : 'do'} not hold on this channel.${open}`;
  return `${unknown ? 'Every assumption that could be checked holds' : 'All assumptions hold'} on this channel.${open}`;
}

function failureOf({ before, call }: ProbeFacts): string {
  const last = call ?? before;
  if (!last) return 'other calls of the channel took all the time. Try again.';
  const said = last.reason ?? 'the time was over before its turn came';
  const fix =
    last.outcome === 'refused'
      ? 'Check that the channel is logged in and its token is right (doctor).'
      : 'Try again later.';
  return `Whapi said: ${said}. ${fix}`;
}

function lookAtCall({ finishedAt, facts: { call } }: ProbeView): Observation {
  if (call === null) return { holds: null, observed: finishedAt === null ? 'not made yet' : 'not made' };
  const took = call.tookMs === null ? '' : ` after ${durationText(call.tookMs)}`;
  switch (call.outcome) {
    case 'found':
    case 'missing':
      return { holds: true, observed: `answered ${call.status ?? '?'}${took}` };
    case 'timeout':
      return {
        ...{ holds: false, observed: `no answer${took}` },
        meaning: 'Nothing to do: the gateway counts the call as made, and waits for the webhook and the plain GET.',
      };
    case 'interrupted':
      return { holds: null, observed: call.reason ?? 'no answer' };
    default:
      return {
        ...{ holds: false, observed: call.status === null ? 'no connection' : `answered ${call.status}${took}` },
        meaning: 'Whapi did not do the resync. See the doctor, then probe again.',
      };
  }
}

function lookForWebhook(probe: ProbeView): Observation {
  const { copies, watchUntil } = probe.facts;
  if (copies.length > 0) return { holds: true, observed: counted(copies.length, 'item') };
  const watched = (probe.finishedAt ?? watchUntil) - probe.startedAt;
  return {
    ...{ holds: notYet(probe), observed: probe.finishedAt === null ? 'none yet' : `none in ${durationText(watched)}` },
    meaning:
      'If the plain GET answers, resyncs work, and the gateway proves them by it. With deliver_unseen ' +
      'bots get nothing: use an audit and release what it finds. One may still come later: it is held for 72 hours.',
  };
}

function lookAtEvents({ facts: { copies } }: ProbeView): Observation {
  if (copies.length === 0) return NO_WEBHOOK;
  const names = [
    ...new Set(copies.map(({ event, carrier }) => (carrier === 'messages' ? event : `${event} (${carrier})`))),
  ];
  return {
    ...{ holds: names.every((name) => name === 'messages.post'), observed: names.join(', ') },
    meaning:
      'Nothing to do: the gateway looks for registered ids in every event that can carry a message. Keep those events subscribed ' +
      'at Whapi for the gateway alone.',
  };
}

function lookAtCount({ facts: { call, copies } }: ProbeView): Observation {
  const webhooks = new Set(copies.map(({ webhookId }) => webhookId)).size;
  if (webhooks === 0) return NO_WEBHOOK;
  // A call that was broken off is repeated, and each may have caused one.
  if (webhooks > 1 && call?.outcome === 'interrupted')
    return { holds: null, observed: `${counted(webhooks, 'webhook')}, perhaps of two calls` };
  return {
    ...{ holds: webhooks === 1, observed: counted(webhooks, 'webhook') },
    meaning: 'Nothing to do: the gateway holds every copy until the window closes, 72 hours after the call.',
  };
}

function lookAtDelay({ facts: { call, copies } }: ProbeView): Observation {
  if (call === null || copies.length === 0) return NO_WEBHOOK;
  const delays = copies.map(({ receivedAt }) => receivedAt - call.at);
  return {
    ...{
      holds: delays.every((ms) => ms <= SOON_MS),
      observed: delays.map((ms) => `after ${durationText(ms)}`).join(', '),
    },
    meaning:
      'Keep window_seconds well above this delay (the default is 72 hours): a copy that comes after the window is a duplicate, ' +
      'and held as well.',
  };
}

function comparing(
  field: 'id' | 'chatId' | 'timestamp' | 'content',
  same: string,
  other: string,
  { meaning }: { readonly meaning: string },
): Check['look'] {
  return ({ facts: { copies, original } }) => {
    if (copies.length === 0) return NO_WEBHOOK;
    const told = copies.map((copy) => copy[field]).filter((isSame) => isSame !== null);
    if (told.length === 0)
      return { holds: null, observed: original === null ? 'no original to compare with' : 'the message has none' };
    const differing = told.filter((isSame) => !isSame).length;
    if (differing === 0) return { holds: true, observed: same };
    return { holds: false, observed: told.length > 1 ? `${other} in ${differing} of ${told.length}` : other, meaning };
  };
}

function lookAtPlainGet(probe: ProbeView): Observation {
  const { call, foundAt, gets, before } = probe.facts;
  if (call === null) return { holds: null, observed: probe.finishedAt === null ? 'not asked yet' : 'not asked' };
  const known = before?.outcome === 'found' ? '; Whapi had it before, too' : '';
  const meaning =
    'The gateway cannot prove by reading that a message is back, and waits for its webhook. Resyncs end as not_restored if ' +
    'neither comes.';
  if (foundAt === null) return { holds: notYet(probe), observed: `404 in ${counted(gets, 'plain GET')}`, meaning };
  const after = foundAt - call.at;
  return { holds: after <= SOON_MS, observed: `200 after ${durationText(after)}${known}`, meaning };
}

function lookAtVerdicts({ facts: { copies } }: ProbeView): Observation {
  if (copies.length === 0) return NO_WEBHOOK;
  const sent = copies.reduce((sum, { deliveries }) => sum + deliveries, 0);
  const deliveries = sent === 0 ? '' : `; ${counted(sent, 'delivery', 'deliveries')}`;
  if (copies.every(({ verdict }) => verdict === 'restored')) {
    const wanted = sent === 0 ? '' : ' to targets that take restored messages';
    return { holds: true, observed: `${verdictsIn(copies)}${deliveries}${wanted}` };
  }
  return {
    ...{ holds: false, observed: `${verdictsIn(copies)}${deliveries}` },
    meaning: 'The gateway did not recognize the message. Resync only while your bots are off, and report this.',
  };
}

function verdictsIn(copies: readonly ProbeCopy[]): string {
  return [...new Set(copies.map(({ verdict, rule }) => `${verdict} by rule ${rule}`))].join(', ');
}

const UNITS = [
  ['d', DAY_MS],
  ['h', HOUR_MS],
  ['min', MINUTE_MS],
  ['s', SECOND_MS],
] as const;

/** `1 h 5 min`, `15 s`, `0.4 s`. */
export function durationText(ms: number): string {
  if (ms < 10 * SECOND_MS) return `${Math.round(ms / 100) / 10} s`;
  let rest = Math.round(ms / SECOND_MS) * SECOND_MS;
  const parts = UNITS.flatMap(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count > 0 ? [`${count} ${unit}`] : [];
  });
  return parts.slice(0, 2).join(' ');
}
