import { describe, expect, it } from 'vitest';
import { deliveryOf, idsSentTo, startDelivery } from '../support/delivery.js';
import type { DeliveryStage } from '../support/delivery.js';
import { until } from '../support/intervals.js';
import { message, messages } from '../support/store.js';

/** How a person and a bot meet the policies of a target: real sockets, a real file. */

interface Sent {
  readonly id: string;
  /** How long ago it was sent, in seconds. */
  readonly ago: number;
  readonly chat?: string;
  /** The number itself sent it. */
  readonly mine?: boolean;
}

async function receive({ gateway }: DeliveryStage, ...sent: readonly Sent[]): Promise<void> {
  const now = Math.floor(Date.now() / 1000);
  const items = sent.map(({ id, ago, chat = 'alice', mine = false }) =>
    message(id, chat, { timestamp: now - ago, from_me: mine }),
  );
  expect((await gateway.webhook(JSON.stringify(messages(...items)))).status).toBe(200);
}

/** A target that was disabled while these webhooks came, one message each, and is enabled again. */
async function afterOutage(settings: Record<string, unknown>, ...sent: readonly Sent[]): Promise<DeliveryStage> {
  const stage = await startDelivery({ enabled: false, ...settings });
  for (const each of sent) await receive(stage, each);
  await stage.gateway.call('PATCH', `/v1/targets/${stage.target.id}`, { enabled: true });
  await stage.gateway.settled();
  return stage;
}

async function endOf({ gateway }: DeliveryStage, id: string): Promise<string> {
  const { status, last_error: error } = await deliveryOf(gateway, id);
  return [status, ...(error === null ? [] : [error])].join(': ');
}

async function heldIds({ gateway }: DeliveryStage): Promise<string[]> {
  const { body } = await gateway.call<{ data: { message_id: string }[] }>('GET', '/v1/messages?held=true');
  return body.data.map(({ message_id: id }) => id);
}

describe('the backlog policy', () => {
  it('all, the default, sends every message however late', async () => {
    const { bot } = await afterOutage({}, { id: 'a', ago: 9000 }, { id: 'b', ago: 8000 });
    expect(idsSentTo(bot)).toEqual(['a', 'b']);
  });

  it('newest_per_chat sends the newest message of each chat, and the others end as superseded', async () => {
    const stage = await afterOutage(
      { backlog_policy: 'newest_per_chat' },
      ...[
        { id: 'a1', ago: 9000 },
        { id: 'a2', ago: 8000 },
        { id: 'b1', ago: 7000, chat: 'bob' },
      ],
      ...[{ id: 'a3', ago: 6000 }],
    );
    expect(idsSentTo(stage.bot).sort()).toEqual(['a3', 'b1']);
    expect(await endOf(stage, 'a2')).toMatch(
      /^superseded: Not sent: a newer message of its chat waits\. Its newest message was 80\d\d s old, backlog_after_seconds is 600, and backlog_policy is newest_per_chat\.$/,
    );
    expect(await heldIds(stage)).toEqual(['a2', 'a1']);
  });

  it('newest_per_chat lets a live message supersede the backlog of its chat, and nothing that is younger', async () => {
    const stage = await afterOutage(
      { backlog_policy: 'newest_per_chat' },
      ...[
        { id: 'old', ago: 9000 },
        { id: 'young', ago: 100 },
        { id: 'live', ago: 0 },
      ],
    );
    expect(idsSentTo(stage.bot)).toEqual(['young', 'live']);
    expect(await endOf(stage, 'old')).toMatch(/^superseded/);
  });

  it('newest_per_chat counts no message of the number itself as a newer one', async () => {
    const stage = await afterOutage(
      { backlog_policy: 'newest_per_chat' },
      ...[
        { id: 'question', ago: 9000 },
        { id: 'greeting', ago: 8000, mine: true },
      ],
    );
    expect(idsSentTo(stage.bot)).toEqual(['question', 'greeting']);
  });

  it('hold withholds the backlog, and sends what is younger than backlog_after_seconds', async () => {
    const stage = await afterOutage(
      { backlog_policy: 'hold', backlog_after_seconds: 3600 },
      ...[
        { id: 'old', ago: 4000 },
        { id: 'young', ago: 3000 },
      ],
    );
    expect(idsSentTo(stage.bot)).toEqual(['young']);
    expect(await endOf(stage, 'old')).toMatch(
      /^withheld: Not sent: its newest message was 40\d\d s old, backlog_after_seconds is 3600, and backlog_policy is hold\.$/,
    );
  });

  it('applies to what arrives late at a healthy target, too', async () => {
    const stage = await startDelivery({ backlog_policy: 'hold' });
    await receive(stage, { id: 'old', ago: 4000 });
    await receive(stage, { id: 'live', ago: 0 });
    await stage.gateway.settled();
    expect(idsSentTo(stage.bot)).toEqual(['live']);
    expect(await endOf(stage, 'old')).toMatch(/^withheld/);
  });

  it('sends a batch with a live message in it as it came', async () => {
    const stage = await startDelivery({ backlog_policy: 'hold' });
    await receive(stage, { id: 'old', ago: 4000 }, { id: 'live', ago: 0, chat: 'bob' });
    await stage.gateway.settled();
    expect(idsSentTo(stage.bot)).toEqual(['old', 'live']);
  });

  it('I4: what it left out is sent when a person releases or retries it, with a line in explain', async () => {
    const stage = await afterOutage({ backlog_policy: 'hold' }, { id: 'a', ago: 4000 }, { id: 'b', ago: 4000 });
    const { gateway, bot } = stage;
    const { id } = await deliveryOf(gateway, 'b');
    expect((await gateway.call('POST', '/v1/messages/main/a/release')).status).toBe(202);
    expect((await gateway.call('POST', `/v1/deliveries/${id}/retry`)).status).toBe(202);
    await gateway.settled();
    expect(idsSentTo(bot).sort()).toEqual(['a', 'b']);
    expect(await endOf(stage, 'b')).toMatch(/^delivered/);
    expect(await heldIds(stage)).toEqual([]);
  });

  it('I4: lists and retries what it left out by its status', async () => {
    const stage = await afterOutage({ backlog_policy: 'hold' }, { id: 'a', ago: 4000 }, { id: 'b', ago: 4000 });
    const { gateway, bot } = stage;
    const { body } = await gateway.call<{ data: unknown[] }>('GET', '/v1/deliveries?status=withheld');
    expect(body.data).toHaveLength(2);
    expect((await gateway.call('POST', '/v1/deliveries/retry', { status: 'withheld' })).status).toBe(202);
    await until(() => expect(idsSentTo(bot)).toEqual(['a', 'b']));
  });
});

it('applies again to a dead delivery that a person retries, and no more to the retry of what it left out', async () => {
  const stage = await startDelivery({ max_attempts: 1 });
  const { gateway, bot, target } = stage;
  bot.otherwise = 500;
  await receive(stage, { id: 'a', ago: 4000 });
  await until(async () => expect(await endOf(stage, 'a')).toMatch(/^dead/));
  bot.otherwise = 200;
  await gateway.call('PATCH', `/v1/targets/${target.id}`, { backlog_policy: 'hold' });
  const { id } = await deliveryOf(gateway, 'a');
  await gateway.call('POST', `/v1/deliveries/${id}/retry`);
  await until(async () => expect(await endOf(stage, 'a')).toMatch(/^withheld/));
  await gateway.call('POST', `/v1/deliveries/${id}/retry`);
  await until(async () => expect(await endOf(stage, 'a')).toMatch(/^delivered/));
});

it('a bulk retry of what was left out skips what a person has released since', async () => {
  const stage = await afterOutage({ backlog_policy: 'hold' }, { id: 'a', ago: 4000 }, { id: 'b', ago: 4000 });
  const { gateway, bot } = stage;
  expect((await gateway.call('POST', '/v1/messages/main/a/release')).status).toBe(202);
  await gateway.settled();
  const filter = { status: 'withheld' };
  const survey = await gateway.call('POST', '/v1/deliveries/retry', { ...filter, dry_run: true });
  expect(survey.body).toMatchObject({ count: 1 });
  expect((await gateway.call('POST', '/v1/deliveries/retry', filter)).status).toBe(202);
  await until(() => expect(idsSentTo(bot)).toEqual(['a', 'b']));
});

it('a bulk retry of what was left out skips a message of which a person has released a newer copy since', async () => {
  const old = [
    { id: 'a', ago: 4000 },
    { id: 'b', ago: 4000 },
  ];
  const { gateway, bot } = await afterOutage({ backlog_policy: 'hold' }, ...old, ...old); // Whapi sends each twice
  expect((await gateway.call('POST', '/v1/messages/main/a/release')).status).toBe(202);
  await gateway.settled();
  const filter = { status: 'withheld' };
  const survey = await gateway.call('POST', '/v1/deliveries/retry', { ...filter, dry_run: true });
  expect(survey.body).toMatchObject({ count: 1 });
  expect((await gateway.call('POST', '/v1/deliveries/retry', filter)).status).toBe(202);
  await until(() => expect(idsSentTo(bot)).toEqual(['a', 'b']));
  const { body } = await gateway.call<{ data: unknown[] }>('GET', '/v1/deliveries?status=withheld');
  expect(body.data).toHaveLength(1);
});

describe('skip_answered', () => {
  it('leaves out a message whose chat was answered before the bot could be told', async () => {
    const stage = await afterOutage(
      { skip_answered: true },
      ...[
        { id: 'question', ago: 60 },
        { id: 'answer', ago: 30, mine: true },
        { id: 'next', ago: 10 },
      ],
      { id: 'other', ago: 50, chat: 'bob' },
    );
    expect(idsSentTo(stage.bot).sort()).toEqual(['answer', 'next', 'other']);
    expect(await endOf(stage, 'question')).toBe(
      'answered: Not sent: the number itself has written in its chat since (skip_answered).',
    );
    expect(await heldIds(stage)).toEqual(['question']);
  });

  it('looks at each attempt: an answer that comes while a bot fails counts', async () => {
    const stage = await startDelivery({ skip_answered: true, events: ['messages.post'] });
    stage.bot.otherwise = 500;
    await receive(stage, { id: 'question', ago: 60 });
    await stage.bot.received(1);
    await receive(stage, { id: 'answer', ago: 30, mine: true });
    await until(async () => expect(await endOf(stage, 'question')).toMatch(/^answered/));
  });

  it('sends a batch with an unanswered message in it', async () => {
    const stage = await startDelivery({ skip_answered: true });
    await receive(stage, { id: 'answer', ago: 30, mine: true });
    await receive(stage, { id: 'question', ago: 60 }, { id: 'open', ago: 60, chat: 'bob' });
    await receive(stage, { id: 'second', ago: 50 });
    await stage.gateway.settled();
    expect(idsSentTo(stage.bot)).toEqual(['answer', 'question', 'open']);
  });

  it('is off by default', async () => {
    const { bot } = await afterOutage({}, { id: 'question', ago: 60 }, { id: 'answer', ago: 30, mine: true });
    expect(idsSentTo(bot)).toEqual(['question', 'answer']);
  });
});

describe('the pace of a backlog', () => {
  const waiting = async ({ gateway }: DeliveryStage): Promise<(string | null)[]> => {
    const { body } = await gateway.call<{ data: { waits_for: string | null }[] }>(
      'GET',
      '/v1/deliveries?status=pending',
    );
    return body.data.map((each) => each.waits_for);
  };

  /** Why the delivery of a message waits, in words. */
  const explained = async ({ gateway }: DeliveryStage, id: string): Promise<string | null> => {
    const { body } = await gateway.call<{ deliveries: { waiting: string | null }[] }>('GET', `/v1/messages/main/${id}`);
    return body.deliveries[0]?.waiting ?? null;
  };

  it('I6: lets the catch-up out, newest chats first, each chat in order', async () => {
    const { bot } = await afterOutage(
      { backlog_rate_per_minute: 1200, concurrency: 1 },
      ...[
        { id: 'a1', ago: 9000 },
        { id: 'b1', ago: 8000, chat: 'bob' },
        { id: 'c1', ago: 7000, chat: 'carol' },
      ],
      { id: 'a2', ago: 6000 },
    );
    const sent = idsSentTo(bot);
    expect(sent[0]).toBe('a1');
    expect(sent.filter((id) => id.startsWith('a'))).toEqual(['a1', 'a2']);
    expect(sent.filter((id) => !id.startsWith('a'))).toEqual(['c1', 'b1']);
  });

  it('holds up no live message: the rest of the backlog waits, and explain says for what', async () => {
    const stage = await startDelivery({ backlog_rate_per_minute: 1 });
    for (const chat of ['alice', 'bob', 'carol']) await receive(stage, { id: chat, ago: 9000, chat });
    await stage.bot.received(1);
    for (const id of ['live1', 'live2']) await receive(stage, { id, ago: 0, chat: 'dan' });
    await until(() => expect(idsSentTo(stage.bot).slice(1)).toEqual(['live1', 'live2']));
    await until(async () => expect(await waiting(stage)).toEqual(['backlog_rate', 'backlog_rate']));
    const reason = 'it waits for its turn in the backlog of the target, newest chats first';
    const words = await Promise.all(['alice', 'bob', 'carol'].map(async (id) => await explained(stage, id)));
    expect(words.filter((each) => each !== null)).toEqual(
      Array(2).fill(`${reason}, at most 1 a minute (backlog_rate_per_minute)`),
    );
  });

  it('counts only what is sent: superseded messages take no turn', async () => {
    const sent = Array.from({ length: 30 }, (_, at) => ({ id: `a${at}`, ago: 9000 - at }));
    const settings = { backlog_rate_per_minute: 1, backlog_policy: 'newest_per_chat' };
    const { bot } = await afterOutage(settings, ...sent);
    expect(idsSentTo(bot)).toEqual(['a29']);
  });

  it('sends at once what a person retries', async () => {
    const stage = await startDelivery({ backlog_rate_per_minute: 1 });
    for (const chat of ['alice', 'bob', 'carol']) await receive(stage, { id: chat, ago: 9000, chat });
    await until(async () => expect(await waiting(stage)).toEqual(['backlog_rate', 'backlog_rate']));
    const { body } = await stage.gateway.call<{ data: { id: string }[] }>('GET', '/v1/deliveries?status=pending');
    for (const { id } of body.data) await stage.gateway.call('POST', `/v1/deliveries/${id}/retry`);
    await stage.gateway.settled();
    expect(idsSentTo(stage.bot).sort()).toEqual(['alice', 'bob', 'carol']);
  });
});

it('a target that recovers is probed, although its policies depend on what came into the chat meanwhile', async () => {
  const stage = await startDelivery({ skip_answered: true });
  stage.bot.otherwise = 500;
  for (let at = 1; at <= 6; at += 1) await receive(stage, { id: `m${at}`, ago: 1, chat: `chat-${at}` });
  const path = `/v1/targets/${stage.target.id}`;
  await until(async () => {
    const { body } = await stage.gateway.call<{ breaker: { opened_at: string | null } }>('GET', path);
    expect(body.breaker.opened_at).not.toBeNull();
  });
  stage.bot.otherwise = 200;
  await stage.gateway.settled();
  expect(new Set(idsSentTo(stage.bot))).toEqual(new Set(['m1', 'm2', 'm3', 'm4', 'm5', 'm6']));
});
