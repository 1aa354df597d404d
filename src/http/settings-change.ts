import { isOurs } from '../connect/policy.js';
import type { Identity } from '../connect/policy.js';

type Webhook = Parameters<typeof isOurs>[0];

/** Whether a call to Whapi changes the settings of its channel: `PATCH /settings` (docs/whapi.md, Settings). */
export function changesSettings(method: string, target: string): boolean {
  return method === 'PATCH' && /^\/+settings\/*(\?|$)/i.test(target);
}

/** Whether such a call sets webhooks without the gateway's. False for a body that cannot be read. */
export function dropsWebhook(body: Buffer | null, identity: Identity): boolean {
  try {
    const { webhooks } = JSON.parse(body?.toString() ?? '') as { webhooks?: unknown };
    if (!Array.isArray(webhooks)) return false;
    return !(webhooks as Webhook[]).some((each) => typeof each.url === 'string' && isOurs(each, identity));
  } catch {
    return false; // not JSON, or longer than what is read
  }
}
