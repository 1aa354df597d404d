import { describe, expect, it } from 'vitest';
import { probeChecks } from '../../src/doctor/policy.js';
import type { ProbeCall, ProbeCopy, ProbeFacts, ProbeView } from '../../src/store/probes.js';
import { HOUR, MINUTE, SECOND, START } from '../support/store.js';

const MISSING: ProbeCall = { at: START, tookMs: SECOND, status: 404, outcome: 'missing', reason: 'not found' };
const COPY: ProbeCopy = {
  ...{ webhookId: 'w1', position: 0, receivedAt: START + MINUTE, event: 'messages.post', carrier: 'messages' },
  ...{ verdict: 'restored', rule: 3, deliveries: 0 },
  ...{ id: true, chatId: true, timestamp: true, content: true, otherFields: [] },
};

/** What the doctor says three hours after the start of a probe that saw what Whapi documents, apart from these facts. */
function checksOf(facts: Partial<ProbeFacts>, finishedAt: number | null = START + HOUR) {
  const usual: ProbeFacts = {
    ...{ watchUntil: START + 2 * HOUR, before: MISSING, call: MISSING, lastGet: MISSING, gets: 3, message: null },
    ...{ foundAt: START + MINUTE, original: null, originalFrom: null, copies: [COPY] },
  };
  const probe: ProbeView = {
    ...{ channel: 'shop', messageId: 'PRIVATE-ID', startedAt: START, finishedAt, facts: { ...usual, ...facts } },
  };
  return probeChecks('shop', probe, START + 3 * HOUR);
}

describe('the doctor says of a probe', () => {
  it('nothing, if there is none or every assumption holds', () => {
    expect(probeChecks('shop', null, START)).toEqual([]);
    expect(checksOf({})).toEqual([]);
  });

  it('each assumption that does not hold, what was seen, how long ago, and what it means', () => {
    const copies = [COPY, { ...COPY, webhookId: 'w2', id: false }];
    expect(checksOf({ copies })).toEqual([
      {
        ...{ name: 'probe', subject: 'shop', status: 'warn' },
        message: expect.stringMatching(
          /^One resync causes one webhook.* not hold.* 3 hours ago.*: 2 webhooks\.$/,
        ) as string,
        fix: expect.stringMatching(/^Nothing to do: the gateway holds every copy/) as string,
      },
      {
        ...{ name: 'probe', subject: 'shop', status: 'warn' },
        message: expect.stringMatching(/^The message keeps its id.*: another id in 1 of 2\.$/) as string,
        fix: expect.stringMatching(/resync only while your bots are off/) as string,
      },
    ]);
  });

  it('what a running probe has seen so far, and not what may still come', () => {
    expect(checksOf({ copies: [], foundAt: null }, null)).toEqual([]);
    expect(checksOf({ copies: [{ ...COPY, chatId: false }], foundAt: null }, null)).toHaveLength(1);
  });

  it('nothing, if it could not be made: the check of the channel at Whapi says why', () => {
    expect(checksOf({ before: { ...MISSING, outcome: 'refused', status: 401 }, call: null, copies: [] })).toEqual([]);
    expect(checksOf({ call: { ...MISSING, outcome: 'unreachable', status: null }, copies: [] })).toEqual([]);
  });
});
