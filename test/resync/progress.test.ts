import { describe, expect, it } from 'vitest';
import type { Channel } from '../../src/model.js';
import { progressOf } from '../../src/resync/progress.js';
import type { Progress } from '../../src/resync/progress.js';
import type { CallUnderWay } from '../../src/whapi/callers.js';
import { channel, HOUR, MINUTE, SECOND, START } from '../support/store.js';
import type { ResyncProgress, ResyncView } from '../../src/store/resyncs.js';

const NONE = { queued: 0, requesting: 0, waiting: 0, restored: 0, not_restored: 0, failed: 0, cancelled: 0 };
const INTERVALS = { spacingMs: SECOND };

/** A resync whose calls take 15 seconds, and whose messages are back a minute after their call. */
function run(
  counts: Partial<ResyncView['counts']>,
  more: Partial<ResyncProgress> = {},
  settings: Partial<Channel> = {},
  underWay: CallUnderWay | null = null,
): Progress {
  const progress: ResyncProgress = {
    ...{ channel: channel('main', settings), callsToday: 0, lastCallAt: START, healthyAt: START, failures: 0 },
    ...{ pause: null, settledLately: 20, latelyMs: 5 * MINUTE, callMs: 15 * SECOND, restoreMs: MINUTE },
    ...{ lastAskedAt: START, ahead: 0, ...more },
  };
  const view: ResyncView = {
    ...{ id: 'rsy_1', channel: 'main', status: 'running', counts: { ...NONE, ...counts }, deliverUnseen: false },
    ...{ windowSeconds: 60, createdAt: START - HOUR, finishedAt: null, progress },
  };
  return progressOf(view, INTERVALS, START, underWay);
}

describe('the time that a resync still takes', () => {
  it.each<[string, number | null, Progress]>([
    ['all are to be asked for: a call and a pause each, and the last one to come back', 1660, run({ queued: 100 })],
    ['the one being asked for counts as well', 76, run({ requesting: 1 })],
    ['the channel has a spacing of its own', 2560, run({ queued: 100 }, {}, { resyncSpacingMs: 10_000 })],
    ['ids of earlier resyncs go first', 3260, run({ queued: 100 }, { ahead: 100 })],
    ['all were asked for, and the last has still to come', 40, run({ waiting: 3 }, { lastAskedAt: START - 20_000 })],
    ['the rest has not come in the usual time', null, run({ waiting: 3 }, { lastAskedAt: START - HOUR })],
    ['no call was answered yet', null, run({ queued: 100 }, { callMs: null })],
    ['no message came back yet', 1600, run({ queued: 100 }, { restoreMs: null })],
    ['the budget lasts', 1660, run({ queued: 100 }, {}, { dailyCallBudget: 100 })],
    [
      'the budget ends today: the rest is asked for on the days after',
      ((12 + 2 * 24) * HOUR) / SECOND + 5 * 16 + 60,
      run({ queued: 30 }, { callsToday: 5 }, { dailyCallBudget: 10 }),
    ],
  ])('where %s: %o s', (_, expected, { etaSeconds }) => {
    expect(etaSeconds).toBe(expected);
  });

  it('is not known while the channel pauses, and the pause is shown', () => {
    const pause = { code: 'not_ready', reason: 'QR', since: START, nextCheckAt: START + MINUTE } as const;
    expect(run({ queued: 9 }, { pause })).toMatchObject({ pause, etaSeconds: null });
  });

  it('is known where only the budget of the day makes it pause', () => {
    const { pause, etaSeconds } = run({ queued: 1 }, { callsToday: 10 }, { dailyCallBudget: 10 });
    expect([pause?.code, etaSeconds]).toEqual(['budget', (12 * HOUR) / SECOND + 16 + 60]);
  });
});

describe('a call of somebody else that is under way', () => {
  const other = (by: CallUnderWay['by'], queued = 1) =>
    run({ queued, waiting: 1 }, {}, {}, { by, since: START - SECOND, until: START + MINUTE }).pause;

  it('is named where ids wait to be asked for', () => {
    const reason = expect.stringContaining('an audit or a seeding') as unknown;
    expect(other('audit')).toEqual({
      ...{ code: 'other_call', reason, since: START - SECOND, nextCheckAt: START + MINUTE },
    });
    expect([other('run'), other('client', 0)]).toEqual([null, null]);
  });
});

describe('the rate of a resync', () => {
  it('is that of the last minutes, of messages settled', () => {
    expect(run({ queued: 9 }).ratePerMinute).toBe(4);
    expect(run({ queued: 9 }, { settledLately: 1, latelyMs: 30 * SECOND }).ratePerMinute).toBe(2);
  });

  it('is not known in the first instant', () => {
    expect(run({ queued: 9 }, { settledLately: 0, latelyMs: 0 }).ratePerMinute).toBeNull();
  });
});
