import { describe, expect, it } from 'vitest';
import { audit, auditIsOver, DAYS, missingIn, seed, startAudits, storeHistory } from '../support/audit.js';
import type { AuditStage } from '../support/audit.js';
import { idsSentTo } from '../support/delivery.js';
import { textMessage, textWebhook } from '../support/texts.js';
import type { Text } from '../support/texts.js';

const COUNT = 50_000;
const CROWDED = 1500;
const STEP_SECONDS = (DAYS * 86_400) / COUNT;
const HOUR_MS = 3_600_000;
/** Whapi fails for part of the calls with these numbers. */
const TROUBLES = [
  { from: 20, to: 23, status: 500 },
  { from: 50, to: 54, status: 429 },
] as const;

/** Fifty thousand messages over thirty days, fifteen hundred of them within one second. */
function history(begun: number): Text[] {
  return Array.from({ length: COUNT }, (_, at) => {
    const isInCrowd = at >= 20_000 && at < 20_000 + CROWDED;
    return {
      id: `h-${at}`,
      chat: `chat-${at % 100}`,
      at: begun + Math.floor((isInCrowd ? 20_000 : at) * STEP_SECONDS),
    };
  });
}

/** Every 997th never came, and neither did those of half an hour. */
function isMissing({ id }: Text): boolean {
  const at = Number(id.slice(2));
  return at % 997 === 0 || (at >= 30_000 && at < 30_035);
}

/** Whapi fails for some calls, and each of `things` happens at its call. */
function play({ whapi }: AuditStage, things: Readonly<Record<number, () => void>>): (call: number) => void {
  return (call) => {
    whapi.faults.restStatus = TROUBLES.find(({ from, to }) => call >= from && call < to)?.status ?? null;
    things[call]?.();
  };
}

describe('a history of fifty thousand messages, while messages arrive and Whapi fails', () => {
  it('an audit finds exactly the missing ones, across a restart', async () => {
    const stage = await startAudits();
    const { whapi, begun, clock } = stage;
    const texts = history(begun);
    await storeHistory(stage, texts, isMissing);
    const restarted = new Promise<void>((resolve, reject) => {
      stage.onList = play(stage, {
        10: () => whapi.receive(textMessage({ id: 'live', at: Math.floor(clock.now() / 1000) + 5 })),
        30: () => whapi.receive(textMessage({ id: 'offline', at: begun + 10_000 })),
        40: () => whapi.store(textMessage({ id: 'late-and-lost', at: begun + 20_000 })),
        70: () => void stage.restart().then(resolve, reject),
        90: () => whapi.receive(textMessage({ id: 'ahead', at: begun + 2_500_000 })),
      });
    });
    const id = await audit(stage);
    await restarted;
    const { status, counts, round, error } = await auditIsOver(stage, id);
    const missing = [...texts.filter(isMissing).map((text) => text.id), 'late-and-lost'];
    expect({ status, error, round, listsAtOnce: whapi.mostListsAtOnce }).toEqual({
      ...{ status: 'finished', error: null, round: 2, listsAtOnce: 1 },
    });
    expect(counts).toMatchObject({
      ...{ whapi_has: COUNT + 3, seen: COUNT + 3 - missing.length, never_came: missing.length },
    });
    expect((await missingIn(stage, id)).sort()).toEqual(missing.sort());
  }, 60_000);

  it('a seeding records exactly the unknown ids, and hides no message on its way', async () => {
    const stage = await startAudits();
    const { whapi, begun, clock, bot } = stage;
    const texts = history(begun);
    await storeHistory(stage, texts, (text) => Number(text.id.slice(2)) >= 500);
    await stage.gateway.settled();
    const before = bot.requests.length;
    const onItsWay = { id: 'on-its-way', at: Math.floor(clock.now() / 1000) - 5 };
    const offline = { id: 'offline', at: begun + 2_000_000 };
    for (const text of [onItsWay, offline]) whapi.store(textMessage(text)); // Whapi lists them, and their webhooks come later.
    const restarted = new Promise<void>((resolve, reject) => {
      stage.onList = play(stage, { 70: () => void stage.restart().then(resolve, reject) });
    });
    const id = await seed(stage);
    await restarted;
    const { status, counts } = await auditIsOver(stage, id);
    expect({ status, ...counts }).toMatchObject({ status: 'finished', seen: 500, seeded: COUNT - 500 + 2 });
    expect((await stage.gateway.webhook(textWebhook(onItsWay, offline))).body.verdicts).toEqual({ new: 2 });
    clock.advance(HOUR_MS);
    for (let at = 0; at < COUNT; at += 5000) {
      const { body } = await stage.gateway.webhook(textWebhook(...texts.slice(at, at + 5000)));
      expect(body.verdicts).toEqual({ duplicate: 5000 });
    }
    await stage.gateway.settled();
    expect(bot.requests.slice(before).flatMap(({ ids }) => ids)).toEqual(['on-its-way', 'offline']);
    expect(idsSentTo(bot)).toHaveLength(502);
  }, 60_000);
});
