import { expect, it } from 'vitest';
import { decode } from '../../src/intake/decode.js';
import { RULE, verdictOf } from '../../src/intake/judge.js';
import type { Channel } from '../../src/model.js';
import { asRecorded, JudgeAgain } from '../../src/preview/judge-again.js';
import type { PastWebhook } from '../../src/store/history.js';
import { recalled } from '../../src/store/rules/recalled.js';
import { channel, DAY, messages, SECOND, START } from '../support/store.js';

/** A webhook with old messages that were judged by these rules. */
function webhookOf(...rules: readonly number[]): PastWebhook {
  const timestamp = (START - 100 * DAY) / SECOND;
  const items = rules.map((_, at) => ({ id: `m${at}`, type: 'text', chat_id: 'alice', timestamp }));
  const document = decode(Buffer.from(JSON.stringify(messages(...items))), { method: 'POST', suffix: '' });
  return {
    ...{ id: 'w1', channel: 'main', receivedAt: START, document, deliveries: [] },
    items: rules.map((rule, at) => ({
      ...{ id: `itm_${at}`, rule, verdict: verdictOf(rule) ?? 'event', memory: recalled(rule, null), recover: false },
    })),
  };
}

/** The rules by which these items would be judged with changed settings. */
function rulesWith(changes: Partial<Channel>, ...rules: readonly number[]): number[] {
  const before = channel('main', { onReplay: 'deliver', replayMessages: 1 });
  const names = Object.keys(changes);
  const hasLate = names.includes('lateAfterSeconds');
  const change = { before, after: { ...before, ...changes }, hasLate, hasReplays: names.includes('onReplay') };
  const webhook = webhookOf(...rules);
  const again = new JudgeAgain(change, START - DAY);
  return again.judged(webhook, asRecorded(webhook)).map(({ rule }) => rule);
}

/** Registered, known, another id, the first post after a put. */
const UNCHANGED = [RULE.registered, 8, RULE.anotherId, RULE.unposted];

it('holds replays among what was never seen, and leaves everything else as it was judged', () => {
  expect(rulesWith({ onReplay: 'hold' }, ...UNCHANGED, RULE.usual)).toEqual([...UNCHANGED, RULE.replayed]);
  expect(rulesWith({ onReplay: 'deliver' }, ...UNCHANGED, RULE.replayed)).toEqual([...UNCHANGED, RULE.usual]);
});

it('leaves restored messages as they were if only late_after_seconds changes', () => {
  const rules = [...UNCHANGED, RULE.replayed, RULE.usual];
  expect(rulesWith({ lateAfterSeconds: 60 }, ...rules)).toEqual(rules);
});
