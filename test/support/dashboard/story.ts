import { eventually, HOSTILE, WEBHOOK_SECRET } from './stage.js';
import type { Stage } from './stage.js';

const DAY_SECONDS = 86_400;
const now = (): number => Math.floor(Date.now() / 1000);

/** A text message; its words are as hostile as the story's. */
export function message(id: string, more: Record<string, unknown> = {}, words = HOSTILE): Record<string, unknown> {
  const text = { body: `Is the blue one in stock? ${words}` };
  const chat = { chat_id: '4915112345678@s.whatsapp.net', from_name: words, from_me: false };
  return { id, type: 'text', timestamp: now(), ...chat, text, ...more };
}

export const messages = (...list: readonly Record<string, unknown>[]): Record<string, unknown> => ({
  messages: list,
  event: { type: 'messages', event: 'post' },
});

export interface Story {
  readonly targets: { readonly bot: string; readonly crm: string; readonly archive: string };
  readonly resync: string;
  readonly audit: string;
  /** A webhook with an item that the bot was not sent. */
  readonly cutWebhook: string;
  readonly heldMessage: string;
  readonly deadDelivery: string;
}

const LOST = ['lost.AAAA.1', 'lost.AAAA.2', 'lost.AAAA.3'];
const NEVER_CAME = 12;

/** Fills every page: traffic with these words in every text, a resync, held items, dead and waiting deliveries, an audit. */
export async function tellStory(stage: Stage, words = HOSTILE): Promise<Story> {
  const { call, whapi } = stage;
  await call('POST', '/v1/channels', {
    name: 'shop',
    whapi_token: whapi.token,
    whapi_base_url: whapi.url,
    webhook_secret: WEBHOOK_SECRET,
    resync_spacing_ms: 0,
  });
  await call('POST', '/v1/channels', { name: 'warehouse', whapi_token: 'unknown-token', whapi_base_url: whapi.url });
  const targets = await addTargets(stage, words);
  await traffic(stage, words);
  const resync = await resyncStory(stage, words);
  const audit = await auditStory(stage, words);
  const held = await eventually(async () => {
    const { data } = await call<{ data: { message_id: string; webhook: string }[] }>(
      'GET',
      '/v1/items?held=true&verdict=restored',
    );
    return data[0];
  });
  const dead = await eventually(async () => {
    const { data } = await call<{ data: { id: string }[] }>('GET', '/v1/deliveries?status=dead');
    return data[0];
  });
  return { targets, resync, audit, cutWebhook: held.webhook, heldMessage: held.message_id, deadDelivery: dead.id };
}

async function addTargets({ call, bots }: Stage, words: string): Promise<Story['targets']> {
  const add = async (settings: Record<string, unknown>): Promise<string> =>
    (await call<{ id: string }>('POST', '/v1/targets', settings)).id;
  return {
    bot: await add({ name: 'bot', url: bots.good.url }),
    crm: await add({
      name: `crm ${words}`.trim(),
      url: bots.failing.url,
      events: ['messages.post'],
      max_age_seconds: 7200,
    }),
    archive: await add({
      name: 'archive',
      url: bots.refusing.url,
      deliver: ['new', 'late', 'event', 'restored', 'duplicate'],
      max_attempts: 1,
      headers: { 'x-archive': words },
    }),
  };
}

async function traffic({ webhook }: Stage, words: string): Promise<void> {
  const text = (id: string, more: Record<string, unknown> = {}) => message(id, more, words);
  const chat = { chat_id: '4915198765432@s.whatsapp.net' };
  await webhook(messages(text('live.AAAA.1')));
  await webhook(messages(text('live.AAAA.2', { text: { body: 'Two of them, please' } }), text('live.AAAA.3', chat)));
  await webhook(messages(text('live.AAAA.1'))); // a duplicate
  await webhook(messages(text(`live.AAAA.4${words}`, { type: `text${words}` })));
  await webhook({
    statuses: [{ id: 'live.AAAA.1', status: `read${words}` }],
    event: { type: 'statuses', event: 'post' },
  });
  await webhook({ health: words, event: { type: 'channel', event: 'post' }, channel_id: `SHOP${words}` });
}

/** Three messages come back in one webhook with a live one, so part of a body is cut; a fourth is unknown to Whapi. */
async function resyncStory({ call, webhook, whapi }: Stage, words: string): Promise<string> {
  whapi.faults.resyncSendsWebhook = false;
  const lost = LOST.map((id) => message(id, { timestamp: now() - 40 * DAY_SECONDS }, words));
  for (const each of lost) whapi.store(each as never, { cached: false });
  const { id } = await call<{ id: string }>('POST', '/v1/resyncs', {
    channel: 'shop',
    message_ids: [...LOST, 'not.known.to.whapi'],
  });
  await webhook(messages(...lost, message('live.AAAA.9', {}, words)));
  return id;
}

async function auditStory({ call, whapi }: Stage, words: string): Promise<string> {
  const timestamp = now() + 1; // after the channel was added: before that, the gateway cannot tell
  for (let index = 0; index < NEVER_CAME; index++) {
    whapi.store(message(`missing.AAAA.${index}`, { timestamp }, words) as never);
  }
  await eventually(async () => await Promise.resolve(now() > timestamp));
  const { id } = await call<{ id: string }>('POST', '/v1/audits', {
    channel: 'shop',
    since: new Date((now() - 20 * DAY_SECONDS) * 1000).toISOString(),
    until: new Date(now() * 1000).toISOString(),
  });
  await eventually(async () => (await call<{ status: string }>('GET', `/v1/audits/${id}`)).status !== 'running');
  return id;
}
