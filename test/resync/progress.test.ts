import { describe, expect, it } from 'vitest';
import type { Channel } from '../../src/model.js';
import { progressOf } from '../../src/resync/progress.js';
import type { Progress } from '../../src/resync/progress.js';
import type { CallUnderWay } from '../../src/whapi/callers.js';
import { channel, HOUR, MINUTE, SECOND, START } from '../support/store.js';
import type { ResyncProgress, ResyncView } from '../../src/store/resyncs.js';

const NONE = { queued: 0, requesting: 0, waiting: 0, restored: 0, not_restored: 0, failed: 0, cancelled: 0 };
const INTERVALS = { spacingMs: SECOND };

/** A resync whose calls take 15 seconds and whose messages return a minute after their call. */
function run(
  counts: Partial<ResyncView['counts']>,
  more: Partial<ResyncProgress> = {},
  settings: Partial<Channel> = {},
  underWay: CallUnderWay | null = null,
): Progress {
  const progress: ResyncProgress = {
    ...{
      channel: channel('main', settings),
      callsToday: 0,
      lastCallAt: START,
      healthyAt: START,
      failures: 0,
      news: [],
    },
    ...{ pause: null, settledLately: 20, latelyMs: 5 * MINUTE, callMs: 15 * SECOND, restoreMs: MINUTE },
    ...{ lastAskedAt: START, ahead: 0, ...more },
  };
  const view: ResyncView = {
    ...{ id: 'rsy_1', channel: 'main', status: 'running', counts: { ...NONE, ...counts }, deliverUnseen: false },
    ...{ windowSeconds: 60, createdAt: START - HOUR, finishedAt: null, progress },
  };
  return progressOf(view, INTERVALS, START, underWay);
}

describe('the estimated remaining time of a resync', () => {
  it.each<[string, number | null, Progress]>([
    ['each id needs a call and a pause, and the last one must come back', 1660, run({ queued: 100 })],
    ['one call is in progress', 76, run({ requesting: 1 })],
    ['the channel has its own spacing', 2560, run({ queued: 100 }, {}, { resyncSpacingMs: 10_000 })],
    ['ids of earlier resyncs come first', 3260, run({ queued: 100 }, { ahead: 100 })],
    ['every call was made and the last message is missing', 40, run({ waiting: 3 }, { lastAskedAt: START - 20_000 })],
    ['the rest has exceeded the usual time', null, run({ waiting: 3 }, { lastAskedAt: START - HOUR })],
    ['no call has been answered yet', null, run({ queued: 100 }, { callMs: null })],
    ['no message has come back yet', 1600, run({ queued: 100 }, { restoreMs: null })],
    ['the daily budget is sufficient', 1660, run({ queued: 100 }, {}, { dailyCallBudget: 100 })],
    [
      'the daily budget is used up and the rest follows on later days',
      ((12 + 2 * 24) * HOUR) / SECOND + 5 * 16 + 60,
      run({ queued: 30 }, { callsToday: 5 }, { dailyCallBudget: 10 }),
    ],
  ])('if %s is %o s', (_, expected, { etaSeconds }) => {
    expect(etaSeconds).toBe(expected);
  });

  it('is unknown while the channel pauses, and the pause is shown', () => {
    const pause = { code: 'not_ready', reason: 'QR', since: START, nextCheckAt: START + MINUTE } as const;
    expect(run({ queued: 9 }, { pause })).toMatchObject({ pause, etaSeconds: null });
  });

  it('is known if only the daily budget causes the pause', () => {
    const { pause, etaSeconds } = run({ queued: 1 }, { callsToday: 10 }, { dailyCallBudget: 10 });
    expect([pause?.code, etaSeconds]).toEqual(['budget', (12 * HOUR) / SECOND + 16 + 60]);
  });
});

describe("another caller's call in flight", () => {
  const other = (by: CallUnderWay['by'], queued = 1) =>
    run({ queued, waiting: 1 }, {}, {}, { by, since: START - SECOND, until: START + MINUTE }).pause;

  it('is named as the pause if ids wait for their call', () => {
    const reason = expect.stringContaining('an audit or a seeding') as unknown;
    expect(other('audit')).toEqual({
      ...{ code: 'other_call', reason, since: START - SECOND, nextCheckAt: START + MINUTE },
    });
    expect([other('run'), other('client', 0)]).toEqual([null, null]);
  });
});

describe('the rate of a resync', () => {
  it('is computed from the messages settled in the last minutes', () => {
    expect(run({ queued: 9 }).ratePerMinute).toBe(4);
    expect(run({ queued: 9 }, { settledLately: 1, latelyMs: 30 * SECOND }).ratePerMinute).toBe(2);
  });

  it('$0.kind: it is queued again, open-ended, and the channel pauses: $1', () => {
    expect(run({ queued: 9 }, { settledLately: 0, latelyMs: 0 }).ratePerMinute).toBeNull();
  });
});
