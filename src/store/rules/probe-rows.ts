import { GatewayError } from '../../errors.js';
import type { ProbeFacts, ProbeView } from '../probes.js';

/** A row of `probes`. */
export interface ProbeRow {
  readonly channel: string;
  readonly message_id: string | null;
  readonly started_at: number;
  readonly finished_at: number | null;
  readonly facts: string;
}

export function probeRowOf({ channel, messageId, startedAt, finishedAt, facts }: ProbeView): ProbeRow {
  return {
    ...{ channel, message_id: messageId, started_at: startedAt, finished_at: finishedAt },
    facts: JSON.stringify(facts),
  };
}

export function probeOf({ channel, message_id, started_at, finished_at, facts }: ProbeRow): ProbeView {
  return {
    ...{ channel, messageId: message_id, startedAt: started_at, finishedAt: finished_at },
    facts: JSON.parse(facts) as ProbeFacts,
  };
}

/** The refusal of a second probe. */
export function probeIsRunning({ channel, facts }: ProbeView): GatewayError {
  return new GatewayError(
    'GW_CONFLICT',
    `A probe of channel "${channel}" is running, until ${new Date(facts.watchUntil).toISOString()} at the latest. Wait for its end.`,
  );
}
