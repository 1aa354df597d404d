import { DAY_MS } from '../durations.js';
import { DAMAGE_FIX } from '../errors.js';
import { CHECK_STATUSES } from '../model.js';
import type { Channel, CheckStatus, Target, TargetTest } from '../model.js';
import { findingsOf } from '../probe/findings.js';
import { hasFailed } from '../probe/policy.js';
import { counted, durationText } from '../quantities.js';
import type { ProbeView } from '../store/probes.js';
import type { ChannelTraffic, Replay } from '../store/traffic.js';

/** The result of one check. */
export interface Check {
  /** The kind of check: stable, for scripts. */
  readonly name: string;
  /** What was checked: a channel, a target, the store … */
  readonly subject: string;
  readonly status: CheckStatus;
  /** What was found. */
  readonly message: string;
  /** What to do; null if nothing. */
  readonly fix: string | null;
}

/** By the code of a refusal: whether anyone on the internet can cause it, and what to do. */
const REFUSALS: ReadonlyMap<string, readonly [boolean, string]> = new Map([
  ['GW_UNAUTHORIZED', [true, 'If Whapi sent them, its webhook secret is wrong: set it with "channels connect".']],
  ['GW_RATE_LIMITED', [true, 'Raise WEBHOOK_RATE_PER_SECOND, or find out who sends webhooks with a wrong secret.']],
  ['GW_BAD_JSON', [false, 'Check the proxies between Whapi and the gateway: the bodies are not JSON.']],
  [
    'GW_TOO_LARGE',
    [false, 'Raise MAX_BODY_BYTES, or check what sends it: the log line "webhook refused" names the limit.'],
  ],
  [
    'GW_CHANNEL_MISMATCH',
    [
      false,
      'Add one channel here for each Whapi channel. If the number was moved, PATCH its channel with { "channel_id": null }.',
    ],
  ],
  [
    'GW_STORE_UNAVAILABLE',
    [false, 'The database did not accept writes: check its disk and, with PostgreSQL, its log.'],
  ],
  ['GW_OVERLOADED', [false, 'Raise MAX_PENDING_BYTES, or use a faster disk: webhooks wait for their commit.']],
]);

const MIB = 1024 * 1024;
const LEAST_BYTES = 100 * MIB;
const FEW_BYTES = 1024 * MIB;
/** Whapi reports whole seconds, and its answer takes a while to arrive. */
const TOLERATED_SKEW_MS = 30_000;

/** What each state of a channel means (docs/whapi.md, Health). */
const STATES: ReadonlyMap<string, readonly [CheckStatus, string, string | null]> = new Map([
  ['AUTH', ['ok', 'logged in and running', null]],
  ['NOT_INIT', ['warn', 'not started', 'Start it in the Whapi panel.']],
  ['INIT', ['warn', 'starting', 'Wait a minute, then run the doctor again.']],
  ['LAUNCH', ['warn', 'starting', 'Wait a minute, then run the doctor again.']],
  ['QR', ['fail', 'not logged in to WhatsApp', 'Scan the QR code in the Whapi panel with the phone.']],
  ['SYNC_ERROR', ['fail', 'unable to read chats and messages', 'Log the channel out and in again in the Whapi panel.']],
  ['STOP', ['fail', 'stopped, perhaps unpaid', 'Check the subscription in the Whapi panel.']],
  ['ERROR', ['fail', 'in an error state', 'Restart the channel in the Whapi panel.']],
]);

const STORE_FIX =
  'SQLite: check the disk and the permissions of the database file. PostgreSQL: check that the server runs, is the primary, and has space on its disk.';

export function storeCheck(refusal: string | null): Check {
  const at = { name: 'store', subject: 'store' };
  if (refusal === null) return { ...at, status: 'ok', message: 'The store accepts writes.', fix: null };
  return { ...at, status: 'fail', message: refusal, fix: STORE_FIX };
}

/** `damage`: what the check after the start found in the store; null if nothing was found. */
export function damageCheck(damage: string | null): Check | null {
  if (damage === null) return null;
  return {
    name: 'damage',
    subject: 'store',
    status: 'fail',
    message: `The database is damaged (${damage}). Operations that meet the damage are refused with 503.`,
    fix: DAMAGE_FIX,
  };
}

/** `freeBytes`: on the disk of the database. */
export function diskCheck(freeBytes: number): Check {
  const free =
    freeBytes < FEW_BYTES ? `${Math.floor(freeBytes / MIB)} MiB` : `${Math.floor(freeBytes / MIB / 1024)} GiB`;
  const status = freeBytes < LEAST_BYTES ? 'fail' : freeBytes < FEW_BYTES ? 'warn' : 'ok';
  const fix =
    status === 'ok'
      ? null
      : 'Free up disk space: on a full disk, webhooks are answered 503 and Whapi retries them later.';
  return { name: 'disk', subject: 'store', status, message: `${free} free on the disk of the database.`, fix };
}

/** `skewMs`: how far this machine's clock is ahead of Whapi's. */
export function clockCheck(skewMs: number): Check {
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  const isRight = Math.abs(skewMs) <= TOLERATED_SKEW_MS;
  return {
    name: 'clock',
    subject: 'machine',
    status: isRight ? 'ok' : 'warn',
    message: isRight
      ? "The clock agrees with Whapi's."
      : `The clock is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} Whapi's.`,
    fix: isRight ? null : 'Synchronize the clock (NTP): signatures and the age of messages depend on it.',
  };
}

/** `state`: `status.text` of the channel's health at Whapi. */
export function healthCheck(channel: string, state: string): Check {
  const [status, meaning, fix] = STATES.get(state) ?? ['warn', 'in an unknown state', null];
  return { name: 'whapi', subject: channel, status, message: `The channel is ${meaning} at Whapi (${state}).`, fix };
}

/** Whapi could not be asked about the channel. */
export function whapiFailure(channel: string, message: string): Check {
  return { name: 'whapi', subject: channel, status: 'fail', message, fix: null };
}

/** `changes`: what connecting would change at Whapi. */
export function webhookCheck(
  channel: string,
  { isConnected, changes }: { isConnected: boolean; changes: readonly string[] },
): Check {
  const at = { name: 'webhook', subject: channel };
  if (changes.length === 0)
    return { ...at, status: 'ok', message: "The webhook's settings at Whapi are right.", fix: null };
  return {
    ...at,
    status: isConnected ? 'warn' : 'fail',
    message: isConnected
      ? `Connecting would change settings at Whapi: ${changes.join('; ')}.`
      : "The gateway's webhook is not set at Whapi.",
    fix: `Connect it: POST /v1/channels/${channel}/connect, or "channels connect ${channel}".`,
  };
}

export function lastWebhookCheck(channel: string, at: number | null, now: number): Check {
  const name = 'last_webhook';
  if (at !== null)
    return {
      name,
      subject: channel,
      status: 'ok',
      message: `The last webhook arrived ${durationText(now - at)} ago.`,
      fix: null,
    };
  const fix = `Send a message to the number. If no webhook arrives, test the connection with "channels connect ${channel}".`;
  return { name, subject: channel, status: 'warn', message: 'No webhook of this channel is stored.', fix };
}

export interface TargetFacts {
  /** Why its URL is not allowed; null if it is. */
  readonly refusal: string | null;
  /** The result of a test event; null if none was sent. */
  readonly test: TargetTest | null;
  readonly channels: ReadonlySet<string>;
}

/** Reports only the most severe problem of a target. */
export function targetCheck(target: Target, { refusal, test, channels }: TargetFacts): Check {
  const at = { name: 'target', subject: target.name };
  const unknown = target.channels.filter((name) => name !== '*' && !channels.has(name));
  if (refusal !== null) return { ...at, status: 'fail', message: refusal, fix: 'Change its url, or TARGET_NETWORKS.' };
  if (test !== null && test.error !== null) {
    return {
      ...at,
      status: 'fail',
      message: `A test event (${sentOf(test)}) failed: ${test.error}`,
      fix: test.fix ?? `Check that the bot runs at ${target.url}.`,
    };
  }
  if (!target.enabled) {
    const reason = target.disabledReason;
    const state = reason === null ? 'It is disabled' : `The gateway disabled it (${reason})`;
    return {
      ...at,
      status: 'warn',
      message: `${state}: its deliveries wait.`,
      fix: `Enable it: PATCH /v1/targets/${target.id} { "enabled": true }.`,
    };
  }
  if (unknown.length > 0) {
    return {
      ...at,
      status: 'warn',
      message: `Unknown channels: ${unknown.join(', ')}.`,
      fix: 'Add them, or change its channels.',
    };
  }
  const message =
    test === null ? 'Its URL is allowed.' : `It answered a test event (${sentOf(test)}) in ${test.durationMs} ms.`;
  return { ...at, status: 'ok', message, fix: null };
}

function sentOf({ event, method, path }: TargetTest): string {
  return `${event} at ${method} ${path}`;
}

/** Null if no webhook was refused today (UTC). */
export function refusedCheck(
  channel: string,
  { lastWebhookAt, refused: { today, lastAt, lastCode } }: Pick<ChannelTraffic, 'lastWebhookAt' | 'refused'>,
  now: number,
): Check | null {
  if (today === 0 || lastAt === null || lastCode === null) return null;
  const [isForeign, fix] = REFUSALS.get(lastCode) ?? [false, 'See the log: "webhook refused" says why.'];
  const isLatest = lastWebhookAt === null || lastWebhookAt < lastAt;
  return {
    name: 'refused',
    subject: channel,
    status: isLatest && !isForeign ? 'fail' : 'warn',
    message: `${counted(today, 'webhook')} refused today, the last one ${durationText(now - lastAt)} ago with ${lastCode}.`,
    fix,
  };
}

/** A replay that began within this time is worth a warning. */
const REPLAY_WARN_MS = DAY_MS;

/** Null if no replay was noticed lately. */
export function replayCheck({ name, onReplay }: Channel, replay: Replay | null, now: number): Check | null {
  if (replay === null || now - replay.lastAt > REPLAY_WARN_MS) return null;
  const { messages, held, beganAt, oldestSentAt } = replay;
  const oldest = durationText(beganAt - oldestSentAt * 1000);
  return {
    name: 'replay',
    subject: name,
    status: 'warn',
    message:
      `${counted(messages, 'unrequested old message')} came together ${durationText(now - beganAt)} ago, the oldest ` +
      `sent ${oldest} before. ${held === 0 ? 'They were delivered.' : `${held} of them are held.`}`,
    fix:
      onReplay === 'hold'
        ? `List them: "held --channel ${name} --rule 19", or GET /v1/items?channel=${name}&rule=19&held=true. Release those that are genuine.`
        : `To hold such messages: "channels set ${name} --on-replay hold", or PATCH /v1/channels/${name} { "on_replay": "hold" }. ` +
          'Check full_history in the settings at Whapi.',
  };
}

/**
 * One warning per assumption about Whapi that does not hold on the channel, by its last probe. Empty if it was never probed, or
 * if the probe could not be made: then nothing is known, and `whapi` says what is wrong with the channel.
 */
export function probeChecks(channel: string, probe: ProbeView | null, now: number): Check[] {
  if (probe === null || hasFailed(probe.facts)) return [];
  const ago = durationText(now - probe.startedAt);
  return findingsOf(probe)
    .filter(({ holds }) => holds === false)
    .map(({ text, observed, meaning }) => ({
      name: 'probe',
      subject: channel,
      status: 'warn',
      message: `${text} This does not hold on the channel. A probe ${ago} ago saw: ${observed}.`,
      fix: meaning,
    }));
}

export function noneConfigured(name: 'channels' | 'targets'): Check {
  return name === 'channels'
    ? {
        name,
        subject: name,
        status: 'warn',
        message: 'There is no channel.',
        fix: 'Add one: "channels add <name>", or POST /v1/channels.',
      }
    : {
        name,
        subject: name,
        status: 'warn',
        message: 'There is no target: webhooks are stored and go nowhere.',
        fix: 'Add your bot: "targets add <name> <url>", or POST /v1/targets.',
      };
}

export function worstOf(checks: readonly Check[]): CheckStatus {
  return CHECK_STATUSES.findLast((status) => checks.some((check) => check.status === status)) ?? 'ok';
}
