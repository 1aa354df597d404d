import { GatewayError, noSuchChannel } from '../../errors.js';
import type { Document } from '../../intake/decode.js';
import type { IncomingWebhook } from '../../model.js';
import type { RecordingRegistry } from './recording.js';

/** Why this webhook would be refused: GW_NOT_FOUND, GW_CHANNEL_MISMATCH; null: it would not. */
export function refusalOf(
  registry: Pick<RecordingRegistry, 'channel'>,
  webhook: Pick<IncomingWebhook, 'channel'>,
  { channelId }: Pick<Document, 'channelId'>,
): GatewayError | null {
  const channel = registry.channel(webhook.channel);
  if (!channel) return noSuchChannel(webhook.channel);
  if (channelId === null || channel.channelId === null || channelId === channel.channelId) return null;
  return new GatewayError(
    'GW_CHANNEL_MISMATCH',
    `The webhook comes from another Whapi channel: "${channel.name}" belongs to channel_id "${channel.channelId}". Add a ` +
      'channel for each Whapi channel; if the number has moved, PATCH this one with { "channel_id": null }.',
  );
}
