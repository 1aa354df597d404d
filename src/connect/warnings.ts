import ipaddr from 'ipaddr.js';
import type { Target, WARNING_CODES } from '../model.js';
import { LEGACY_EVENT_TYPES } from '../whapi/wire.js';
import type { WebhookSetting } from '../whapi/wire.js';
import { isOurs, MAX_AGE_LOSS, maskedUrl, receiversOf } from './policy.js';
import type { ManagedSettings, Identity } from './policy.js';

/** A problem that connecting does not fix by itself. */
export interface Warning {
  readonly code: (typeof WARNING_CODES)[number];
  /** The webhook in question, with secrets masked; null if it is about none. */
  readonly webhookUrl: string | null;
  /** What is wrong, and what to do. */
  readonly message: string;
}

/** Settings of a channel that work against the gateway, apart from the gateway's own webhook. */
export function warningsAbout(
  { webhooks }: ManagedSettings,
  identity: Identity,
  targets: readonly Target[],
): Warning[] {
  return webhooks.filter((webhook) => !isOurs(webhook, identity)).flatMap((webhook) => aboutOther(webhook, targets));
}

function aboutOther(webhook: WebhookSetting, targets: readonly Target[]): Warning[] {
  const webhookUrl = maskedUrl(webhook.url);
  const { webhook_max_age_seconds: maxAge, events = [] } = webhook;
  const isLegacy = events.length === 0 || events.some(({ type }) => LEGACY_EVENT_TYPES.has(type));
  const warnings: Warning[] = [];
  if (events.some(({ type }) => type === 'messages')) warnings.push(bypassWarning(webhook.url, targets));
  if (typeof maxAge === 'number') {
    warnings.push({
      code: 'max_age',
      webhookUrl,
      message: `This webhook has webhook_max_age_seconds ${maxAge}: ${MAX_AGE_LOSS}. Set it to null at Whapi.`,
    });
  }
  if (isLegacy) {
    warnings.push({
      code: 'legacy_events',
      webhookUrl,
      message:
        'This webhook subscribes to event names that Whapi has retired (message, ack, chat, status), or to none. ' +
        'Subscribe it to messages, statuses and chats instead.',
    });
  }
  return warnings;
}

function bypassWarning(url: string, targets: readonly Target[]): Warning {
  const host = hostOf(url);
  const target = targets.find((each) => host !== null && hostOf(each.url) === host);
  const webhookUrl = maskedUrl(url);
  if (target) {
    return {
      code: 'same_bot',
      webhookUrl,
      message:
        `This webhook seems to reach the bot of your target "${target.name}": it gets every message twice, and restored ` +
        'ones straight from Whapi. Remove the webhook at Whapi once the gateway is connected.',
    };
  }
  return {
    code: 'past_gateway',
    webhookUrl,
    message:
      'This webhook gets messages directly from Whapi, past the gateway, including restored ones. If a bot behind it ' +
      'answers messages, make that bot a target and remove the webhook at Whapi.',
  };
}

/**
 * Problems that may keep Whapi from reaching this URL. `whapiBaseUrl`: a simulated Whapi may run on this network
 * itself.
 */
export function warningsAboutUrl(publicUrl: string, whapiBaseUrl: string): Warning[] {
  if (isPrivate(whapiBaseUrl)) return [];
  if (isPrivate(publicUrl)) {
    const message = `${publicUrl} is an address of this machine or of a private network, which Whapi cannot reach. Use a public URL.`;
    return [{ code: 'private_url', webhookUrl: null, message }];
  }
  if (!publicUrl.startsWith('http:')) return [];
  const message =
    'Messages and the webhook secret are sent unencrypted. Put a TLS proxy before the gateway and use https://.';
  return [{ code: 'insecure_url', webhookUrl: null, message }];
}

/** `channel`: its name. Connecting requests the events that the targets take at that time. */
export function warningsAboutTargets(targets: readonly Target[], channel: string): Warning[] {
  if (receiversOf(targets, channel).length > 0) return [];
  const message =
    'No enabled target takes events of this channel, so Whapi will send only new messages and the channel state. ' +
    `Add your targets, then connect again: "channels connect ${channel}".`;
  return [{ code: 'no_targets', webhookUrl: null, message }];
}

export const RESTART_NEEDED: Warning = {
  code: 'restart_needed',
  webhookUrl: null,
  message: 'callback_persist takes effect once the channel is restarted at Whapi.',
};

function hostOf(url: string): string | null {
  return URL.canParse(url) ? new URL(url).host : null;
}

function isPrivate(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '');
  if (ipaddr.isValid(host)) return ipaddr.process(host).range() !== 'unicast';
  return /(^|\.)(localhost|local|internal|lan)$/.test(host) || !host.includes('.');
}
