import { describe, expect, it } from 'vitest';
import type { Attempt } from '../../src/model.js';
import { appendAttempt, scheduleAfterFailure } from '../../src/store/rules/attempts.js';
import { parseEventName } from '../../src/store/rules/event-names.js';
import { checkExpectedCount } from '../../src/store/rules/jobs.js';
import { mayEndPause } from '../../src/store/rules/pauses.js';
import { recoveredWebhookBody } from '../../src/store/rules/recovered-webhook.js';
import { channel, refusal, sealed } from '../support/store.js';

const NOW = 1000;

describe('the schedule of a delivery after a failed attempt', () => {
  const scheduled = { resumeAt: null, isRetryRequested: false };

  it('continues at the next scheduled time', () => {
    expect(scheduleAfterFailure(scheduled, 1500, NOW)).toEqual({ ...scheduled, dueAt: 1500 });
  });

  it('returns to the time that a manual attempt interrupted, unless that has passed', () => {
    expect(scheduleAfterFailure({ ...scheduled, resumeAt: 9000 }, 1500, NOW)).toEqual({ ...scheduled, dueAt: 9000 });
    expect(scheduleAfterFailure({ ...scheduled, resumeAt: 900 }, 1500, NOW)).toEqual({ ...scheduled, dueAt: 1500 });
  });

  it('starts with an attempt at once when someone requested a retry meanwhile', () => {
    const next = scheduleAfterFailure({ resumeAt: null, isRetryRequested: true }, 1500, NOW);
    expect(next).toEqual({ dueAt: NOW, resumeAt: 1500, isRetryRequested: false });
  });
});

describe('the log of a delivery', () => {
  it('keeps the newest 50 attempts, and the responses of the newest 3', () => {
    const attempt = (startedAt: number): Attempt => {
      return { startedAt, durationMs: 1, status: 500, error: 'no', response: 'busy' };
    };
    let log: Attempt[] = [];
    for (let at = 1; at <= 60; at += 1) log = appendAttempt(log, attempt(at));
    expect(log.map(({ startedAt }) => startedAt)).toEqual(Array.from({ length: 50 }, (_, index) => index + 11));
    expect(log.filter(({ response }) => response !== undefined).map(({ startedAt }) => startedAt)).toEqual([
      58, 59, 60,
    ]);
  });
});

describe('a job with an expected count', () => {
  it('may find a tenth more, and is refused above that', () => {
    expect(() => checkExpectedCount(110, 100)).not.toThrow();
    expect(() => checkExpectedCount(111, undefined)).not.toThrow();
    expect(() => checkExpectedCount(111, 100)).toThrow(refusal('GW_CONFLICT'));
  });
});

describe('a change of a channel', () => {
  it.each([{ whapiToken: sealed('other') }, { whapiBaseUrl: 'https://other.example' }, { dailyCallBudget: 5 }])(
    'of %j may end a pause of its calls',
    (change) => {
      expect(mayEndPause(channel('main'), channel('main', change))).toBe(true);
    },
  );

  it('of other settings does not end a pause', () => {
    expect(mayEndPause(channel('main'), channel('main', { lateAfterSeconds: 5, autoResync: true }))).toBe(false);
  });
});

it('a recovered webhook carries the bytes of its message unchanged', () => {
  const json = Buffer.from('{ "id":"A",  "n":9007199254740993 }');
  expect(recoveredWebhookBody(json, 'MANTIS').toString()).toBe(
    `{"messages":[${json.toString()}],"event":{"type":"messages","event":"post"},"channel_id":"MANTIS"}`,
  );
  expect(recoveredWebhookBody(json, null).toString()).not.toContain('channel_id');
});

it('a stored event name is split at its last dot', () => {
  expect(parseEventName('odd.type.post')).toEqual({ type: 'odd.type', method: 'post' });
});
