import { GatewayError } from '../../errors.js';
import type { ProbeCall, ProbeFacts, ProbeView } from '../probes.js';

/** A row of `probes`. */
export interface ProbeRow {
  readonly channel: string;
  readonly message_id: string | null;
  readonly started_at: number;
  readonly finished_at: number | null;
  readonly facts: string;
}

/** A probe as a row. */
export function probeRowOf({ channel, messageId, startedAt, finishedAt, facts }: ProbeView): ProbeRow {
  return {
    ...{ channel, message_id: messageId, started_at: startedAt, finished_at: finishedAt },
    facts: JSON.stringify(facts),
  };
}

/** A row as a probe. */
export function probeOf({ channel, message_id, started_at, finished_at, facts }: ProbeRow): ProbeView {
  return {
    ...{ channel, messageId: message_id, startedAt: started_at, finishedAt: finished_at },
    facts: JSON.parse(facts) as ProbeFacts,
  };
}

/** The error for a second probe: GW_CONFLICT. */
export function probeIsRunning({ channel, facts }: ProbeView): GatewayError {
  return new GatewayError(
    'GW_CONFLICT',
    `A probe of channel "${channel}" is running, until ${new Date(facts.watchUntil).toISOString()} at the latest. ` +
      `Wait for its end, or cancel it: "channels probe ${channel} --cancel", or DELETE /v1/channels/${channel}/probe.`,
  );
}

/** A running probe that is cancelled at `at`. @throws GatewayError GW_CONFLICT (it is over) */
export function cancelledProbe(last: ProbeView, at: number, call: ProbeCall | null): ProbeView {
  if (last.finishedAt !== null) {
    throw new GatewayError(
      'GW_CONFLICT',
      `No probe of channel "${last.channel}" is running: the last one ended at ${new Date(last.finishedAt).toISOString()}.`,
    );
  }
  return { ...last, finishedAt: at, facts: { ...last.facts, call: last.facts.call ?? call, isCancelled: true } };
}
